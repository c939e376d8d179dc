// SPDX-License-Identifier: Apache-2.0
/// Objects of one size, out of slabs that are cut one behind the other from the heap's memory when
/// all that there are is handed out. Every step takes a bounded time, whatever is live.
///
/// A slab says of each of its objects whether it is live, or which one is the next free one: that
/// is the truth and the list at once. It stands in front of the objects and never in them, so who
/// writes into an object that he has given back changes nothing that others have, and an object's
/// bytes are its user's alone. A free object comes back latest first.
///
/// Slabs with a free object are a stack: only its top hands out, so a slab that is full is on its
/// top, and one that is full no more comes to the top. A slab is never given back: all memory of
/// the heap is for objects of this size. Where objects begin and end follows from the heap's
/// settings, so double frees, foreign offsets and offsets into an object are errors, exactly.
///
/// Every change is logged (heap_words.hpp): under the heap's lock, undone by its next holder.
///
/// Source: Bonwick, "The slab allocator" (USENIX 1994), with indices in place of pointers.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "shmpool/heap/heap_answer.hpp"
#include "shmpool/heap/heap_owner.hpp"
#include "shmpool/heap/heap_words.hpp"
#include "shmpool/heap/object_slab_plan.hpp"

namespace shmpool {

namespace object_slab {

/// The words of slabs, each checked when it is read. The holder of the heap's lock, one thread.
template <typename Words>
class Slabs {
public:
    struct Counts {
        std::uint64_t free = none;
        std::uint64_t fresh = 0;
    };

    Slabs(Words& words, const Shape& shape, HeapOffset engine)
        : words_(words), shape_(shape), engine_(engine) {}

    [[nodiscard]] HeapOffset head() const { return engine_ + object_slab::head; }
    [[nodiscard]] HeapOffset cut_of(std::uint32_t region) const {
        return engine_ + object_slab::cut + 8 * std::uint64_t{region};
    }

    /// A slab begins there, and was cut: nothing that a user writes can make it so.
    [[nodiscard]] bool is_cut(HeapOffset slab) {
        for (std::uint32_t i = 0; i < heap_regions_max; ++i) {
            const HeapExtent extent = words_.region(i);
            if (!extent.holds(slab)) continue;
            const std::uint64_t behind = slab - extent.offset;
            return shape_.slab_of(behind) == behind && behind < words_.get(cut_of(i)) &&
                   shape_.slab_bytes <= extent.bytes - behind;
        }
        return false;
    }
    /// Nobody has written over its beginning. It is cut.
    [[nodiscard]] bool is_guarded(HeapOffset slab) {
        return words_.get(slab + guard) == (slab_guard ^ slab);
    }

    /// Of a cut slab: whether they can be so.
    [[nodiscard]] bool read_counts(HeapOffset slab, Counts& read) {
        const std::uint64_t word = words_.get(slab + counts);
        read = {word & 0xFFFF, word >> 16};
        return read.fresh <= shape_.objects && may_follow(read.free, read);
    }
    /// Nonsense is damage.
    [[nodiscard]] Counts counts_of(HeapOffset slab) {
        Counts read;
        if (read_counts(slab, read)) return read;
        words_.fail();
        return {};
    }
    void set_counts(HeapOffset slab, const Counts& now) {
        words_.set(slab + counts, now.free | now.fresh << 16);
    }
    [[nodiscard]] bool is_full(const Counts& now) const {
        return now.free == none && now.fresh == shape_.objects;
    }
    /// What an entry of a free object may say.
    [[nodiscard]] static bool may_follow(std::uint64_t entry, const Counts& now) {
        return entry == none || entry < now.fresh;
    }

    [[nodiscard]] std::uint64_t entry_of(HeapOffset slab, std::uint64_t index) {
        return words_.get(word_of(slab, index)) >> shift_of(index) & 0xFFFF;
    }
    void set_entry(HeapOffset slab, std::uint64_t index, std::uint64_t entry) {
        const std::uint64_t others =
            words_.get(word_of(slab, index)) & ~(std::uint64_t{0xFFFF} << shift_of(index));
        words_.set(word_of(slab, index), others | entry << shift_of(index));
    }

