// SPDX-License-Identifier: Apache-2.0
/// Pages by bitmap: the free ones are the members of a BitmapTree, and page number n lies at n
/// times the bytes of a page, so that the alignment of a number is that of its offset. Pages that
/// are no members are handed out, or in none of the regions; before pages become free, the table of
/// regions says which it is.
///
/// Every change is logged (heap_words.hpp): under the heap's lock, undone by its next holder. The
/// journal has room for every word of the tree, so a run may be as long as the memory; for a
/// million pages of 4 KiB, tree and journal take 0.01 % of them.
///
/// Known from ArceOS' BitmapPageAllocator, whose defects are errors or right answers here.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shmpool/heap/bitmap_tree.hpp"
#include "shmpool/heap/heap_cell.hpp"
#include "shmpool/heap/heap_plan.hpp"
#include "shmpool/heap/owner_table.hpp"

namespace shmpool {

/// What follows from the size of the memory and of a page.
struct PagePlan {
    /// Besides the words of the tree: two counters and an entry of the table of regions.
    static constexpr std::uint64_t journal_rest = 4 + cell_journal_limit;

    std::uint64_t bytes_per_page;
    BitmapShape shape;
    std::uint64_t owners;  ///< Words of the table of owners; 0: the heap is not owned.
    HeapPlan heap;

    /// invalid_argument.
    [[nodiscard]] static Result<PagePlan> of(std::uint64_t memory_bytes,
                                             std::uint64_t bytes_per_page,
                                             std::uint64_t map_alignment, bool owned) {
        if (auto good = check_page_bytes(bytes_per_page, page_bytes, map_alignment); !good) {
            return tl::unexpected(good.error());
        }
        const BitmapShape shape(memory_bytes / bytes_per_page);
        const std::uint64_t owners = owned ? shape.bound() : 0;
        return PagePlan{bytes_per_page, shape, owners,
                        HeapPlan{HeapKind::bitmap_pages,
                                 shape.words() + journal_rest,
                                 shape.bytes() + 8 * owners,
                                 {bytes_per_page, 0}}};
    }
};

/// The holder of the heap's lock, one thread. After an error, and after `words.failed()`, the
/// caller undoes what was written.
template <typename Words>
class BitmapPages {
public:
    BitmapPages(Words& words, const PagePlan& plan)
        : words_(words),
          plan_(plan),
          free_(words, plan.heap.engine_offset(), plan.shape),
          owners_(words, plan.heap.engine_offset() + plan.shape.bytes(), plan.owners) {}

    /// The pages that lie in it whole; may be none. It lies in the memory.
    [[nodiscard]] HeapExtent whole_pages(const HeapExtent& extent) const {
        const std::uint64_t page = plan_.bytes_per_page;
        const std::uint64_t first = (extent.offset + page - 1) / page;
        const std::uint64_t end = (extent.offset + extent.bytes) / page;
        return {first * page, first < end ? (end - first) * page : 0};
    }

    /// Whole pages: how many bytes they have.
    std::uint64_t add_region(const HeapExtent& pages) {
        free_.insert(number_of(pages.offset), number_of(pages.offset + pages.bytes));
        return pages.bytes;
    }

    /// The alignment has been checked, and is a page's or more.
    Outcome<HeapOffset> allocate(std::uint64_t count, std::uint64_t alignment, HeapOwner owner) {
        if (count > available_pages()) return fail(Errc::no_memory);
        const auto first = free_.find_run(count, alignment / plan_.bytes_per_page, 0);
        if (!first) return fail(Errc::no_memory);
        return take(*first, count, owner);
    }

    /// `base` is a page's offset.
    Outcome<HeapOffset> allocate_at(HeapOffset base, std::uint64_t count, HeapOwner owner) {
        const std::uint64_t first = number_of(base);
        if (!lies_inside(first, count) || !free_.holds_all(first, first + count)) {
            return fail(Errc::no_memory);
        }
        return take(first, count, owner);
    }

    /// `offset` is a page's. All of them or none.
    Outcome<void> free(HeapOffset offset, std::uint64_t count) {
        const std::uint64_t first = number_of(offset);
        if (!are_live(offset, count)) return fail(Errc::not_allocated);
        free_.insert(first, first + count);
        words_.add(offsetof(HeapHeader, used_bytes), 0 - count * plan_.bytes_per_page);
        return {};
    }

