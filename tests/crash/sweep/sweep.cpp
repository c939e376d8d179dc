// SPDX-License-Identifier: Apache-2.0
#include "sweep.hpp"

#include <sched.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <unordered_map>

namespace shmpool::sweep {
namespace {

/// Instructions between two bursts of the rivals: a compare-exchange must succeed now and then.
constexpr std::uint32_t gap_max = 200;
constexpr std::uint32_t trace_max = 3'000'000;

std::string wrong_path(const Operation& operation, bool went_as_named, bool lists_changed,
                       bool called_kernel) {
    if (!went_as_named) return "it did not do what its name says";
    if (operation.lists == Lists::changed && !lists_changed) return "it changed no free list";
    if (operation.lists == Lists::untouched && lists_changed) return "it changed a free list";
    if (operation.calls_kernel && !called_kernel) return "it made no system call";
    return {};
}

/// Says after each instruction whether it has stored something.
class WatchedMemory {
public:
    explicit WatchedMemory(std::span<const std::byte> memory)
        : memory_(memory), before_(memory.begin(), memory.end()) {}
    bool has_changed() {
        if (std::memcmp(before_.data(), memory_.data(), memory_.size()) == 0) return false;
        std::memcpy(before_.data(), memory_.data(), memory_.size());
        return true;
    }

private:
    std::span<const std::byte> memory_;
    std::vector<std::byte> before_;
};

}  // namespace

Sweep::Trace Sweep::trace(const Operation& operation) {
    SteppedVictim victim(arena_.board(), operation, arena_.pool());
    WatchedMemory memory(arena_.control_memory());
    const auto heads = arena_.list_heads();
    std::unordered_map<std::uint64_t, std::uint32_t> visits;
    std::vector<Point> instructions;
    std::vector<Point> events;
    Trace trace;
    bool called_kernel = false;
    for (bool more = true; more; ++trace.instructions) {
        if (trace.instructions == trace_max) throw std::runtime_error("it does not come to an end");
        const Point here{victim.address(), ++visits[victim.address()], trace.instructions};
        const bool calls = victim.is_at_system_call();
        called_kernel = called_kernel || calls;
        instructions.push_back({here.address, 0, here.passed});
        more = victim.step();
        if (!memory.has_changed() && !calls) continue;
        const std::uint64_t next = victim.address();
        events.push_back(here);  // Before and after it.
        events.push_back({next, visits[next] + 1, here.passed + 1});
    }
    instructions.push_back({0, 0, trace.instructions});
    trace.is_long = trace.instructions > instructions_max;
    trace.points = trace.is_long ? std::move(events) : std::move(instructions);
    const bool lists_changed = heads != arena_.list_heads();
    trace.wrong_path = wrong_path(operation, victim.went_as_named(), lists_changed, called_kernel);
    return trace;
}

/// The first one differs from operation to operation: not always the same part of them is thin.
std::vector<std::size_t> Sweep::choose(const Operation& operation, const Trace& trace,
                                       const Extent& extent) {
    const std::size_t count = trace.points.size();
    if (extent.only) {
        if (*extent.only >= count) throw std::runtime_error("there is no such point");
        return {*extent.only};
    }
    const std::size_t stride = std::min<std::size_t>(extent.every, count);
    std::vector<std::size_t> chosen;
    for (std::size_t number = std::hash<std::string>{}(operation.name) % stride; number < count;
         number += stride) {
        chosen.push_back(number);
    }
    return chosen;
}

/// Stops short if the operation is over before.
void Sweep::go_to(SteppedVictim& victim, const Point& point, Rivals rivals) {
    Board& board = arena_.board();
    std::uint32_t visits = 0;
    std::uint32_t gap = 0;
    for (std::uint32_t passed = 0; passed < trace_max; ++passed) {
        if (point.visit == 0 ? passed == point.passed
                             : victim.address() == point.address && ++visits == point.visit) {
            return;
        }
        if (rivals == Rivals::busy && gap-- == 0) {
            if (turn_has_ended(board)) begin_turn(board, Order::work);
            gap = static_cast<std::uint32_t>(random_() % gap_max);
        }
        if (!victim.step()) return;
    }
}

void Sweep::kill_at(const Operation& operation, const Trace& trace, std::size_t number,
                    Rivals rivals, Row& row) {
    Board& board = arena_.board();
    random_.seed(static_cast<std::uint32_t>(number) + 1);
    Finding finding{number, rivals, 0, {}};
    {
        SteppedVictim victim(board, operation, arena_.pool());
        go_to(victim, trace.points[number], rivals);
        finding.address = victim.address();
        // The rivals meet what the victim leaves half done before anybody knows that it is dead.
        if (turn_has_ended(board)) begin_turn(board, Order::work);
        victim.kill();
    }
    ++row.kills;
    finding.account = arena_.settle();
    enter(row, std::move(finding));
}

void Sweep::enter(Row& row, Finding finding) {
    const Account& account = finding.account;
    row.lost += account.lost;
    row.doubled += account.doubled;
    row.stuck += account.stuck;
    row.broken += account.broken;
    if (account.is_clean()) return;
    row.findings.push_back(std::move(finding));
    arena_.renew();
}

/// Whether a sleeper sleeps is up to the scheduler: then another try may do.
Sweep::Trace Sweep::trace_as_named(const Operation& operation, Row& row) {
    Trace found;
    for (int tries = 0; tries < 3; ++tries) {
        found = trace(operation);
        enter(row, {found.points.size(), Rivals::calm, 0, arena_.settle()});
        if (found.wrong_path.empty()) break;
    }
    return found;
}

Row Sweep::run(const Operation& operation, const Extent& extent) {
    Row row;
    row.name = operation.name;
    const Trace found = trace_as_named(operation, row);
    row.instructions = found.instructions;
    row.is_long = found.is_long;
    row.wrong_path = found.wrong_path;
    for (const std::size_t number : choose(operation, found, extent)) {
        ++row.points;
        for (const Rivals rivals : {Rivals::calm, Rivals::busy}) {
            kill_at(operation, found, number, rivals, row);
        }
    }
    return row;
}

}  // namespace shmpool::sweep
