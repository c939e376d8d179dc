// SPDX-License-Identifier: Apache-2.0
/// Ids by bitmap: the free ones are the members of a BitmapTree, the fixed ones those of another;
/// id number n of the heap is its first one plus n. `total_bytes` and `used_bytes` of the header
/// count ids. What lies behind the `total_bytes` first ones is in neither of them, until ids are
/// added.
///
/// Every change is logged (heap_words.hpp): under the heap's lock, undone by its next holder. The
/// journal has room for every word of a tree, so a run may be as long as there are ids; one change
/// writes into one of the trees, or one number into both. Half a byte for each id in all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "shmpool/heap/bitmap_tree.hpp"
#include "shmpool/heap/heap_plan.hpp"
#include "shmpool/heap/owner_table.hpp"

namespace shmpool {

/// What follows from the first id and their greatest count.
struct IdPlan {
    /// Besides the words of a tree: two counters, and a word of each level of the other tree.
    static constexpr std::uint64_t journal_rest = 2 + 11;

    std::uint64_t first_id;
    BitmapShape shape;
    std::uint64_t owners;  ///< Words of the table of owners; 0: the heap is not owned.
    HeapPlan heap;

    /// invalid_argument; region_too_small, so that no sum of what is needed overflows.
    [[nodiscard]] static Result<IdPlan> of(std::uint64_t memory_bytes, std::uint64_t first_id,
                                           std::uint64_t id_capacity, bool owned) {
        if (id_capacity == 0 || id_capacity > 0 - first_id - 1) {
            return fail(Errc::invalid_argument,
                        std::to_string(id_capacity) + " ids from " + std::to_string(first_id) +
                            " on: there must be one or more, below 2^64 - 1");
        }
        if (id_capacity / 2 > memory_bytes) {
            return fail(Errc::region_too_small,
                        std::to_string(id_capacity) + " ids take half a byte each and more; " +
                            std::to_string(memory_bytes) + " bytes were given");
        }
        const BitmapShape shape(id_capacity);
        const std::uint64_t owners = owned ? shape.bound() : 0;
        return IdPlan{first_id, shape, owners,
                      HeapPlan{HeapKind::ids,
                               shape.words() + journal_rest,
                               2 * shape.bytes() + 8 * owners,
                               {first_id, id_capacity}}};
    }
};

/// The holder of the heap's lock, one thread. After an error, and after `words.failed()`, the
/// caller undoes what was written.
template <typename Words>
class BitmapIds {
public:
    BitmapIds(Words& words, const IdPlan& plan)
        : words_(words),
          plan_(plan),
          free_(words, plan.heap.engine_offset(), plan.shape),
          fixed_(words, plan.heap.engine_offset() + plan.shape.bytes(), plan.shape),
          owners_(words, plan.heap.engine_offset() + 2 * plan.shape.bytes(), plan.owners) {}

    Outcome<void> add(std::uint64_t count) {
        const std::uint64_t before = size();
        if (count > plan_.shape.bound() - before) return fail(Errc::no_memory);
        free_.insert(before, before + count);
        words_.add(offsetof(HeapHeader, total_bytes), count);
        return {};
    }

    Outcome<std::uint64_t> allocate(std::uint64_t count, std::uint64_t alignment, HeapOwner owner) {
        if (count > available()) return fail(Errc::no_memory);
        const auto first = free_.find_run(count, alignment, plan_.first_id);
        if (!first) return fail(Errc::no_memory);
        owners_.hand_out(*first, count, owner);
        free_.remove(*first, *first + count);
        words_.add(offsetof(HeapHeader, used_bytes), count);
        if (!are_ours(*first, count)) words_.fail();  // A free bit was nonsense.
        return plan_.first_id + *first;
    }

