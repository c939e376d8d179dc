// SPDX-License-Identifier: Apache-2.0
/// The heaps of a pool as a peer has them: shared memory for what is no message. What they hand out
/// is named by an offset, the same in every process, which is of this heap and of no other; `at`
/// and `offset_of` translate (opened_heap.hpp). Whoever dies in the middle of a call leaves the
/// heap as it was before.
///
///   auto table = peer.byte_heap("table").value();
///   const HeapOffset block = table.allocate(1000).value();
///   std::memcpy(table.at(block), ...);           // another peer: table.at(block), elsewhere
///
/// What lies in a heap must hold no pointers: an object lies at another address in each process.
///
/// Threads: every call may be made from any thread; each takes the lane of its thread. Errors are
/// those of byte_heap.hpp, page_heap.hpp, page_chain.hpp, id_heap.hpp, object_heap.hpp and
/// stack_heap.hpp, and read_only, forked, no_lane, moved_from. `would_block`: somebody is in the
/// heap for longer than the patience, or has died in it while there is no host that could say so;
/// with a host, who died is passed over at once.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "peer/control_channel.hpp"
#include "peer/opened_heap.hpp"
#include "protocol/heap_request.hpp"
#include "shmpool/heap/block_source.hpp"
#include "shmpool/heap/byte_heap.hpp"
#include "shmpool/heap/heap_audit.hpp"
#include "shmpool/heap/id_heap.hpp"
#include "shmpool/heap/object_heap.hpp"
#include "shmpool/heap/page_chain.hpp"
#include "shmpool/heap/page_heap.hpp"
#include "shmpool/heap/stack_heap.hpp"

namespace shmpool {

/// What a new heap is to be.
struct HeapSpec {
    HeapKind kind = HeapKind::tlsf;
    std::uint64_t bytes = 0;      ///< All of its memory, what it keeps for itself included.
    std::uint64_t max_bytes = 0;  ///< That it may grow to, of address space; 0: it can not grow.
    HeapOptions options;          ///< Of its kind.
    OnDeath on_death = OnDeath::keep;
};

/// What a peer's verbs ask of the host; an observer may ask too, if it has the right to grow.
[[nodiscard]] Result<HeapId> create_heap(ControlChannel& control, std::string_view name,
                                         const HeapSpec& spec);
/// Asks again, for as long as one waits for a heap's lock, while somebody is in it.
[[nodiscard]] Result<void> grow_heap(ControlChannel& control, HeapId heap, std::uint64_t to_bytes);
[[nodiscard]] Result<void> destroy_heap(ControlChannel& control, HeapId heap);

class PeerBlocks;

/// See byte_heap.hpp.
class SharedByteHeap : public OpenedHeap<ByteHeap> {
public:
    SharedByteHeap(std::shared_ptr<HeapUse> use, std::unique_ptr<ByteHeap> heap);
    SharedByteHeap(SharedByteHeap&&) noexcept;
    SharedByteHeap& operator=(SharedByteHeap&&) noexcept;
    ~SharedByteHeap();

    /// By addresses of this process: for heap_resource.hpp, and, as long as this is open, for every
    /// allocator (offset_allocator.hpp) of this heap, wherever it lies. Not of a read-only peer.
    [[nodiscard]] BlockSource& blocks() const;

