// SPDX-License-Identifier: Apache-2.0
/// A pool over memory of this process for one test, and the question that every test ends with:
/// does every slot lie somewhere, exactly once (I1)? Memory that children are to share lives in a
/// memory object (`SharedPool`).
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "shmpool/platform/memory_object.hpp"
#include "shmpool/pool/pool_audit.hpp"
#include "shmpool/pool/pool_statistics.hpp"
#include "shmpool/pool/reclaim.hpp"
#include "shmpool/pool/var_slot_pool.hpp"

namespace shmpool::test {

using Configs = std::vector<SizeClassConfig>;

/// What the seed's tests used: all too small for magazines.
inline const Configs seed_classes{{1024, 8}, {16384, 4}, {262144, 2}};

/// In a child, where a failed expectation would be seen by nobody.
inline void must(const Outcome<void>& outcome) {
    if (!outcome) ::_exit(3);
}

/// Zeroed pages, private to the process or in a memory object that children of fork() share.
class Pages {
public:
    enum class Kind { of_this_process, shared };

    explicit Pages(std::size_t bytes, Kind kind = Kind::of_this_process) : bytes_(bytes) {
        int flags = MAP_PRIVATE | MAP_ANONYMOUS;
        if (kind == Kind::shared) {
            auto object = create_memory_object("shmpool-test", bytes);
            if (!object) throw std::bad_alloc();
            object_ = std::move(*object);
            flags = MAP_SHARED;
        }
        base_ = map(flags);
    }
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;
    ~Pages() { ::munmap(base_, bytes_); }

    [[nodiscard]] std::span<std::byte> span() const {
        return {static_cast<std::byte*>(base_), bytes_};
    }
    void clear() { std::memset(base_, 0, bytes_); }
    [[nodiscard]] const Descriptor& object() const { return object_; }

private:
    void* map(int flags) {
        void* const memory =
            ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, flags, object_ ? object_.get() : -1, 0);
        if (memory == MAP_FAILED) throw std::bad_alloc();
        return memory;
    }

    std::size_t bytes_;
    Descriptor object_;
    void* base_ = nullptr;
};

class OwnPool {
public:
    explicit OwnPool(Configs configs, std::uint32_t lane_count = 8,
                     Pages::Kind kind = Pages::Kind::of_this_process)
        : configs_(std::move(configs)),
          layout_(VarSlotPool::layout(configs_, lane_count).value()),
          pages_(layout_.total_bytes(), kind),
          pool_(VarSlotPool::init(region(), configs_, lane_count).value()),
          host_(std::make_unique<Lane>(pool_.view(), host_lane)) {}

    VarSlotPool& operator*() { return pool_; }
    VarSlotPool* operator->() { return &pool_; }
    [[nodiscard]] const PoolView& view() const { return pool_.view(); }
    [[nodiscard]] Lane& host() { return *host_; }
    [[nodiscard]] const PoolLayout& layout() const { return layout_; }
    [[nodiscard]] Pages& pages() { return pages_; }
    [[nodiscard]] PoolRegion region() const {
        return PoolRegion::single(pages_.span(), 0, layout_).value();
    }

    /// The same memory as new.
    void start_anew() {
        pages_.clear();
        pool_ = VarSlotPool::init(region(), configs_, layout_.lane_count - 1).value();
        host_ = std::make_unique<Lane>(pool_.view(), host_lane);
    }

    [[nodiscard]] std::unique_ptr<Lane> lane(std::uint64_t owner = 1) {
        return pool_.open_lane(owner).value();
    }
    [[nodiscard]] SlotWord word(const SlotRef& ref) const {
        const SlotKey key = view().key_of(ref).value();
        return view().classes[ref.class_index].records[position_of(key)].word.load();
    }
    [[nodiscard]] ClassStatistics statistics(std::uint32_t class_index) const {
        return read_statistics(view())[class_index];
    }

    /// What the host does about a dead lane, when no ring is there.
    Sweep reclaim(std::uint32_t lane_index) {
        recover_intent(view(), lane_index);
        const Sweep sweep =
            sweep_lane(pool_, *host_, lane_index, [](std::uint32_t, SlotKey) { return false; });
        retire_lane(view(), lane_index);
        return sweep;
    }

private:
    Configs configs_;
    PoolLayout layout_;
    Pages pages_;
    VarSlotPool pool_;
    std::unique_ptr<Lane> host_;
};

/// Empty when audit finds nothing and the states of each class add up to its slot_count.
inline std::string broken(const PoolView& view) {
    std::string text;
    for (const AuditFinding& finding : audit(view, 10)) {
        text += finding.invariant + " class " + std::to_string(finding.class_index) + " slot " +
                std::to_string(finding.slot_index) + ": " + finding.text + "\n";
    }
    for (const ClassStatistics& one : read_statistics(view)) {
        if (one.free + one.cached + one.loaned + one.in_transit + one.published != one.slot_count) {
            text += "the counts of the class of " + std::to_string(one.slot_size) +
                    " bytes do not add up\n";
        }
    }
    return text;
}

/// As `broken`, for a pool that nobody uses any more: every slot must be free.
inline std::string broken_or_not_all_free(const PoolView& view) {
    std::string text = broken(view);
    for (const ClassStatistics& one : read_statistics(view)) {
        if (one.free != one.slot_count) {
            text += "class of " + std::to_string(one.slot_size) + ": free " +
                    std::to_string(one.free) + ", cached " + std::to_string(one.cached) +
                    ", loaned " + std::to_string(one.loaned) + " of " +
                    std::to_string(one.slot_count) + "\n";
        }
    }
    return text;
}

}  // namespace shmpool::test
