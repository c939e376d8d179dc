// SPDX-License-Identifier: Apache-2.0
/// How engines read and write the words of a heap, so that a change of many words is all there or
/// not at all, wherever its author dies. Before a word changes, its old value is written into the
/// journal; `commit` empties the journal with one store, and that decides. Whoever finds entries
/// in it, because their author died or gave up, puts the old values back (`undo`), the last first;
/// to do that twice, or to die in it and begin again, changes nothing.
///
/// A word that others read without the lock gets its new value behind the decision
/// (`set_when_decided`), so that nobody sees what is undone; the header keeps the value until it is
/// written, by the author or by who comes next (`finish`). So it is with words that become 0 and
/// are too many for the journal (`zero_when_decided`).
///
/// Only the holder of the heap's lock touches the journal and writes words. The stores of one
/// author need no order but the program's: a kill leaves a prefix of them, and who looks next has
/// got the lock behind the author.
///
/// What is read is not believed (I6): an offset outside of the memory reads as 0, writes nowhere,
/// and makes `failed` true for good; then the whole change is undone and the heap is damaged.
///
/// Class: logged, with undo; the method is the rollback journal of data bases, on words.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "shmpool/layout/heap_image.hpp"
#include "shmpool/platform/atomics.hpp"

namespace shmpool {

/// A part of a heap's memory.
struct HeapExtent {
    HeapOffset offset = 0;
    std::uint64_t bytes = 0;

    [[nodiscard]] constexpr HeapOffset end() const { return offset + bytes; }
    [[nodiscard]] constexpr bool holds(HeapOffset at) const {
        return at >= offset && at - offset < bytes;
    }
    [[nodiscard]] constexpr bool overlaps(const HeapExtent& other) const {
        return offset < other.offset + other.bytes && other.offset < offset + bytes;
    }
    /// Of it and of what follows it.
    [[nodiscard]] constexpr HeapExtent with(const HeapExtent& next) const {
        return {offset, bytes + next.bytes};
    }
    friend bool operator==(const HeapExtent&, const HeapExtent&) = default;
};

/// What an engine has handed out.
struct HeapPiece {
    HeapOffset offset = 0;
    std::uint64_t bytes = 0;  ///< Of what is used for it, overhead included.
};

/// What the links of a block that becomes free lie upon.
enum class Links : std::uint8_t {
    new_ones,    ///< Memory that is free before and after: nobody needs it again.
    of_content,  ///< What its user has written, until the change is complete.
};

/// Called before every store: a test counts, and dies where it wants to. One that plays its death
/// by an exception has a `has_died` too (heap_guard.hpp).
struct NoStoreHook {
    static void before_store() {}
};

/// One that has to know what was written, and may take its time over each decision: of a heap on a
/// file (heap_sync.hpp).
template <typename StoreHook>
concept SyncingHook = requires(StoreHook& hook, std::span<const std::byte> written) {
    hook.wrote(written);
    hook.sync();
    { hook.failed() } -> std::same_as<bool>;
};

/// One process's hold of the memory of one heap. The holder of the lock, one thread.
template <typename StoreHook = NoStoreHook>
class HeapWords {
public:
    /// `memory`: of the whole heap; its header has been checked. Not owned.
    explicit HeapWords(std::span<std::byte> memory, std::uint64_t journal_offset,
                       std::uint64_t journal_limit, StoreHook hook = {})
        : base_(memory.data()),
          limit_(memory.size() - sizeof(std::uint64_t)),
          journal_(reinterpret_cast<JournalEntry*>(memory.data() + journal_offset)),
          journal_limit_(journal_limit),
          hook_(hook) {}

    [[nodiscard]] std::uint64_t get(HeapOffset at) {
        if (!is_word(at)) {
            fail();
            return 0;
        }
        return word(at).load(std::memory_order_relaxed);
    }