    [[nodiscard]] Outcome<HeapOffset> allocate(std::uint64_t bytes, std::uint64_t alignment = 16) {
        return call(
            [&](ByteHeap& heap, HeapUser who) { return heap.allocate(who, bytes, alignment); });
    }
    Outcome<void> free(HeapOffset block) {
        return call([&](ByteHeap& heap, HeapUser who) { return heap.free(who.holder, block); });
    }
    /// From now on it is nobody's: with on_death = reclaim too it outlives its owner. With `keep`
    /// it does so anyway, and nothing changes.
    Outcome<void> keep(HeapOffset block) {
        return call([&](ByteHeap& heap, HeapUser who) {
            return heap.set_owner(who.holder, block, nobodys);
        });
    }
    /// See heap_cell.hpp: found by all, or not allocated at all.
    [[nodiscard]] Outcome<HeapOffset> allocate_into(std::uint64_t bytes, const HeapCell& cell,
                                                    std::uint64_t alignment = 16) {
        return call([&](ByteHeap& heap, HeapUser who) {
            return heap.allocate_into(who.holder, bytes, alignment, cell);
        });
    }
    Outcome<void> keep_in(HeapOffset block, const HeapCell& cell) {
        return call(
            [&](ByteHeap& heap, HeapUser who) { return heap.keep_in(who.holder, block, cell); });
    }
    Outcome<void> free_from(const HeapCell& cell) {
        return call([&](ByteHeap& heap, HeapUser who) { return heap.free_from(who.holder, cell); });
    }
    [[nodiscard]] Outcome<std::uint64_t> usable_bytes(HeapOffset block) {
        return call(
            [&](ByteHeap& heap, HeapUser who) { return heap.usable_bytes(who.holder, block); });
    }

private:
    std::unique_ptr<PeerBlocks> blocks_;
};

/// See page_heap.hpp.
class SharedPageHeap : public OpenedHeap<PageHeap> {
public:
    SharedPageHeap(std::shared_ptr<HeapUse> use, std::unique_ptr<PageHeap> heap)
        : OpenedHeap(std::move(use), std::move(heap)) {}

    [[nodiscard]] Outcome<HeapOffset> allocate_pages(std::uint64_t count,
                                                     std::uint64_t alignment_bytes = page_bytes) {
        return call([&](PageHeap& heap, HeapUser who) {
            return heap.allocate_pages(who, count, alignment_bytes);
        });
    }
    [[nodiscard]] Outcome<HeapOffset> allocate_pages_at(
        HeapOffset base, std::uint64_t count, std::uint64_t alignment_bytes = page_bytes) {
        return call([&](PageHeap& heap, HeapUser who) {
            return heap.allocate_pages_at(who, base, count, alignment_bytes);
        });
    }
    /// As SharedByteHeap::allocate_into, keep_in and free_from.
    [[nodiscard]] Outcome<HeapOffset> allocate_pages_into(
        std::uint64_t count, const HeapCell& cell, std::uint64_t alignment_bytes = page_bytes) {
        return call([&](PageHeap& heap, HeapUser who) {
            return heap.allocate_pages_into(who.holder, count, alignment_bytes, cell);
        });
    }
    Outcome<void> keep_pages_in(HeapOffset offset, std::uint64_t count, const HeapCell& cell) {
        return call([&](PageHeap& heap, HeapUser who) {
            return heap.keep_pages_in(who.holder, offset, count, cell);
        });
    }
    Outcome<void> free_pages_from(std::uint64_t count, const HeapCell& cell) {
        return call([&](PageHeap& heap, HeapUser who) {
            return heap.free_pages_from(who.holder, count, cell);
        });
    }
    /// As SharedByteHeap::keep.
    Outcome<void> keep_pages(HeapOffset offset, std::uint64_t count) {
        return call([&](PageHeap& heap, HeapUser who) {
            return heap.set_owner(who.holder, offset, count, nobodys);
        });
    }
    Outcome<void> free_pages(HeapOffset offset, std::uint64_t count) {
        return call([&](PageHeap& heap, HeapUser who) {
            return heap.free_pages(who.holder, offset, count);
        });
    }
};

/// See page_chain.hpp.
class SharedPageChain : public OpenedHeap<PageChain> {
public:
    SharedPageChain(std::shared_ptr<HeapUse> use, std::unique_ptr<PageChain> heap)
        : OpenedHeap(std::move(use), std::move(heap)) {}