    Outcome<void> allocate_fixed(std::uint64_t id) {
        const std::uint64_t number = id - plan_.first_id;
        if (!are_ours(number, 1)) return fail(Errc::invalid_argument);
        if (!free_.holds_all(number, number + 1)) return fail(Errc::no_memory);
        free_.remove(number, number + 1);
        fixed_.insert(number, number + 1);
        words_.add(offsetof(HeapHeader, used_bytes), 1);
        return {};
    }

    /// All of them or none.
    Outcome<void> free(std::uint64_t start, std::uint64_t count) {
        const std::uint64_t first = start - plan_.first_id;
        if (!are_live(start, count)) return fail(Errc::not_allocated);
        if (fixed_.holds_any(first, first + count)) return fail(Errc::unsupported);
        free_.insert(first, first + count);
        words_.add(offsetof(HeapHeader, used_bytes), 0 - count);
        return {};
    }

    /// All of them are handed out, or fixed.
    [[nodiscard]] bool are_live(std::uint64_t start, std::uint64_t count) {
        const std::uint64_t first = start - plan_.first_id;
        return are_ours(first, count) && !free_.holds_any(first, first + count);
    }

    /// It is live.
    void set_owner(std::uint64_t id, HeapOwner owner) { owners_.set(id - plan_.first_id, owner); }
    [[nodiscard]] bool is_left(std::uint64_t id, const IsGone& is_gone) {
        return may_have_owner(id) && owners_.is_left(id - plan_.first_id, is_gone);
    }
    /// Ids whose owner is gone; some of them may be free by now.
    [[nodiscard]] std::vector<std::uint64_t> all_left(const IsGone& is_gone) {
        std::vector<std::uint64_t> ids = owners_.all_left(is_gone);
        for (std::uint64_t& id : ids) id += plan_.first_id;
        return ids;
    }

    [[nodiscard]] std::uint64_t size() {
        const std::uint64_t size = words_.get(offsetof(HeapHeader, total_bytes));
        if (size <= plan_.shape.bound()) return size;
        words_.fail();
        return 0;
    }
    [[nodiscard]] std::uint64_t used() { return words_.get(offsetof(HeapHeader, used_bytes)); }
    [[nodiscard]] std::uint64_t available() {
        const std::uint64_t all = size();
        const std::uint64_t taken = used();
        if (taken > all) words_.fail();
        return all - taken;
    }

    [[nodiscard]] HeapCensus take_census() {
        HeapCensus census;
        free_.look_at_all(census);
        fixed_.look_at_all(census);
        census.total_bytes = size();
        const std::uint64_t bound = plan_.shape.bound();
        census.used_bytes = census.total_bytes - free_.count(0, census.total_bytes);
        const HeapOffset engine = plan_.heap.engine_offset();
        census.expect("free and none of ours", engine, 0, free_.count(census.total_bytes, bound));
        census.expect("fixed and none of ours", engine, 0, fixed_.count(census.total_bytes, bound));
        for (auto id = fixed_.next(0); id; id = fixed_.next(*id + 1)) {
            if (free_.holds_all(*id, *id + 1)) {
                census.find(engine, "fixed and free: " + std::to_string(plan_.first_id + *id));
            }
        }
        owners_.look_at_all(
            census, [&](std::uint64_t number) { return may_have_owner(plan_.first_id + number); });
        return census;
    }

private:
    /// What is fixed stays fixed: it is nobody's.
    [[nodiscard]] bool may_have_owner(std::uint64_t id) {
        const std::uint64_t number = id - plan_.first_id;
        return are_live(id, 1) && !fixed_.holds_any(number, number + 1);
    }
    /// Also false when an id was below the first one: the difference has become large.
    [[nodiscard]] bool are_ours(std::uint64_t first, std::uint64_t count) {
        const std::uint64_t all = size();
        return first < all && count <= all - first;
    }

    Words& words_;
    const IdPlan& plan_;
    BitmapTree<Words> free_;
    BitmapTree<Words> fixed_;
    OwnerTable<Words> owners_;
};

}  // namespace shmpool
