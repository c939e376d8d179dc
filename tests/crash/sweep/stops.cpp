// SPDX-License-Identifier: Apache-2.0
#include "stops.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "shmpool/platform/monotonic_clock.hpp"

namespace shmpool::sweep {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// Somebody whom the host does not know for so long never came so far, or has left.
constexpr std::chrono::milliseconds unknown_for = 300ms;
/// Only turns a hang into a finding.
constexpr std::chrono::seconds patience{30};

std::string name_of(Story story) {
    switch (story) {
        case Story::wait: return "wait";
        case Story::host: return "host";
        default: return "kill";
    }
}

/// One more turn if the last one has ended: a rival may wait for the stopped one.
void let_rivals_go_on(Board& board, std::span<const Order> orders) {
    if (turn_has_ended(board)) begin_turn(board, orders[board.turn % orders.size()]);
    ::usleep(200);
}
constexpr std::array beside_stopped{Order::work, Order::work, Order::rest, Order::count};
constexpr std::array beside_living{Order::work};

void blame(Account& account, const std::string& text) {
    ++account.broken;
    account.text += text + "; ";
}

}  // namespace

ArenaOptions that_suspects_soon(const std::string& policy, Limits limits) {
    return {policy, limits,
            "[death]\nsuspect_after = \"100ms\"\nsuspect_policy = \"" + policy + "\"\n"};
}

/// Until the victim is suspect, and for `lasts` more; or until the host has killed it.
void Stops::outlast(SteppedVictim& victim, Arena& arena, const Stop& stop, StopsRow& row) {
    if (stop.story == Story::host) arena.replace_host();
    const auto begin = Clock::now();
    std::optional<Clock::time_point> suspect_since;
    while (!victim.has_ended() && Clock::now() < begin + stop.lasts + patience) {
        let_rivals_go_on(arena.board(), beside_stopped);
        const auto state = arena.state_of(victim.process());
        if (!state && Clock::now() > begin + unknown_for) return;
        if (state == PeerState::suspect && !suspect_since) {
            suspect_since = Clock::now();
            if (stop.story != Story::kill) ++row.suspected;
        }
        const bool is_over = suspect_since && Clock::now() >= *suspect_since + stop.lasts;
        if (is_over && stop.story != Story::kill) return;
    }
}

void Stops::let_end(SteppedVictim& victim, Arena& arena, const Stop& stop, StopsRow& row,
                    Account& account) {
    if (const auto status = victim.has_ended()) {
        if (stop.story != Story::kill || !WIFSIGNALED(*status)) blame(account, "it has ended");
        ++row.killed;
        return;
    }
    if (stop.story == Story::kill && arena.state_of(victim.process())) {
        blame(account, "the host has not killed it");
    }
    victim.go_on();
    const Deadline deadline = Deadline::after(patience);
    while (!victim.has_ended()) {
        let_rivals_go_on(arena.board(), beside_living);
        if (!deadline.expired()) continue;
        ++account.stuck;
        account.text += "it does not come to an end; ";
        return victim.kill();
    }
    if (*victim.has_ended() == 0) {
        ++row.went_on;
    } else {
        blame(account, "it went on badly: " + arena.board().complaint_text());
    }
}

void Stops::play(const Stop& stop, Arena& arena, StopsRow& row, Finding& finding) {
    Board& board = arena.board();
    Account before;
    {
        SteppedVictim victim(arena, stop.operation, Afterwards::live_on);
        const bool calm = finding.point % 2 == 0;
        const bool is_there =
            lead(victim, stop.point, calm ? Rivals::calm : Rivals::busy, board, random_);
        finding.address = victim.address();
        board.readers_take = true;
        board.may_wait = false;
        victim.stop();
        ++(is_there ? row.visits : row.missed);
        outlast(victim, arena, stop, row);
        let_end(victim, arena, stop, row, before);
    }
    if (stop.lasts > 0ms) board.blocked = 0;  // Rightly so.
    finding.account = arena.settle();
    finding.account.stuck += before.stuck;
    finding.account.broken += before.broken;
    finding.account.text += before.text;
}

StopsRow Stops::run(const Operation& operation, const Extent& extent,
                    std::chrono::milliseconds lasts) {
    StopsRow row;
    const Path path = trace_into(row, operation, waiting_);
    const auto& points = path.points();
    for (const std::size_t number : choose(operation, points.size(), extent)) {
        ++row.points;
        for (const Story story : {Story::wait, Story::host, Story::kill}) {
            random_.seed(static_cast<std::uint32_t>(number) + 1);
            Arena& arena = story == Story::kill ? killing_ : waiting_;
            Finding finding{number, name_of(story), 0, {}};
            play({operation, points[number], story, lasts}, arena, row, finding);
            row.enter(std::move(finding), arena);
        }
    }
    return row;
}

}  // namespace shmpool::sweep
