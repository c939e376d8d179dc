// SPDX-License-Identifier: Apache-2.0
#include "sweep.hpp"

namespace shmpool::sweep {
namespace {

constexpr int tries_max = 3;

}  // namespace

bool Sweep::kill_at(const Operation& operation, const Point& point, Rivals rivals,
                    Finding& finding) {
    Board& board = arena_.board();
    SteppedVictim victim(arena_, operation);
    const bool is_there = lead(victim, point, rivals, board, random_);
    finding.address = victim.address();
    // The rivals meet what the victim leaves half done before anybody knows that it is dead.
    if (turn_has_ended(board)) begin_turn(board, Order::work);
    victim.kill();
    return is_there;
}

Row Sweep::run(const Operation& operation, const Extent& extent) {
    Row row;
    const Path path = trace_into(row, operation, arena_);
    const auto& points = path.points();
    for (const std::size_t number : choose(operation, points.size(), extent)) {
        ++row.points;
        for (const Rivals rivals : {Rivals::calm, Rivals::busy}) {
            random_.seed(static_cast<std::uint32_t>(number) + 1);
            bool is_there = false;
            for (int tries = 0; tries < tries_max && !is_there; ++tries) {
                Finding finding{number, rivals == Rivals::calm ? "calm" : "busy", 0, {}};
                is_there = kill_at(operation, points[number], rivals, finding);
                finding.account = arena_.settle();
                row.enter(std::move(finding), arena_);
                if (!is_there && rivals == Rivals::calm) arena_.board().let_sleep_longer();
            }
            ++(is_there ? row.visits : row.missed);
        }
    }
    return row;
}

}  // namespace shmpool::sweep