    void set(HeapOffset at, std::uint64_t value) {
        if (!may_change(at) || count_ == journal_limit_) return fail();
        Atomic<std::uint64_t>& changed = word(at);
        JournalEntry& entry = journal_[count_];
        store(entry.offset, at);
        store(entry.old_value, changed.load(std::memory_order_relaxed));
        compiler_barrier();  // An entry counts only when it is whole.
        store(header().journal_count, ++count_);
        compiler_barrier();  // No change without an entry that counts.
        store(changed, value);
    }

    /// For words whose old value nobody needs: they lie in memory that is free before the change
    /// and after its undoing. Costs no entry.
    void set_in_free(HeapOffset at, std::uint64_t value) {
        if (failed_ || !may_change(at)) return fail();  // It could not be undone.
        store(word(at), value);
    }

    void set_link(HeapOffset at, std::uint64_t value, Links links) {
        links == Links::new_ones ? set_in_free(at, value) : set(at, value);
    }

    /// Zeros where nobody needs what is there, as `set_in_free`, of any length and alignment. In
    /// two halves, so that a test can die between them.
    void zero_in_free(const HeapExtent& extent) {
        if (failed_ || !may_change_all(extent)) return fail();
        const std::uint64_t half = extent.bytes / 2;
        StoreHook::before_store();
        std::memset(base_ + extent.offset, 0, half);
        StoreHook::before_store();
        std::memset(base_ + extent.offset + half, 0, extent.bytes - half);
        note(base_ + extent.offset, extent.bytes);
    }
    /// What begins at `from`, to where nobody needs what is there.
    void copy_to_free(HeapOffset from, const HeapExtent& to) {
        const HeapExtent source{from, to.bytes};
        if (failed_ || !may_change_all(to) || !may_change_all(source) || source.overlaps(to)) {
            return fail();
        }
        const std::uint64_t half = to.bytes / 2;
        StoreHook::before_store();
        std::memcpy(base_ + to.offset, base_ + from, half);
        StoreHook::before_store();
        std::memcpy(base_ + to.offset + half, base_ + from + half, to.bytes - half);
        note(base_ + to.offset, to.bytes);
    }

    void add(HeapOffset at, std::uint64_t difference) { set(at, get(at) + difference); }

    /// One in a change. Two entries.
    void set_when_decided(HeapOffset at, std::uint64_t value) {
        if (!may_change(at)) return fail();
        set(offsetof(HeapHeader, decided_value), value);
        set(offsetof(HeapHeader, decided_at), at);
    }
    /// With `set_when_decided`, and before that word is written: words that become 0, as many as
    /// there are. Two entries.
    void zero_when_decided(const HeapExtent& words) {
        if (!may_change_all(words) || words.offset % 8 != 0 || words.bytes % 8 != 0) return fail();
        set(offsetof(HeapHeader, decided_zeros), words.offset);
        set(offsetof(HeapHeader, decided_zeros_bytes), words.bytes);
    }

    void fail() { failed_ = true; }
    [[nodiscard]] bool failed() const { return failed_; }

    /// Region number `index`; empty if there is none, or none that lies inside of the memory.
    [[nodiscard]] HeapExtent region(std::uint32_t index) const {
        const HeapRegionImage& image = header().regions[index];
        const HeapExtent extent{image.offset.load(std::memory_order_relaxed),
                                image.bytes.load(std::memory_order_relaxed)};
        const std::uint64_t memory_bytes = limit_ + sizeof(std::uint64_t);
        const bool lies_inside = extent.offset % 8 == 0 && extent.offset <= memory_bytes &&
                                 extent.bytes <= memory_bytes - extent.offset;
        return lies_inside ? extent : HeapExtent{};
    }
    /// Empty if there is none.
    [[nodiscard]] HeapExtent region_holding(HeapOffset at) const {
        for (std::uint32_t i = 0; i < heap_regions_max; ++i) {
            if (const HeapExtent extent = region(i); extent.holds(at)) return extent;
        }
        return {};
    }

    /// The change is complete.
    void commit() {
        if (count_ == 0) return;
        compiler_barrier();  // All of it before.
        sync();
        count_ = 0;
        store(header().journal_count, 0);
        compiler_barrier();  // What follows a decision comes behind it.
        sync();
    }

