// SPDX-License-Identifier: Apache-2.0
/// See explorer.hpp. Why skipping is exact: of a step that touches a word which no other actor
/// touches beside it (or which all only read), the order against all steps of others is of no
/// consequence, so it is taken first and alone. Of a death only what the dead had changed is ever
/// seen, so it is enough to die before stores, and only before those that somebody else looks at.
#include "explorer.hpp"

#include <cstdio>
#include <cstring>
#include <set>

#include "visited.hpp"

namespace shmpool::model {
namespace {

constexpr std::size_t path_max = 200'000;  ///< Longer means that it would never end.
constexpr std::uint64_t first_states = 2'000;

struct Earlier {
    bool operator()(const Site& one, const Site& other) const {
        return one.line != other.line ? one.line < other.line
                                      : std::less<const char*>()(one.file, other.file);
    }
};
using Sites = std::set<Site, Earlier>;

class Run {
public:
    Run(const Play& play, const Bounds& bounds, Report& report, Sites& sites)
        : play_(play), bounds_(bounds), report_(report), sites_(sites) {}

    /// False when something new was learned on the way, so that it has to be done again. Then it
    /// stops after `states`: who has to come back need not go to the end.
    bool go(std::uint64_t states) {
        lessons_ = stage().sharing().lessons();
        enough_ = states;
        explore({});
        report_.states = visited_.count();
        return !must_come_back();
    }

private:
    struct Path {
        unsigned peer_kills = 0;
        unsigned host_kills = 0;
        unsigned last = nobody;  ///< Who moved last, where preemptions count.
        int preemptions = 0;
    };

    static Machine& stage() { return machine(); }

    [[nodiscard]] bool stop() const {
        return !stage().violation().empty() || visited_.full() ||
               (visited_.count() >= enough_ && must_come_back());
    }
    [[nodiscard]] bool must_come_back() const { return stage().sharing().lessons() != lessons_; }

    void explore(const Path& path) {
        if (stop() || !visited_.insert(key(path))) return;
        if (stage().events().size() > path_max) return stage().report("this path does not end");
        const ActorSet movable = who_can_move();
        if (movable == 0) {
            ++report_.ends;
            stage().look_quietly(play_.at_end);
            if (!stage().violation().empty()) note_violation();
        }
        const unsigned alone = who_goes_alone(path, movable);
        for (unsigned i = 0; i < stage().actor_count(); ++i) {
            if ((movable & only(i)) != 0 && (alone == nobody || alone == i)) try_step(path, i);
        }
        for (unsigned process = 0; process < stage().actor_count(); ++process) {
            if (alone == nobody || stage().script(alone).process == process) {
                try_kill(path, process);
            }
        }
    }

    [[nodiscard]] Hash key(const Path& path) const {
        Hash hash = stage().state();
        if (bounds_.preemptions >= 0) {
            hash.add((std::uint64_t{path.last} << 32) | static_cast<unsigned>(path.preemptions));
        }
        return hash;
    }

    [[nodiscard]] ActorSet who_can_move() const {
        ActorSet movable = 0;
        for (unsigned i = 0; i < stage().actor_count(); ++i) {
            if (stage().can_move(i)) movable = static_cast<ActorSet>(movable | only(i));
        }
        return movable;
    }

    /// An actor whose next step concerns nobody else: it need not be interleaved.
    [[nodiscard]] unsigned who_goes_alone(const Path& path, ActorSet movable) const {
        for (unsigned i = 0; i < stage().actor_count(); ++i) {
            if ((movable & only(i)) == 0 || (bounds_.preemptions >= 0 && i != path.last)) continue;
            if (concerns_nobody(path, i)) return i;
        }
        // A bound that is used up leaves the word to whoever has it.
        const bool may_go_on = path.last != nobody && (movable & only(path.last)) != 0;
        return path.preemptions == bounds_.preemptions && may_go_on ? path.last : nobody;
    }

    [[nodiscard]] bool concerns_nobody(const Path& path, unsigned actor) const {
        const Step& next = stage().next_step(actor);
        return !next.touches_memory() ||
               !stage().sharing().order_matters(actor, next.address, next.changes(),
                                                who_may_come(path));
    }

    /// Everybody who may still take a step, now or after a death that may still come.
    [[nodiscard]] ActorSet who_may_come(const Path& path) const {
        ActorSet all = 0;
        for (unsigned i = 0; i < stage().actor_count(); ++i) {
            if (stage().dead(i) || stage().next_step(i).kind == StepKind::finished) continue;
            const bool host = stage().script(i).process == play_.host_process;
            const bool idle = stage().next_step(i).kind == StepKind::verb && !stage().can_move(i);
            const bool needs_a_death = (host && play_.host_waits_for_deaths_only);
            if (idle && needs_a_death && path.peer_kills == bounds_.peer_kills) continue;
            if (idle && i == play_.second_host && !stage().process_dead(play_.host_process) &&
                path.host_kills == bounds_.host_kills) {
                continue;
            }
            all = static_cast<ActorSet>(all | only(i));
        }
        return all;
    }