    /// The bytes of a page, in this process, handed out or not; empty if there is no such page.
    [[nodiscard]] std::span<std::byte> bytes(PageId page) const {
        if (is_moved_from()) return {};
        const auto offset = heap().offset_of(page);
        if (!offset) return {};
        return memory().subspan(*offset, heap().bytes_per_page());
    }

    [[nodiscard]] Outcome<PageId> allocate() {
        return call([](PageChain& heap, HeapUser who) { return heap.allocate(who); });
    }
    Outcome<void> free(PageId page) {
        return call([&](PageChain& heap, HeapUser who) { return heap.free(who.holder, page); });
    }
    /// A pin is its peer's, whichever of its threads pins and unpins.
    Outcome<void> pin(PageId page) {
        return call([&](PageChain& heap, HeapUser who) { return heap.pin(who, page); });
    }
    Outcome<void> unpin(PageId page) {
        return call([&](PageChain& heap, HeapUser who) { return heap.unpin(who, page); });
    }
    /// As SharedByteHeap::keep.
    Outcome<void> keep(PageId page) {
        return call([&](PageChain& heap, HeapUser who) {
            return heap.set_owner(who.holder, page, nobodys);
        });
    }
    [[nodiscard]] Outcome<PageState> state(PageId page) {
        return call([&](PageChain& heap, HeapUser who) { return heap.state(who.holder, page); });
    }
    [[nodiscard]] Outcome<PageChainSnapshot> snapshot() {
        return call([](PageChain& heap, HeapUser who) { return heap.snapshot(who.holder); });
    }
};

/// See id_heap.hpp.
class SharedIdHeap : public OpenedHeap<IdHeap> {
public:
    SharedIdHeap(std::shared_ptr<HeapUse> use, std::unique_ptr<IdHeap> heap)
        : OpenedHeap(std::move(use), std::move(heap)) {}

    [[nodiscard]] Outcome<std::uint64_t> allocate_id(std::uint64_t count = 1,
                                                     std::uint64_t alignment = 1) {
        return call(
            [&](IdHeap& heap, HeapUser who) { return heap.allocate_id(who, count, alignment); });
    }
    Outcome<void> allocate_fixed_id(std::uint64_t id) {
        return call(
            [&](IdHeap& heap, HeapUser who) { return heap.allocate_fixed_id(who.holder, id); });
    }
    /// As SharedByteHeap::keep.
    Outcome<void> keep_id(std::uint64_t start, std::uint64_t count = 1) {
        return call([&](IdHeap& heap, HeapUser who) {
            return heap.set_owner(who.holder, start, count, nobodys);
        });
    }
    Outcome<void> free_id(std::uint64_t start, std::uint64_t count = 1) {
        return call(
            [&](IdHeap& heap, HeapUser who) { return heap.free_id(who.holder, start, count); });
    }
    [[nodiscard]] Outcome<bool> is_allocated(std::uint64_t id) {
        return call([&](IdHeap& heap, HeapUser who) { return heap.is_allocated(who.holder, id); });
    }
    Outcome<void> add_ids(std::uint64_t count) {
        return call([&](IdHeap& heap, HeapUser who) { return heap.add_ids(who.holder, count); });
    }
};

/// See object_heap.hpp; objects of a type: slab_cache.hpp.
class SharedObjectHeap : public OpenedHeap<ObjectHeap> {
public:
    SharedObjectHeap(std::shared_ptr<HeapUse> use, std::unique_ptr<ObjectHeap> heap)
        : OpenedHeap(std::move(use), std::move(heap)) {}

    /// 0 of one that was moved from.
    [[nodiscard]] std::uint64_t object_bytes() const {
        return is_moved_from() ? 0 : heap().object_bytes();
    }
    [[nodiscard]] std::uint64_t object_alignment() const {
        return is_moved_from() ? 0 : heap().object_alignment();
    }

