// SPDX-License-Identifier: Apache-2.0
/// What makes a buffer of Boost.Interprocess a heap: the guard that all kinds share, and the way of
/// a change from the private view into the heap.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "shmpool/heap/best_fit.hpp"
#include "shmpool/heap/best_fit_census.hpp"
#include "shmpool/heap/best_fit_plan.hpp"
#include "shmpool/heap/heap_guard.hpp"
#include "shmpool/platform/private_view.hpp"

namespace shmpool {

template <typename StoreHook = NoStoreHook>
class GuardedBestFit final : public BestFitHeap {
public:
    using Words = HeapWords<StoreHook>;

    [[nodiscard]] static Result<void> format(std::span<std::byte> memory,
                                             const HeapOptions& options) {
        if (options.owned || options.first_region.bytes != 0) {
            return fail(Errc::invalid_argument,
                        "a heap of kind best_fit manages all of its memory, and keeps what the "
                        "dead have left: leave out first_region and on_death = reclaim");
        }
        const std::uint64_t backed =
            options.backed_bytes != 0 ? options.backed_bytes : memory.size();
        const auto plan =
            BestFitPlan::of(memory.size(), BOOST_VERSION, BestFitPlan::entries_for(backed));
        if (!plan) return too_small(memory.size());
        const auto region = begin_heap(memory, plan->heap, options);
        if (!region) return tl::unexpected(region.error());
        if (region->bytes < BestFit::segment_manager::get_min_size()) {
            return too_small(memory.size());
        }
        GuardedBestFit heap(memory, *plan, {}, std::chrono::nanoseconds::zero());
        if (const auto added = heap.add_memory(1, *region); !added) {
            return tl::unexpected(to_error(added.error()));
        }
        publish_heap(memory);
        return {};
    }

    /// The header has been checked, and is of this plan. No view: for audits.
    GuardedBestFit(std::span<std::byte> memory, const BestFitPlan& plan,
                   std::optional<PrivateView> view, std::chrono::nanoseconds patience,
                   StoreHook hook = {})
        : memory_(memory),
          plan_(plan),
          view_(std::move(view)),
          guard_(memory, plan.heap, patience, hook) {}

    Outcome<void> change_by(HeapHolder holder, const Step& step) override {
        std::span<const PageSpan> pages;
        const auto work = [&](BestFit& buffer) {
            return run(step, buffer).and_then([&]() -> Outcome<void> {
                const auto changed = view_->changed();
                if (!changed) return tl::unexpected(changed.error());
                pages = *changed;
                return {};
            });
        };
        return stay(holder, work, [&](Words& words, BestFit& buffer) {
            return carry_over(words, pages, buffer);
        });
    }

    Outcome<void> look_by(HeapHolder holder, const Step& step) override {
        return stay(
            holder, [&](BestFit& buffer) { return run(step, buffer); },
            [](Words&, BestFit&) -> Outcome<void> { return {}; });
    }

    Outcome<HeapStatistics> statistics(HeapHolder holder) override {
        return guard_.change(holder, [](Words& words) -> Outcome<HeapStatistics> {
            return HeapStatistics{words.get(offsetof(HeapHeader, total_bytes)),
                                  words.get(offsetof(HeapHeader, used_bytes)),
                                  words.get(offsetof(HeapHeader, blocks))};
        });
    }

    Outcome<std::vector<HeapFinding>> audit(HeapHolder holder) override {
        return guard_.audit(holder, [&](Words& words) {
            HeapCensus census;
            census.total_bytes = area(words).bytes;
            const std::uint64_t managed = words.get(plan_.managed_bytes_at());
            if (managed > census.total_bytes) {
                census.find(plan_.managed_bytes_at(), "more bytes are managed than there are");
            } else if (managed != 0) {
                BestFit buffer(boost::interprocess::open_only, memory_.data() + plan_.begin(),
                               managed);
                count(buffer, census);
                BestFitCensus<Words>(words, {plan_.begin(), managed}, census)
                    .take(buffer.get_free_memory());
            }
            return census;
        });
    }

    Outcome<void> add_memory(HeapHolder holder, const HeapExtent& extent) override {
        return guard_.change(holder, [&](Words& words) -> Outcome<void> {
            const HeapExtent now = area(words);
            if (extent.offset != now.offset + now.bytes) return fail(Errc::unsupported);
            TakenAlike taker([](const HeapExtent& added) { return added.bytes; });
            return guard_.add_region(words, extent, taker);
        });
    }

    void holder_died(HeapHolder holder) override { guard_.holder_died(holder); }

private:
    struct ChangedWord {
        HeapOffset at;
        std::uint64_t value;
    };

    [[nodiscard]] static tl::unexpected<Error> too_small(std::uint64_t bytes) {
        return fail(Errc::region_too_small, "a heap of kind best_fit has no room in " +
                                                std::to_string(bytes) + " bytes; give it 64KiB");
    }

