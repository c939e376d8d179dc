// SPDX-License-Identifier: Apache-2.0
/// What a peer can do with every open heap, whatever it hands out: translate offsets, set the root,
/// look at it. The heaps themselves: heaps.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "peer/heap_shelf.hpp"
#include "shmpool/heap/heap_census.hpp"
#include "shmpool/heap/heap_owner.hpp"
#include "shmpool/layout/heap_image.hpp"

namespace shmpool {

/// The calling thread, as the locks of heaps know it, and its peer as an owner. read_only, forked,
/// no_lane.
[[nodiscard]] Outcome<HeapUser> user_of(const HeapUse& use);

/// An open heap, whatever it hands out. Closed with the last handle of the process.
template <typename Heap>
class OpenedHeap {
public:
    /// Not of one that was moved from.
    [[nodiscard]] const HeapEntry& entry() const { return use_->entry(); }
    /// Of one that was moved from: empty; so nothing lies in it, and its root is 0.
    [[nodiscard]] std::span<std::byte> memory() const {
        return use_ ? use_->memory() : std::span<std::byte>();
    }
    /// Where an offset lies in this process; null if it does not lie in the heap. A read-only peer
    /// may read there. Of a handle of the stack family: `at(handle.offset)`.
    [[nodiscard]] void* at(HeapOffset offset) const {
        const HeapOffset inside = origin().inside(offset);
        const auto all = counted();
        return inside < all.size() ? all.data() + inside : nullptr;
    }
    /// The offset of what lies in the heap; 0 if it does not.
    [[nodiscard]] HeapOffset offset_of(const void* address) const {
        const auto all = counted();
        const auto distance = reinterpret_cast<std::uintptr_t>(address) -
                              reinterpret_cast<std::uintptr_t>(all.data());
        return distance < all.size() ? origin().given(distance) : 0;
    }

    /// Where users begin to look; 0: nobody has said so. One word, which anybody may set.
    [[nodiscard]] HeapOffset root() const {
        if (is_moved_from()) return 0;
        return header().root.load(std::memory_order_acquire);  // [A-heap-root]
    }
    /// Whoever reads it sees what was written before.
    Outcome<void> set_root(HeapOffset offset) {
        return call([&](Heap&, HeapUser) -> Outcome<void> {
            header().root.store(offset, std::memory_order_release);  // [R-heap-root]
            return {};
        });
    }

    [[nodiscard]] auto statistics() {
        return call([](Heap& heap, HeapUser who) { return heap.statistics(who.holder); });
    }
    /// Reads everything. Empty: all is right.
    [[nodiscard]] Outcome<std::vector<HeapFinding>> audit() {
        return call([](Heap& heap, HeapUser who) { return heap.audit(who.holder); });
    }

protected:
    OpenedHeap(std::shared_ptr<HeapUse> use, std::unique_ptr<Heap> heap)
        : use_(std::move(use)), heap_(std::move(heap)) {}

    /// With the calling thread as the heap's lock knows it.
    template <typename Call>
    auto call(Call verb) -> decltype(verb(std::declval<Heap&>(), HeapUser(0))) {
        if (is_moved_from()) return fail(Errc::moved_from);
        const auto who = user_of(*use_);
        if (!who) return tl::unexpected(who.error());
        return verb(*heap_, *who);
    }

    /// What offsets count from the beginning of: the heap's memory, or its stack, which begins
    /// behind what the heap keeps for itself.
    [[nodiscard]] std::span<std::byte> counted() const {
        if (is_moved_from()) return {};
        if constexpr (requires { heap_->stack(); }) {
            return heap_->stack().value_or(std::span<std::byte>());
        } else {
            return memory();
        }
    }
    [[nodiscard]] HeapHeader& header() const {
        return *reinterpret_cast<HeapHeader*>(memory().data());
    }
    [[nodiscard]] bool is_moved_from() const { return heap_ == nullptr; }
    [[nodiscard]] HeapOrigin origin() const { return use_ ? use_->origin() : HeapOrigin(); }
    /// Of one that was not moved from.
    [[nodiscard]] Heap& heap() const { return *heap_; }
    [[nodiscard]] const HeapUse& use() const { return *use_; }

private:
    std::shared_ptr<HeapUse> use_;
    std::unique_ptr<Heap> heap_;
};

}  // namespace shmpool