    [[nodiscard]] Outcome<HeapOffset> allocate() {
        return call([](ObjectHeap& heap, HeapUser who) { return heap.allocate(who); });
    }
    Outcome<void> free(HeapOffset object) {
        return call([&](ObjectHeap& heap, HeapUser who) { return heap.free(who.holder, object); });
    }
    /// As SharedByteHeap::allocate_into, keep_in and free_from.
    [[nodiscard]] Outcome<HeapOffset> allocate_into(const HeapCell& cell) {
        return call(
            [&](ObjectHeap& heap, HeapUser who) { return heap.allocate_into(who.holder, cell); });
    }
    Outcome<void> keep_in(HeapOffset object, const HeapCell& cell) {
        return call(
            [&](ObjectHeap& heap, HeapUser who) { return heap.keep_in(who.holder, object, cell); });
    }
    Outcome<void> free_from(const HeapCell& cell) {
        return call(
            [&](ObjectHeap& heap, HeapUser who) { return heap.free_from(who.holder, cell); });
    }
    [[nodiscard]] Outcome<bool> is_live(HeapOffset object) {
        return call(
            [&](ObjectHeap& heap, HeapUser who) { return heap.is_live(who.holder, object); });
    }
    /// As SharedByteHeap::keep.
    Outcome<void> keep(HeapOffset object) {
        return call([&](ObjectHeap& heap, HeapUser who) {
            return heap.set_owner(who.holder, object, nobodys);
        });
    }
};

/// See stack_heap.hpp.
class SharedStackHeap : public OpenedHeap<StackHeap> {
public:
    SharedStackHeap(std::shared_ptr<HeapUse> use, std::unique_ptr<StackHeap> heap)
        : OpenedHeap(std::move(use), std::move(heap)) {}

    /// The bytes of a block, in this process; empty if it does not lie in the stack. A read-only
    /// peer may read them.
    [[nodiscard]] std::span<std::byte> bytes(const StackHandle& handle) const {
        const auto all = counted();
        const HeapOffset inside = origin().inside(handle.offset);
        const bool lies_inside = inside <= all.size() && handle.len <= all.size() - inside;
        return lies_inside ? all.subspan(inside, handle.len) : std::span<std::byte>();
    }

    /// What begins so many bytes behind the beginning of the stack: of the users' own bytes there,
    /// or of all of a linear one.
    [[nodiscard]] StackHandle handle_of(std::uint64_t begin, std::uint64_t len) const {
        return {origin().given(begin), len};
    }

    [[nodiscard]] Outcome<StackHandle> alloc(std::uint64_t len) {
        return call([&](StackHeap& heap, HeapUser who) { return heap.alloc(who.holder, len); });
    }
    [[nodiscard]] Outcome<StackHandle> realloc(const StackHandle& handle, std::uint64_t len) {
        return call(
            [&](StackHeap& heap, HeapUser who) { return heap.realloc(who.holder, handle, len); });
    }
    Outcome<void> dealloc(const StackHandle& handle) {
        return call(
            [&](StackHeap& heap, HeapUser who) { return heap.dealloc(who.holder, handle); });
    }
    [[nodiscard]] Outcome<std::vector<StackHandle>> alloc_bulk(
        std::span<const std::uint64_t> lengths) {
        return call(
            [&](StackHeap& heap, HeapUser who) { return heap.alloc_bulk(who.holder, lengths); });
    }
    Outcome<void> dealloc_bulk(std::span<const StackHandle> handles) {
        return call(
            [&](StackHeap& heap, HeapUser who) { return heap.dealloc_bulk(who.holder, handles); });
    }
    [[nodiscard]] Outcome<std::uint64_t> len() {
        return call([](StackHeap& heap, HeapUser who) { return heap.len(who.holder); });
    }
    Outcome<std::uint64_t> recover() {
        return call([](StackHeap& heap, HeapUser who) { return heap.recover(who.holder); });
    }
};

}  // namespace shmpool
