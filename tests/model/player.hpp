// SPDX-License-Identifier: Apache-2.0
/// One thread of a peer, and the verbs that its script is made of: each calls the production code
/// as the client library does, and does what a suspicious user would do with what it gets. Who has
/// a slot writes its own mark into the payload, or reads the message in it, and looks again before
/// it lets go: whoever else was handed the slot meanwhile shows.
#pragma once

#include <array>

#include "protocol/publisher_core.hpp"
#include "protocol/subscriber_core.hpp"
#include "world.hpp"

namespace shmpool::model {

class Player {
public:
    Player(World& world, std::string name, unsigned actor, unsigned process, std::uint32_t peer);
    Player(const Player&) = delete;
    Player& operator=(const Player&) = delete;

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] unsigned actor() const { return actor_; }
    [[nodiscard]] unsigned process() const { return process_; }
    [[nodiscard]] std::uint32_t peer() const { return peer_; }
    [[nodiscard]] const std::vector<Verb>& verbs() const { return verbs_; }

    // --- before the play -----------------------------------------------------------------------

    /// The next verb of the script; it waits until `ready`.
    Player& then(std::function<void(Player&)> verb, std::function<bool()> ready = nullptr);
    /// Done before the play begins, without interleaving.
    Player& first(const std::function<void(Player&)>& verb);
    /// What a thread of the same process has handed to this one: private memory, and no step.
    Player& with_what_is_held_by(Player& sibling);
    /// The name of its only raw slot, which from now on is everybody's to free.
    [[nodiscard]] SlotRef hand_out_raw();
    void open_publisher(const std::string& channel = only_channel);
    void open_subscriber(std::uint32_t depth = 2, const std::string& channel = only_channel);
    /// Opened meanwhile by the host, in the play.
    void subscribe_to(const Opened& opened);

    // --- verbs ---------------------------------------------------------------------------------

    void loan(std::uint64_t bytes = 64);
    void end();  ///< The oldest loan, if it has any; so do the following.
    void allocate(std::uint64_t bytes = 64);
    void free();
    void free(const SlotRef& ref);  ///< A raw slot of anybody, as often as it likes.
    void publish();
    void wait();  ///< Until somebody rings.
    void take();
    void release();
    void close();
    void flush();
    void leave_lane();                      ///< A thread that ends.
    void use_lane_of(const Player& other);  ///< After it has ended.
    void claim_lane();                      ///< Any that is free, for its peer.

    // --- what it has done so far ---------------------------------------------------------------

    [[nodiscard]] Lane& lane() { return *hands_->lane; }
    [[nodiscard]] bool holds_something() const { return hands_->held_count != 0; }
    [[nodiscard]] std::uint64_t frees_won() const { return hands_->frees_won; }
    [[nodiscard]] std::uint64_t sent() const { return hands_->sent; }
    [[nodiscard]] std::uint64_t received() const { return hands_->received_count; }
    [[nodiscard]] bool closed() const { return hands_->closed != 0; }
    [[nodiscard]] std::uint32_t publisher_index() const { return hands_->publisher->index(); }
    [[nodiscard]] std::uint32_t subscriber_index() const { return hands_->subscriber->index(); }
    [[nodiscard]] bool joined() const { return hands_->subscriber != nullptr; }
    [[nodiscard]] bool finished() const;
    [[nodiscard]] std::uint32_t lane_index() const {
        return static_cast<std::uint32_t>(hands_->lane_index);
    }
    [[nodiscard]] bool has_lane() const { return hands_->lane != nullptr; }
    [[nodiscard]] bool dead() const { return machine().dead(actor_); }

    /// At the end of a path: reads what is there, checks what it got, and gives everything back.
    void read_the_rest();
    void expect_all_of(const Player& writer) const;
    void give_everything_back();

private:
    /// No padding: the bytes of a heap are part of a state.
    struct Held {
        std::uint64_t class_index;
        SlotKey key;
        std::uint64_t lease;
        std::uint64_t mark;
        std::uint64_t kind;
    };
    enum Kind : std::uint64_t { loaned, raw, taken };
    struct Hands {
        std::unique_ptr<Lane> lane;
        std::unique_ptr<PublisherCore> publisher;
        std::unique_ptr<SubscriberCore> subscriber;
        std::array<Held, 8> held{};
        std::uint64_t held_count = 0;
        std::array<std::uint64_t, 16> received{};
        std::uint64_t received_count = 0;
        std::uint64_t first_of_writer = 0;  ///< 1: there from the beginning, must see all.
        std::uint64_t marks = 0;
        std::uint64_t sent = 0;       ///< Number of the last message that was published.
        std::uint64_t confirmed = 0;  ///< Number of the last one that every reader got.
        std::uint64_t refused = 0;    ///< Number of the last one that nobody got.
        std::uint64_t frees_won = 0;
        std::uint64_t closed = 0;
        std::uint64_t lane_index = no_lane_index;
    };

    [[nodiscard]] std::uint64_t owner() const;
    [[nodiscard]] VarSlotPool& pool() const { return world_->pool(actor_); }
    [[nodiscard]] std::byte* payload(const Held& held) const;
    void hold(std::uint64_t class_index, SlotKey key, std::uint64_t lease, Kind kind);
    [[nodiscard]] Held let_go(Kind kind, bool& found);
    void look_again(const Held& held) const;
    void note_message(std::uint64_t message);
    void report(const std::string& what) const { machine().report(name_ + ": " + what); }

    World* world_;
    std::string name_;
    unsigned actor_;
    unsigned process_;
    std::uint32_t peer_;
    std::vector<Verb> verbs_;
    std::string channel_ = only_channel;
    Hands* hands_;  ///< In the actor's heap.
};

}  // namespace shmpool::model