    void try_step(Path path, unsigned actor) {
        if (stop()) return;
        if (bounds_.preemptions >= 0) {
            const bool interrupts =
                path.last != nobody && path.last != actor && stage().can_move(path.last);
            if (interrupts && path.preemptions == bounds_.preemptions) return;
            path.preemptions += interrupts ? 1 : 0;
            path.last = actor;
        }
        const Machine::Mark mark = stage().mark(actor);
        do {
            step(actor);
        } while (!stop() && stage().can_move(actor) && concerns_nobody(path, actor) &&
                 !death_matters(path, actor));
        explore(path);
        stage().go_back(mark, actor);
    }

    void step(unsigned actor) {
        if (stage().next_step(actor).touches_memory()) {
            sites_.insert(stage().next_step(actor).site);
        }
        stage().move(actor);
        ++report_.transitions;
        if (!stage().violation().empty()) note_violation();
    }

    [[nodiscard]] bool may_die(const Path& path, unsigned process) const {
        if (stage().process_dead(process)) return false;
        return process == play_.host_process ? path.host_kills < bounds_.host_kills
                                             : path.peer_kills < bounds_.peer_kills;
    }

    /// Whether the actor's death just here differs from its death at the step before or after.
    [[nodiscard]] bool death_matters(const Path& path, unsigned actor) const {
        const unsigned process = stage().script(actor).process;
        if (actor == play_.second_host || !may_die(path, process)) return false;
        const Step& next = stage().next_step(actor);
        if (next.touches_memory()) {
            return next.changes() && stage().sharing().anybody_else_looks(actor, next.address);
        }
        // Between two verbs, asleep or at the end. An idle host has nothing that could be lost.
        return process != play_.host_process && !stage().can_move(actor);
    }

    void try_kill(Path path, unsigned process) {
        bool matters = false;
        for (unsigned i = 0; i < stage().actor_count(); ++i) {
            matters = matters || (stage().script(i).process == process && death_matters(path, i));
        }
        if (!matters || stop()) return;
        const Machine::Mark mark = stage().mark(nobody);
        stage().kill(process);
        ++report_.kills;
        if (process == play_.host_process) {
            ++report_.host_kills;
            ++path.host_kills;
        } else {
            ++path.peer_kills;
        }
        explore(path);
        stage().go_back(mark, nobody);
    }

    void note_violation() {
        if (!report_.violation.empty()) return;
        report_.violation = stage().violation();
        std::string line;
        for (const Event& event : stage().events()) {
            // Of a walk over a table, its first and last word will do.
            const bool same = event.actor == last_told_.actor &&
                              event.step.site.line == last_told_.step.site.line &&
                              event.step.kind == last_told_.step.kind;
            if (!same) report_.trace += std::exchange(line, {});
            if (!same) report_.trace += line_of(event);
            if (same) line = line_of(event);
            last_told_ = event;
        }
        report_.trace += line;
    }

    [[nodiscard]] std::string line_of(const Event& event) const {
        static constexpr const char* words[] = {"begins", "reads",    "stores", "updates",
                                                "sleeps", "finished", "DIES"};
        const char* const slash = std::strrchr(event.step.site.file, '/');
        char text[256];
        std::snprintf(
            text, sizeof text, "%-7s %-8s %-28s %16llx  %s:%d  %s\n",
            stage().script(event.actor).name.c_str(), words[static_cast<unsigned>(event.step.kind)],
            event.step.address == nullptr || !play_.name_of
                ? ""
                : play_.name_of(event.step.address).c_str(),
            static_cast<unsigned long long>(event.value),
            slash == nullptr ? event.step.site.file : slash + 1, event.step.site.line, event.place);
        return text;
    }

    const Play& play_;
    const Bounds bounds_;
    Report& report_;
    Sites& sites_;
    Event last_told_;
    Visited visited_;
    std::uint64_t lessons_ = 0;
    std::uint64_t enough_ = 0;
};

}  // namespace

Report explore(const SetStage& set_stage, const Bounds& bounds) {
    Report report;
    Sites sites;
    machine().forget_sharing();
    while (!report.complete && report.violation.empty()) {
        const unsigned runs = report.runs + 1;
        report = {};
        report.runs = runs;
        machine().clear();
        wipe_arena();
        const Play play = set_stage();
        machine().begin(play.scripts);
        Run run(play, bounds, report, sites);
        report.complete = run.go(first_states << runs);
        if (report.states >= Visited::states_max) break;
    }
    for (const Site& site : sites) {
        report.sites.push_back(std::string(site.file) + ":" + std::to_string(site.line));
    }
    return report;
}

}  // namespace shmpool::model