    /// All of them are handed out; `offset` is a page's.
    [[nodiscard]] bool are_live(HeapOffset offset, std::uint64_t count) {
        const std::uint64_t first = number_of(offset);
        return lies_inside(first, count) && is_in_regions(first, count) &&
               !free_.holds_any(first, first + count);
    }

    /// It is live.
    void set_owner(HeapOffset page, HeapOwner owner) { owners_.set(number_of(page), owner); }
    /// They are live. As OwnerTable::keep.
    void keep(HeapOffset offset, std::uint64_t count) { owners_.keep(number_of(offset), count); }
    [[nodiscard]] bool is_left(HeapOffset page, const IsGone& is_gone) {
        return are_live(page, 1) && owners_.is_left(number_of(page), is_gone);
    }
    /// Pages whose owner is gone; some of them may be free by now.
    [[nodiscard]] std::vector<HeapOffset> all_left(const IsGone& is_gone) {
        std::vector<HeapOffset> pages = owners_.all_left(is_gone);
        for (HeapOffset& page : pages) page *= plan_.bytes_per_page;
        return pages;
    }

    [[nodiscard]] std::uint64_t total_pages() {
        return number_of(words_.get(offsetof(HeapHeader, total_bytes)));
    }
    [[nodiscard]] std::uint64_t used_pages() {
        return number_of(words_.get(offsetof(HeapHeader, used_bytes)));
    }
    [[nodiscard]] std::uint64_t available_pages() {
        const std::uint64_t total = total_pages();
        const std::uint64_t used = used_pages();
        if (used > total) words_.fail();
        return total - used;
    }

    [[nodiscard]] HeapCensus take_census() {
        HeapCensus census;
        free_.look_at_all(census);
        std::uint64_t free_pages = 0;
        for (std::uint32_t i = 0; i < heap_regions_max; ++i) {
            const HeapExtent extent = words_.region(i);
            const HeapExtent pages = whole_pages(extent);
            if (pages.offset != extent.offset && extent.bytes != 0) {
                census.find(extent.offset, "a region that does not begin with a page");
                continue;
            }
            census.total_bytes += extent.bytes;
            free_pages +=
                free_.count(number_of(pages.offset), number_of(pages.offset + pages.bytes));
        }
        census.used_bytes = census.total_bytes - free_pages * plan_.bytes_per_page;
        census.expect("free pages outside of all regions", plan_.heap.engine_offset(), 0,
                      free_.count(0, plan_.shape.bound()) - free_pages);
        owners_.look_at_all(census, [&](std::uint64_t number) {
            return are_live(number * plan_.bytes_per_page, 1);
        });
        return census;
    }

private:
    [[nodiscard]] std::uint64_t number_of(HeapOffset at) const { return at / plan_.bytes_per_page; }
    [[nodiscard]] bool lies_inside(std::uint64_t first, std::uint64_t count) const {
        return first <= plan_.shape.bound() && count <= plan_.shape.bound() - first;
    }
    /// Every page is of one region or another; each is left behind once, at the most.
    [[nodiscard]] bool is_in_regions(std::uint64_t first, std::uint64_t count) const {
        HeapOffset at = first * plan_.bytes_per_page;
        const HeapOffset end = at + count * plan_.bytes_per_page;
        while (at < end) {
            const HeapExtent extent = words_.region_holding(at);
            if (extent.bytes == 0) return false;
            at = extent.offset + extent.bytes;
        }
        return true;
    }

    /// They are free; if they are not the heap's, a free bit was nonsense.
    Outcome<HeapOffset> take(std::uint64_t first, std::uint64_t count, HeapOwner owner) {
        if (!is_in_regions(first, count)) {
            words_.fail();
            return fail(Errc::heap_damaged);
        }
        owners_.hand_out(first, count, owner);
        free_.remove(first, first + count);
        words_.add(offsetof(HeapHeader, used_bytes), count * plan_.bytes_per_page);
        return first * plan_.bytes_per_page;
    }

    Words& words_;
    const PagePlan& plan_;
    BitmapTree<Words> free_;
    OwnerTable<Words> owners_;
};

}  // namespace shmpool