    [[nodiscard]] HeapOffset owner_of(HeapOffset slab, std::uint64_t index) const {
        return slab + shape_.owners + 8 * index;
    }

private:
    [[nodiscard]] static HeapOffset word_of(HeapOffset slab, std::uint64_t index) {
        return slab + entries + index / 4 * 8;
    }
    [[nodiscard]] static std::uint64_t shift_of(std::uint64_t index) { return index % 4 * 16; }

    Words& words_;
    const Shape& shape_;
    HeapOffset engine_;
};

}  // namespace object_slab

/// The holder of the heap's lock, one thread. After an error, and after `words.failed()`, the
/// caller undoes what was written.
template <typename Words>
class ObjectSlabs {
public:
    using Slabs = object_slab::Slabs<Words>;
    using Counts = typename Slabs::Counts;

    ObjectSlabs(Words& words, const ObjectPlan& plan)
        : words_(words), plan_(plan), slabs_(words, plan.shape, plan.heap.engine_offset()) {}

    /// The slabs that lie in it whole; may be none. It lies in the memory.
    [[nodiscard]] HeapExtent whole_slabs(const HeapExtent& extent) const {
        const std::uint64_t slab = shape().slab_bytes;
        const HeapOffset first = shape().slab_of(extent.offset + slab - 1);
        const HeapOffset end = shape().slab_of(extent.offset + extent.bytes);
        return {first, first < end ? end - first : 0};
    }
    /// How many bytes of objects there are in whole slabs.
    [[nodiscard]] std::uint64_t room_in(const HeapExtent& slabs) const {
        return slabs.bytes / shape().slab_bytes * shape().objects * shape().object_bytes;
    }

    /// no_memory.
    Answer<HeapOffset> allocate(HeapOwner owner) {
        HeapOffset slab = words_.get(slabs_.head());
        if (slab == 0) slab = cut_slab();
        if (slab == 0) return fail(Errc::no_memory);
        if (!slabs_.is_cut(slab) || !slabs_.is_guarded(slab)) return damage();
        Counts counts = slabs_.counts_of(slab);
        const bool is_fresh = counts.free == object_slab::none;
        const std::uint64_t index = is_fresh ? counts.fresh++ : counts.free;
        if (index >= shape().objects) return damage();  // It was full, and in the stack.
        if (!is_fresh) {
            counts.free = slabs_.entry_of(slab, index);
            if (!Slabs::may_follow(counts.free, counts)) return damage();  // Live, or nonsense.
        }
        slabs_.set_entry(slab, index, object_slab::live);
        slabs_.set_counts(slab, counts);
        if (slabs_.is_full(counts)) {
            words_.set(slabs_.head(), words_.get(slab + object_slab::next));
        }
        if (plan_.owned) words_.set_in_free(slabs_.owner_of(slab, index), owner);
        return shape().object(slab, index);
    }

    /// not_allocated.
    Answer<void> free(HeapOffset object) {
        const std::optional<Place> place = find_live(object);
        if (!place) return fail(Errc::not_allocated);
        const auto [slab, index, counts] = *place;
        if (slabs_.is_full(counts)) {
            words_.set(slab + object_slab::next, words_.get(slabs_.head()));
            words_.set(slabs_.head(), slab);
        }
        slabs_.set_entry(slab, index, counts.free);
        slabs_.set_counts(slab, {index, counts.fresh});
        return {};
    }

    /// A live object begins there. Anything may be asked; a slab that is damaged is damage.
    [[nodiscard]] bool is_live(HeapOffset object) { return find_live(object).has_value(); }