    /// Writes what was decided and is not yet written; there are no entries. To do it twice changes
    /// nothing. Nonsense is left out.
    void finish() {
        const HeapOffset at = header().decided_at.load(std::memory_order_relaxed);
        if (at != 0) [[unlikely]]
            HeapWords(*this).write_decided(at);
    }

    /// Somebody has left a change that is not complete.
    [[nodiscard]] bool has_entries() const {
        return header().journal_count.load(std::memory_order_relaxed) != 0;
    }

    /// Whatever the journal holds never happened. Entries that are nonsense are left out.
    void undo() {
        HeapWords(*this).put_back();
        count_ = 0;
    }

private:
    // What is seldom done is done by a copy, out of line: so the words of a usual change, which is
    // compiled in one piece (guarded_heap.hpp), stay in registers.
    [[gnu::noinline]] void write_decided(HeapOffset at) {
        write_decided_zeros();
        if (may_change(at)) {
            const auto value = header().decided_value.load(std::memory_order_relaxed);
            StoreHook::before_store();
            word(at).store(value, std::memory_order_release);  // [R-heap-cell]
            note(&word(at), sizeof value);
        }
        store(header().decided_at, 0);
        compiler_barrier();  // Before the next change.
    }
    void write_decided_zeros() {
        const HeapExtent zeros{header().decided_zeros.load(std::memory_order_relaxed),
                               header().decided_zeros_bytes.load(std::memory_order_relaxed)};
        if (zeros.bytes == 0) return;
        if (may_change_all(zeros) && zeros.offset % 8 == 0) {
            for (std::uint64_t i = 0; i < zeros.bytes / 8; ++i)
                store(word(zeros.offset + 8 * i), 0);
        }
        compiler_barrier();  // All of them before.
        store(header().decided_zeros_bytes, 0);
    }
    [[gnu::noinline]] void put_back() {
        count_ = header().journal_count.load(std::memory_order_relaxed);
        for (std::uint64_t i = count_ <= journal_limit_ ? count_ : 0; i-- > 0;) {
            const HeapOffset at = journal_[i].offset.load(std::memory_order_relaxed);
            if (!may_change(at)) continue;
            store(word(at), journal_[i].old_value.load(std::memory_order_relaxed));
        }
        commit();
    }

    [[nodiscard]] bool is_word(HeapOffset at) const { return at <= limit_ && at % 8 == 0; }
    /// Not what the creator has written, nor the lock: whatever a nonsense offset says.
    [[nodiscard]] bool may_change(HeapOffset at) const {
        constexpr HeapOffset first = offsetof(HeapHeader, used_bytes);
        return at - first <= limit_ - first && at % 8 == 0;
    }
    [[nodiscard]] bool may_change_all(const HeapExtent& extent) const {
        const std::uint64_t memory_bytes = limit_ + sizeof(std::uint64_t);
        return extent.offset >= sizeof(HeapHeader) && extent.offset <= memory_bytes &&
               extent.bytes <= memory_bytes - extent.offset;
    }
    [[nodiscard]] Atomic<std::uint64_t>& word(HeapOffset at) const {
        return *reinterpret_cast<Atomic<std::uint64_t>*>(base_ + at);
    }
    [[nodiscard]] HeapHeader& header() const { return *reinterpret_cast<HeapHeader*>(base_); }
    void store(Atomic<std::uint64_t>& target, std::uint64_t value) {
        StoreHook::before_store();
        target.store(value, std::memory_order_relaxed);
        note(&target, sizeof target);
    }
    void note([[maybe_unused]] const void* at, [[maybe_unused]] std::uint64_t bytes) {
        if constexpr (SyncingHook<StoreHook>) {
            hook_.wrote({static_cast<const std::byte*>(at), bytes});
        }
    }
    void sync() {
        if constexpr (SyncingHook<StoreHook>) hook_.sync();
    }

    std::byte* base_;
    std::uint64_t limit_;
    JournalEntry* journal_;
    std::uint64_t journal_limit_;
    std::uint64_t count_ = 0;
    bool failed_ = false;
    [[no_unique_address]] StoreHook hook_;
};

}  // namespace shmpool