    /// In a change: work(buffer), which writes to the view alone, and then finish(words, buffer).
    /// What the user's body throws is the user's.
    template <typename Work, typename Finish>
    Outcome<void> stay(HeapHolder holder, Work work, Finish finish) {
        if (!view_) return fail(Errc::unsupported);
        return guard_.change_or_throw(holder, [&](Words& words) -> Outcome<void> {
            auto buffer = open_buffer(words);
            const auto done = buffer ? work(*buffer) : fail_with(buffer.error());
            return done ? finish(words, *buffer) : done;
        });
    }
    [[nodiscard]] static Outcome<void> fail_with(Errc code) { return fail(code); }

    static Outcome<void> run(const Step& step, BestFit& buffer) {
        try {
            return step(buffer);
        } catch (const boost::interprocess::bad_alloc&) {
            return fail(Errc::no_memory);
        } catch (const boost::interprocess::interprocess_exception& error) {
            if (error.get_error_code() != boost::interprocess::already_exists_error) throw;
            return fail(Errc::name_taken);
        }
    }

    /// All that the regions have, which lie behind each other.
    [[nodiscard]] HeapExtent area(Words& words) const {
        HeapExtent all{plan_.begin(), 0};
        for (std::uint32_t i = 0; i < heap_regions_max; ++i) {
            const HeapExtent next = words.region(i);
            if (next.bytes == 0 || next.offset != all.offset + all.bytes) break;
            all.bytes += next.bytes;
        }
        return all;
    }

    /// In the view; with all the memory that the heap has by now. heap_damaged; system.
    Outcome<BestFit> open_buffer(Words& words) {
        std::byte* const begin = view_->span().data() + plan_.begin();
        const std::uint64_t bytes = area(words).bytes;
        const std::uint64_t managed = words.get(plan_.managed_bytes_at());
        if (managed > bytes || bytes < BestFit::segment_manager::get_min_size() ||
            bytes > memory_.size() - plan_.begin()) {
            words.fail();
            return fail(Errc::heap_damaged);
        }
        // Who has kept an address of the view may have written there since: that is no change.
        if (auto fresh = view_->refresh(plan_.begin() + bytes); !fresh) {
            return tl::unexpected(fresh.error());
        }
        if (managed == 0) return BestFit(boost::interprocess::create_only, begin, bytes);
        BestFit buffer(boost::interprocess::open_only, begin, managed);
        if (managed < bytes) buffer.grow(bytes - managed);
        return buffer;
    }

    /// change_too_large; out_of_memory of this process: nothing has been written yet.
    Outcome<void> carry_over(Words& words, std::span<const PageSpan> pages, BestFit& buffer) {
        const HeapExtent all = area(words);
        const auto changed = find_changed(pages, all);
        if (!changed) return tl::unexpected(changed.error());
        for (const ChangedWord& one : *changed) words.set(one.at, one.value);
        HeapCensus now;
        count(buffer, now);
        words.set(plan_.managed_bytes_at(), all.bytes);
        words.set(offsetof(HeapHeader, used_bytes), now.used_bytes);
        words.set(offsetof(HeapHeader, blocks), now.blocks);
        return {};
    }

    [[nodiscard]] Outcome<std::vector<ChangedWord>> find_changed(std::span<const PageSpan> pages,
                                                                 const HeapExtent& all) const {
        std::vector<ChangedWord> changed;
        try {
            for (const PageSpan& run : pages) {
                const HeapOffset end =
                    std::min(run.offset + run.bytes, (all.offset + all.bytes) / 8 * 8);
                for (HeapOffset at = std::max(run.offset, all.offset); at < end; at += 8) {
                    const std::uint64_t value = word_of(view_->span(), at);
                    if (value == word_of(memory_, at)) continue;
                    if (changed.size() == plan_.words_of_a_change()) {
                        return fail(Errc::change_too_large);
                    }
                    changed.push_back({at, value});
                }
            }
        } catch (const std::bad_alloc&) {
            return fail(Errc::out_of_memory);
        }
        return changed;
    }
    [[nodiscard]] static std::uint64_t word_of(std::span<const std::byte> memory, HeapOffset at) {
        std::uint64_t value = 0;
        std::memcpy(&value, memory.data() + at, sizeof value);
        return value;
    }

    /// As the library says.
    static void count(BestFit& buffer, HeapCensus& census) {
        census.used_bytes = buffer.get_size() - buffer.get_free_memory();
        census.blocks = buffer.get_num_named_objects() + buffer.get_num_unique_objects();
    }

    std::span<std::byte> memory_;
    BestFitPlan plan_;
    std::optional<PrivateView> view_;
    HeapGuard<StoreHook> guard_;
};

}  // namespace shmpool
