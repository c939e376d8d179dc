// SPDX-License-Identifier: Apache-2.0
/// The lanes of one peer, one for each thread that uses it. A thread gets its lane at its first use
/// of the peer and keeps it in thread-local storage; when the thread ends, the lane's cached slots
/// go back and the lane waits on the shelf for the peer's next thread. Only the host gives a lane
/// to another peer, after this one is gone. In a child of fork() nothing here touches the pool,
/// which is not mapped.
///
/// One more lane is the peer's reserve: threads that find no lane of their own share it, by turns,
/// to end the handles that others have given them.
///
///   Who may run beside whom   lane, with_reserve: any threads.
///                             close: once, when no other thread uses the peer.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "shmpool/platform/fork_token.hpp"
#include "shmpool/pool/var_slot_pool.hpp"

namespace shmpool {

/// A lane and what its thread alone counts.
struct ThreadLane {
    ThreadLane(std::unique_ptr<Lane> owned, std::unique_ptr<DrawGate> asked)
        : gate(std::move(asked)), lane(std::move(owned)) {
        lane->set_gate(gate.get());
    }
    std::unique_ptr<DrawGate> gate;
    std::unique_ptr<Lane> lane;
    /// Handles begun minus handles ended on this thread; only the sum over the lanes means
    /// something.
    std::atomic<std::int64_t> handles{0};

    void count_handle(std::int64_t change) {  // Only this lane's thread writes.
        handles.store(handles.load(std::memory_order_relaxed) + change, std::memory_order_relaxed);
    }
};

class LaneShelf : public std::enable_shared_from_this<LaneShelf> {
public:
    /// Makes the gate of a lane, which may be none.
    using MakeGate = std::function<std::unique_ptr<DrawGate>()>;

    /// `pool` outlives every use between now and `close`. Lane `1 + peer_index` is the peer's
    /// reserve; behind those of all `peer_count` peers come the threads'.
    [[nodiscard]] static Result<std::shared_ptr<LaneShelf>> make(VarSlotPool& pool,
                                                                 std::uint64_t owner,
                                                                 std::uint32_t peer_index,
                                                                 std::uint32_t peer_count,
                                                                 MakeGate make_gate);

    /// False in a child of fork().
    [[nodiscard]] bool in_own_process() const { return token_.valid(); }

    /// The calling thread's lane, or null when the pool has none left. Only in the own process.
    [[nodiscard]] ThreadLane* lane() {
        if (last_used.shelf_id == id_) [[likely]]
            return last_used.lane;
        return find_or_claim();
    }

    /// Calls `end(ThreadLane&)` with the reserve, one thread at a time. False when there is none.
    template <typename End>
    bool with_reserve(End end) {
        const std::scoped_lock lock(mutex_);
        if (!open_ || reserve_ == nullptr) return false;
        end(*reserve_);
        pool_.flush(*reserve_->lane);
        return true;
    }

    /// Called at the end of a thread: flushes its lane and keeps it for the next.
    void put_back(ThreadLane& lane);

    /// Nobody uses the pool any more; threads that end later leave it alone.
    void close();

    [[nodiscard]] bool is_open();

    /// Loans and samples that are still alive.
    [[nodiscard]] std::int64_t live_handles();

    LaneShelf(VarSlotPool& pool, std::uint64_t owner, LaneRange reserve, LaneRange for_threads,
              std::uint64_t id, ForkToken token, MakeGate make_gate)
        : pool_(pool),
          owner_(owner),
          reserve_range_(reserve),
          thread_range_(for_threads),
          id_(id),
          token_(std::move(token)),
          make_gate_(std::move(make_gate)) {}

private:
    struct LastUsed {
        std::uint64_t shelf_id = 0;
        ThreadLane* lane = nullptr;
    };
    static thread_local constinit LastUsed last_used;
    friend struct ThreadLanes;

    [[nodiscard]] ThreadLane* find_or_claim();
    [[nodiscard]] ThreadLane* claim();
    [[nodiscard]] ThreadLane* open(LaneRange range);

    VarSlotPool& pool_;
    const std::uint64_t owner_;
    const LaneRange reserve_range_;
    const LaneRange thread_range_;
    const std::uint64_t id_;  ///< Never repeats in a process: addresses do.
    const ForkToken token_;
    const MakeGate make_gate_;
    std::mutex mutex_;
    bool open_ = true;
    std::vector<std::unique_ptr<ThreadLane>> lanes_;
    std::vector<ThreadLane*> spare_;
    ThreadLane* reserve_ = nullptr;
};

}  // namespace shmpool
