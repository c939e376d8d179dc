// SPDX-License-Identifier: Apache-2.0
#include "path.hpp"

#include <sys/uio.h>

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

/// The same of the heap that the victim uses. It is read in the victim, who has it open.
class WatchedHeap {
public:
    WatchedHeap(pid_t victim, const Board& board)
        : victim_(victim), at_(board.watched_at), before_(board.watched_bytes) {
        now_.resize(before_.size());
        if (!before_.empty()) must(read_into(before_), "reading the victim's heap");
    }
    bool has_changed() {
        if (now_.empty() || !read_into(now_)) return false;
        if (std::memcmp(before_.data(), now_.data(), now_.size()) == 0) return false;
        before_.swap(now_);
        return true;
    }

private:
    [[nodiscard]] bool read_into(std::vector<std::byte>& memory) const {
        const iovec here{memory.data(), memory.size()};
        const iovec there{reinterpret_cast<void*>(at_), memory.size()};
        const ssize_t bytes = ::process_vm_readv(victim_, &here, 1, &there, 1, 0);
        return bytes == static_cast<ssize_t>(memory.size());
    }

    pid_t victim_;
    std::uint64_t at_;
    std::vector<std::byte> before_;
    std::vector<std::byte> now_;
};

}  // namespace

Path trace(Arena& arena, const Operation& operation) {
    SteppedVictim victim(arena, operation);
    WatchedMemory control(arena.control_memory());
    WatchedHeap heap(victim.process(), arena.board());
    const auto heads = arena.list_heads();
    std::unordered_map<std::uint64_t, std::uint32_t> visits;
    Path path;
    bool called_kernel = false;
    std::uint32_t passed = 0;
    for (bool more = true; more; ++passed) {
        if (passed == trace_max) throw std::runtime_error("it does not come to an end");
        const Point here{victim.address(), ++visits[victim.address()], passed, false};
        const bool calls = victim.is_at_system_call();
        called_kernel = called_kernel || calls;
        path.instructions.push_back({here.address, 0, here.passed, false});
        more = victim.step();
        const bool stored = control.has_changed();
        if (!heap.has_changed() && !stored && !calls) continue;
        const std::uint64_t next = victim.address();
        path.events.push_back(here);  // Before and after it.
        path.events.push_back({next, visits[next] + 1, here.passed + 1, !more});
    }
    path.instructions.push_back({0, 0, passed, true});
    const bool lists_changed = heads != arena.list_heads();
    path.wrong = wrong_path(operation, victim.went_as_named(), lists_changed, called_kernel);
    return path;
}

std::vector<std::size_t> choose(const Operation& operation, std::size_t points,
                                const Extent& extent) {
    if (extent.only) {
        if (*extent.only >= points) throw std::runtime_error("there is no such point");
        return {*extent.only};
    }
    if (points == 0) return {};
    const std::size_t stride = std::min<std::size_t>(extent.every, points);
    std::vector<std::size_t> chosen;
    for (std::size_t number = std::hash<std::string>{}(operation.name) % stride; number < points;
         number += stride) {
        chosen.push_back(number);
    }
    return chosen;
}

bool lead(SteppedVictim& victim, const Point& point, Rivals rivals, Board& board,
          std::minstd_rand& random) {
    std::uint32_t visits = 0;
    std::uint32_t gap = 0;
    for (std::uint32_t passed = 0; passed < trace_max; ++passed) {
        if (point.visit == 0 ? passed == point.passed
                             : victim.address() == point.address && ++visits == point.visit) {
            return true;
        }
        if (rivals == Rivals::busy && gap-- == 0) {
            if (turn_has_ended(board)) begin_turn(board, Order::work);
            gap = static_cast<std::uint32_t>(random() % gap_max);
        }
        if (!victim.step()) return point.is_end;
    }
    return false;
}

}  // namespace shmpool::sweep
