// SPDX-License-Identifier: Apache-2.0
/// What the processes of a run tell their supervisor, in memory that is apart from the segment and
/// that the garbage never reaches: which operation each honest peer is in and since when, and what
/// was written last. So a hang is noticed from outside, and a finding names the words before it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "shmpool/platform/atomics.hpp"
#include "shmpool/platform/monotonic_clock.hpp"

namespace shmpool::garbage {

enum class Role : std::uint8_t {
    blocking_writer,
    dropping_writer,
    blocked_reader,
    dropping_reader,
    sleeping_reader,
    raw_allocator,
    comer_and_goer,
    heap_worker,
    class_grower,
};
inline constexpr std::size_t role_count = 9;

/// The names of operations, for people.
enum class Operation : std::uint8_t {
    none,
    attach,
    open,
    loan,
    publish,
    take,
    release,
    allocate,
    free,
    close,
    detach,
    make_heap,
    open_heap,
    use_heap,
    grow_class,
};
inline constexpr std::array operation_names{
    "nothing",     "attach",           "open",
    "loan",        "publish",          "take",
    "release",     "allocate",         "free",
    "close",       "detach",           "a request about a heap",
    "open a heap", "a call of a heap", "a request about a class"};

/// Written by one honest peer, read by the supervisor. All relaxed: numbers, which order nothing.
struct Progress {
    Atomic<std::uint64_t> began_ns{0};  ///< Of the operation that runs; 0: none.
    Atomic<std::uint64_t> operations{0};
    Atomic<std::uint64_t> attachments{0};
    Atomic<std::uint64_t> damage_errors{0};
    Atomic<std::uint64_t> heap_blocks{0};
    Atomic<std::uint64_t> classes_grown{0};
    Atomic<std::uint32_t> operation{0};
};

struct Write {
    std::uint64_t number = 0;
    std::uint64_t offset = 0;  ///< In the control memory, or in the payload.
    std::uint64_t value = 0;
    std::array<char, 40> name{};  ///< "SlotRecord.word".
};

inline constexpr std::size_t writes_kept = 64;

struct Board {
    std::array<Progress, role_count> peers;
    Atomic<std::uint64_t> words{0};         ///< Written so far, by all garbage of the run.
    std::array<Write, writes_kept> last{};  ///< Written by the garbage peer alone.
};

/// Marks an operation of an honest peer while it lives.
class Doing {
public:
    Doing(Progress& progress, Operation operation) : progress_(progress) {
        progress_.operation.store(static_cast<std::uint32_t>(operation), std::memory_order_relaxed);
        progress_.began_ns.store(monotonic_ns(), std::memory_order_relaxed);
    }
    ~Doing() {
        progress_.began_ns.store(0, std::memory_order_relaxed);
        progress_.operations.fetch_add(1, std::memory_order_relaxed);
    }
    Doing(const Doing&) = delete;
    Doing& operator=(const Doing&) = delete;

private:
    Progress& progress_;
};

}  // namespace shmpool::garbage
