// SPDX-License-Identifier: Apache-2.0
#include "peer/lane_shelf.hpp"

#include <algorithm>

namespace shmpool {

/// The lanes of the calling thread, of all peers; its destructor is the end of the thread.
struct ThreadLanes {
    struct Entry {
        std::shared_ptr<LaneShelf> shelf;
        ThreadLane* lane;
    };
    std::vector<Entry> entries;

    ~ThreadLanes();
};

namespace {

thread_local constinit bool thread_has_ended = false;
thread_local ThreadLanes thread_lanes;

std::uint64_t next_shelf_id() {
    static std::atomic<std::uint64_t> last{0};
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

thread_local constinit LaneShelf::LastUsed LaneShelf::last_used{};

ThreadLanes::~ThreadLanes() {
    thread_has_ended = true;
    LaneShelf::last_used = {};
    for (Entry& entry : entries) entry.shelf->put_back(*entry.lane);
}

Result<std::shared_ptr<LaneShelf>> LaneShelf::make(VarSlotPool& pool, std::uint64_t owner,
                                                   std::uint32_t peer_index,
                                                   std::uint32_t peer_count, MakeGate make_gate) {
    auto token = ForkToken::create();
    if (!token) return tl::unexpected(token.error());
    const LaneRange reserve{.first = 1 + peer_index, .count = 1};
    const LaneRange for_threads{.first = 1 + peer_count};
    return std::make_shared<LaneShelf>(pool, owner, reserve, for_threads, next_shelf_id(),
                                       std::move(*token), std::move(make_gate));
}

ThreadLane* LaneShelf::find_or_claim() {
    // Objects with static lifetime may still end their handles after the main thread's own storage.
    if (thread_has_ended) return claim();
    auto& entries = thread_lanes.entries;
    std::erase_if(entries, [](const ThreadLanes::Entry& entry) { return !entry.shelf->is_open(); });
    auto known = std::ranges::find_if(
        entries, [this](const ThreadLanes::Entry& entry) { return entry.shelf.get() == this; });
    if (known == entries.end()) {
        ThreadLane* const claimed = claim();
        if (claimed == nullptr) return nullptr;
        entries.push_back({shared_from_this(), claimed});
        known = entries.end() - 1;
    }
    last_used = {id_, known->lane};
    return known->lane;
}

bool LaneShelf::is_open() {
    const std::scoped_lock lock(mutex_);
    return open_;
}

ThreadLane* LaneShelf::claim() {
    const std::scoped_lock lock(mutex_);
    if (!open_) return nullptr;
    if (!spare_.empty()) {
        ThreadLane* const lane = spare_.back();
        spare_.pop_back();
        return lane;
    }
    if (reserve_ == nullptr) reserve_ = open(reserve_range_);
    return open(thread_range_);
}

ThreadLane* LaneShelf::open(LaneRange range) {
    auto opened = pool_.open_lane(owner_, range);
    if (!opened) return nullptr;
    lanes_.push_back(std::make_unique<ThreadLane>(std::move(*opened), make_gate_()));
    return lanes_.back().get();
}

void LaneShelf::put_back(ThreadLane& lane) {
    if (!in_own_process()) return;
    const std::scoped_lock lock(mutex_);
    if (!open_) return;
    pool_.flush(*lane.lane);
    spare_.push_back(&lane);
}

void LaneShelf::close() {
    const std::scoped_lock lock(mutex_);
    open_ = false;
}

std::int64_t LaneShelf::live_handles() {
    const std::scoped_lock lock(mutex_);
    std::int64_t sum = 0;
    for (const auto& lane : lanes_) sum += lane->handles.load(std::memory_order_relaxed);
    return sum;
}

}  // namespace shmpool