    /// Of an owned heap. not_allocated.
    Answer<void> set_owner(HeapOffset object, HeapOwner owner) {
        const std::optional<Place> place = find_live(object);
        if (!place) return fail(Errc::not_allocated);
        words_.set(slabs_.owner_of(place->slab, place->index), owner);
        return {};
    }
    /// Live, and its owner is gone. Of an owned heap.
    [[nodiscard]] bool is_left(HeapOffset object, const IsGone& is_gone) {
        const std::optional<Place> place = find_live(object);
        if (!place) return false;
        const HeapOwner owner = words_.get(slabs_.owner_of(place->slab, place->index));
        return owner != nobodys && is_gone(owner);
    }
    /// Live objects whose owner is gone. A slab that is damaged is left out.
    struct Left {
        std::vector<HeapOffset> objects;
        bool met_damage = false;
    };
    [[nodiscard]] Left all_left(const IsGone& is_gone) {
        Left left;
        for_each_slab([&](HeapOffset slab) {
            Counts counts;
            if (!slabs_.is_guarded(slab) || !slabs_.read_counts(slab, counts)) {
                left.met_damage = true;
                return;
            }
            for (std::uint64_t i = 0; i < counts.fresh; ++i) {
                const HeapOffset object = shape().object(slab, i);
                if (is_left(object, is_gone)) left.objects.push_back(object);
            }
        });
        return left;
    }

    /// How many have been cut.
    [[nodiscard]] std::uint64_t count_slabs() {
        std::uint64_t count = 0;
        for (std::uint32_t i = 0; i < heap_regions_max; ++i) {
            count += words_.get(slabs_.cut_of(i)) / shape().slab_bytes;
        }
        return count;
    }

private:
    [[nodiscard]] const object_slab::Shape& shape() const { return plan_.shape; }

    /// Of a live object.
    struct Place {
        HeapOffset slab;
        std::uint64_t index;
        Counts counts;
    };
    [[nodiscard]] std::optional<Place> find_live(HeapOffset object) {
        const HeapOffset slab = shape().slab_of(object);
        const std::uint64_t index = shape().index_of(object);
        if (index == shape().objects || !slabs_.is_cut(slab)) return std::nullopt;
        if (!slabs_.is_guarded(slab)) words_.fail();
        const Counts counts = slabs_.counts_of(slab);
        const bool is_live =
            index < counts.fresh && slabs_.entry_of(slab, index) == object_slab::live;
        if (!is_live) return std::nullopt;
        return Place{slab, index, counts};
    }
    [[nodiscard]] tl::unexpected<Errc> damage() {
        words_.fail();
        return fail(Errc::heap_damaged);
    }

    template <typename Visit>
    void for_each_slab(Visit visit) {
        for (std::uint32_t i = 0; i < heap_regions_max; ++i) {
            const HeapExtent extent = words_.region(i);
            const std::uint64_t cut = words_.get(slabs_.cut_of(i));
            for (std::uint64_t at = 0; at < cut && slabs_.is_cut(extent.offset + at);
                 at += shape().slab_bytes) {
                visit(extent.offset + at);
            }
        }
    }

    /// One more, on top of the stack, which is empty; 0: there is no memory for one.
    HeapOffset cut_slab() {
        for (std::uint32_t i = 0; i < heap_regions_max; ++i) {
            const HeapExtent extent = words_.region(i);
            const std::uint64_t cut = words_.get(slabs_.cut_of(i));
            if (cut >= extent.bytes || extent.bytes - cut < shape().slab_bytes) continue;
            const HeapOffset slab = extent.offset + cut;
            words_.set_in_free(slab + object_slab::guard, object_slab::slab_guard ^ slab);
            words_.set_in_free(slab + object_slab::next, 0);
            words_.set_in_free(slab + object_slab::counts, object_slab::none);
            words_.set(slabs_.cut_of(i), cut + shape().slab_bytes);
            words_.set(slabs_.head(), slab);
            return slab;
        }
        return 0;
    }

    Words& words_;
    const ObjectPlan& plan_;
    Slabs slabs_;
};

}  // namespace shmpool
