// SPDX-License-Identifier: Apache-2.0
/// Runs the actors of a play, one access to shared memory at a time, and can take every step back.
/// An actor (a thread of a peer, the host, a second host) is a fiber that runs production code; it
/// stops before each access, and the explorer says who goes on.
///
/// A state is what the shared memory holds, and of each actor what it has read so far: the code is
/// deterministic, so this decides where it stands. Between two verbs of its script it is the bytes
/// of its heap instead, so that histories which no longer differ are one state. Of a dead actor
/// nothing counts any more.
#pragma once

#include <boost/context/detail/fcontext.hpp>

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "arena.hpp"
#include "sharing.hpp"
#include "shmpool/platform/atomics.hpp"

namespace shmpool::model {

struct Hash {
    std::uint64_t low = 0x9E3779B97F4A7C15;
    std::uint64_t high = 0xC2B2AE3D27D4EB4F;

    void add(std::uint64_t value);
    void add_bytes(std::span<const std::byte> bytes);
    void toggle(std::uint64_t address, std::uint64_t value);  ///< In and out again: a set of words.
    friend bool operator==(const Hash&, const Hash&) = default;
};

/// One verb of an actor's script. It begins when `ready` says so (nothing: at once); once true it
/// stays true, and it looks at nothing that another step may still take back.
struct Verb {
    std::function<void()> run;
    std::function<bool()> ready;
};

struct Script {
    std::string name;
    unsigned process = 0;  ///< A kill ends all actors of one process.
    std::vector<Verb> verbs;
};

enum class StepKind : std::uint8_t { verb, load, store, update, sleep, finished, killed };

struct Step {
    StepKind kind = StepKind::verb;
    const void* address = nullptr;
    Site site;

    [[nodiscard]] bool changes() const {
        return kind == StepKind::store || kind == StepKind::update;
    }
    [[nodiscard]] bool touches_memory() const { return kind == StepKind::load || changes(); }
};

/// What happened, for the trace of a violation.
struct Event {
    unsigned actor = nobody;
    Step step;
    std::uint64_t value = 0;
    const char* place = "";  ///< The crash point that the actor passed last.
};

class Machine {
public:
    // --- the explorer's side -------------------------------------------------------------------

    /// Forgets the last play; what is written now is the beginning of the next one.
    void clear();
    void forget_sharing() { sharing_ = {}; }
    /// Begins a play over what was written since; nobody has moved yet.
    void begin(std::vector<Script> scripts);
    [[nodiscard]] unsigned actor_count() const { return static_cast<unsigned>(scripts_.size()); }
    [[nodiscard]] const Script& script(unsigned actor) const { return scripts_[actor]; }
    [[nodiscard]] const Step& next_step(unsigned actor) const { return actors_[actor].next; }
    [[nodiscard]] bool dead(unsigned actor) const { return (dead_ & only(actor)) != 0; }
    [[nodiscard]] bool process_dead(unsigned process) const;
    [[nodiscard]] bool can_move(unsigned actor) const;
    void move(unsigned actor);  ///< One access, and everything private up to the next.
    void kill(unsigned process);

    /// To go back to: before one move of `actor`, or before a kill.
    struct Mark {
        std::size_t undone = 0;
        std::size_t events = 0;
        std::size_t saved = 0;
        Hash memory;
        ActorSet dead = 0;
        ActorSet woken = 0;
    };
    [[nodiscard]] Mark mark(unsigned actor);
    void go_back(const Mark& mark, unsigned actor);

    [[nodiscard]] Hash state() const;
    [[nodiscard]] const std::string& violation() const { return violation_; }
    [[nodiscard]] const std::vector<Event>& events() const { return events_; }
    [[nodiscard]] Sharing& sharing() { return sharing_; }

    /// Runs `look` at the end of a path: no interleaving; what it touches counts as looked at.
    void look_quietly(const std::function<void()>& look);

    // --- the actors' side ----------------------------------------------------------------------

    /// Before an access: waits for its turn.
    void arrive(const Step& step);
    /// After it: what it has read is part of the actor's history.
    void has_read(std::uint64_t value);
    void write(void* address, unsigned bytes, std::uint64_t value);
    void sleep_on(const void* address);
    int wake(const void* address, int count);
    /// An invariant is broken. Inside of an actor it does not return.
    void report(const std::string& what);
    void pass(const char* place);

private:
    struct Actor {
        boost::context::detail::fcontext_t context = nullptr;
        Hash history;
        Step next;
        std::uint32_t verb = 0;
        const char* place = "";
    };
    struct Undo {
        void* address;
        std::uint64_t value;
        unsigned bytes;
    };

    static void run_script(boost::context::detail::transfer_t from);
    void give_way();
    void save(std::span<const std::byte> bytes);
    void bring_back(std::span<std::byte> bytes, std::size_t& end);
    [[nodiscard]] std::span<std::byte> used_stack(unsigned actor) const;

    std::vector<Script> scripts_;
    std::array<Actor, actors_max> actors_;
    ActorSet dead_ = 0;
    ActorSet woken_ = 0;
    Hash memory_;
    unsigned running_ = nobody;
    bool looking_ = false;
    boost::context::detail::fcontext_t explorer_ = nullptr;
    std::vector<Undo> undo_;
    std::vector<Event> events_;
    std::vector<std::byte> saved_;
    std::string violation_;
    Sharing sharing_;
};

/// The one machine of the program: the production sources know no other way to it.
extern Machine the_machine;
[[nodiscard]] inline Machine& machine() {
    return the_machine;
}

}  // namespace shmpool::model
