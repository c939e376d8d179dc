// SPDX-License-Identifier: Apache-2.0
/// What every heap has in common, whatever it hands out: its lock, the undoing of what the dead and
/// the failed have left, the table of its regions, and the audit of its counters. The heaps of
/// bytes, pages and ids stand upon this; what they change, they change in `change`.
#pragma once

#include <chrono>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "shmpool/heap/heap_census.hpp"
#include "shmpool/heap/heap_owner.hpp"
#include "shmpool/heap/heap_plan.hpp"
#include "shmpool/heap/heap_words.hpp"
#include "shmpool/platform/or_out_of_memory.hpp"

namespace shmpool {

/// How an engine takes memory in which it keeps nothing: what is added to a region is as good as a
/// region. `take(added)`: how many bytes of it can be handed out.
template <typename Take>
class TakenAlike {
public:
    explicit TakenAlike(Take take) : take_(take) {}

    [[nodiscard]] static bool may_join(const HeapExtent&, const HeapExtent&) { return true; }
    Outcome<std::uint64_t> join(const HeapExtent&, const HeapExtent& added) { return take_(added); }
    Outcome<std::uint64_t> add_region(const HeapExtent& added) { return take_(added); }

private:
    Take take_;
};

/// One process's view of a heap. Threads and processes.
template <typename StoreHook = NoStoreHook>
class HeapGuard {
public:
    using Words = HeapWords<StoreHook>;

    /// The header has been checked, and is of this plan.
    HeapGuard(std::span<std::byte> memory, const HeapPlan& plan, std::chrono::nanoseconds patience,
              StoreHook hook = {})
        : memory_(memory), plan_(plan), patience_(patience), hook_(hook) {}

    [[nodiscard]] HeapHeader& header() const {
        return *reinterpret_cast<HeapHeader*>(memory_.data());
    }
    [[nodiscard]] HeapOffset engine_offset() const { return plan_.engine_offset(); }

    /// Without the lock: to look at what never changes.
    [[nodiscard]] Words words() const {
        return Words(memory_, HeapPlan::journal_offset, plan_.journal_limit, hook_);
    }

    /// All of it or nothing: under the lock, behind the undoing of what somebody has left.
    /// out_of_memory: this process has none for what the body keeps in containers.
    template <typename Body>
    auto change(HeapHolder holder, Body body) -> std::invoke_result_t<Body, Words&> {
        return or_out_of_memory([&] { return change_or_throw(holder, body); });
    }
    /// The same; what the body throws goes on to the caller, and nothing has happened. So it is
    /// when its thread ends, which comes as an exception that nobody may keep (pthread_exit,
    /// pthread_cancel).
    template <typename Body>
    auto change_or_throw(HeapHolder holder, Body body) -> std::invoke_result_t<Body, Words&> {
        HeapLock lock(header().lock);
        if (auto got = lock.lock(holder, patience_); !got) {
            return tl::unexpected(got.error());
        }
        Leaving leaving(*this, lock);
        auto result = change_locked<std::invoke_result_t<Body, Words&>>(body);
        leaving.in_order();
        return result;
    }

    /// It is memory that the heap may have been given.
    [[nodiscard]] bool may_be_region(const HeapExtent& extent) const {
        return extent.offset % 8 == 0 && extent.offset >= plan_.first_free() &&
               extent.offset <= memory_.size() && extent.bytes <= memory_.size() - extent.offset;
    }

    /// In a change. Makes it the engine's: a part of the region that ends where it begins, or a
    /// region of its own. `to_come`: parts of one extent that are still to be added, this one too;
    /// the table must have room for all. Of the engine:
    ///   may_join(region, added)  it can make one region of the two
    ///   join(region, added)      does: how many bytes more can be handed out
    ///   add_region(added)        how many bytes of it can be handed out
    /// invalid_argument, memory_overlap, no_memory (the table is full), and what the engine says.
    template <typename Engine>
    Outcome<void> add_region(Words& words, const HeapExtent& extent, Engine& engine,
                             std::uint64_t to_come = 1) const {
        if (!may_be_region(extent)) return fail(Errc::invalid_argument);
        const auto overlapping = [&](const HeapExtent& one) { return one.overlaps(extent); };
        if (first_region(words, overlapping) != no_region) return fail(Errc::memory_overlap);
        const std::uint32_t before = first_region(words, [&](const HeapExtent& one) {
            return one.bytes != 0 && one.end() == extent.offset;
        });
        const bool joins = before != no_region && engine.may_join(words.region(before), extent);
        if (free_regions(words) + (joins ? 1U : 0U) < to_come) return fail(Errc::no_memory);
        return joins ? join(words, before, extent, engine) : add_own(words, extent, engine);
    }

    /// In a change. What the engine has found, and whether the counters say what it has counted.
    [[nodiscard]] static std::vector<HeapFinding> findings(Words& words, HeapCensus census) {
        census.expect("total_bytes", offsetof(HeapHeader, total_bytes), census.total_bytes,
                      words.get(offsetof(HeapHeader, total_bytes)));
        census.expect("used_bytes", offsetof(HeapHeader, used_bytes), census.used_bytes,
                      words.get(offsetof(HeapHeader, used_bytes)));
        census.expect("blocks", offsetof(HeapHeader, blocks), census.blocks,
                      words.get(offsetof(HeapHeader, blocks)));
        return std::move(census.findings);
    }

    /// A change for each of `count`, until one fails.
    template <typename Change>
    [[nodiscard]] static Outcome<void> one_by_one(std::uint64_t count, Change change) {
        for (std::uint64_t i = 0; i < count; ++i) {
            if (auto done = change(i); !done) return done;
        }
        return {};
    }

    /// Nonsense was found in it.
    void note_damage() const { header().damaged.store(1, std::memory_order_relaxed); }

    /// In a change. `look` reads all of it, and says what it has counted and found. It has words of
    /// its own: what leads out of the memory is damage, and takes away nothing of what was found.
    template <typename Look>
    [[nodiscard]] std::vector<HeapFinding> findings_of(Look look) const {
        Words reader = words();
        HeapCensus census = look(reader);
        auto found = findings(reader, std::move(census));
        if (!reader.failed()) return found;
        note_damage();
        if (found.empty()) found.push_back({0, "something in it leads out of its memory"});
        return found;
    }
    template <typename Look>
    Outcome<std::vector<HeapFinding>> audit(HeapHolder holder, Look look) {
        return change(
            holder, [&](Words&) -> Outcome<std::vector<HeapFinding>> { return findings_of(look); });
    }

    /// `find` says, in one change, what is left of somebody; `free_one`, each in a change of its
    /// own, frees it, if it is still so by then: whether it was. What is damaged stays as it is,
    /// and all the rest goes: one word that somebody has overrun must not keep what the dead held.
    template <typename Find, typename FreeOne>
    [[nodiscard]] static Outcome<std::uint64_t> reclaim(Find find, FreeOne free_one) {
        const Outcome<std::vector<std::uint64_t>> left = find();
        if (!left) return tl::unexpected(left.error());
        std::uint64_t freed = 0;
        for (const std::uint64_t one : *left) {
            const Outcome<bool> done = free_one(one);
            const bool comes_to_nobody =
                !done && (done.error() == Errc::would_block || done.error() == Errc::system);
            if (comes_to_nobody) return tl::unexpected(done.error());
            freed += done.value_or(false) ? 1U : 0U;
        }
        return freed;
    }

    /// The same of an engine that hands out numbers. `change` calls a body with the engine, in a
    /// change.
    template <typename Engine, typename Change>
    [[nodiscard]] static Outcome<std::uint64_t> reclaim_numbers(Change change,
                                                                const IsGone& is_gone) {
        using Left = Outcome<std::vector<std::uint64_t>>;
        const auto find = [&] {
            return change([&](Engine& engine) -> Left { return engine.all_left(is_gone); });
        };
        return reclaim(find, [&](std::uint64_t number) {
            return change([&](Engine& engine) -> Outcome<bool> {
                if (!engine.is_left(number, is_gone)) return false;
                return engine.free(number, 1).map([] { return true; });
            });
        });
    }

    void holder_died(HeapHolder holder) { HeapLock(header().lock).orphan(holder); }

private:
    /// Leaves the lock, whatever happens. A change that an exception has ended is undone before, as
    /// that of a dead holder is by the next one: who is killed in the undoing leaves it to him.
    class Leaving {
    public:
        Leaving(const HeapGuard& guard, HeapLock& lock) : guard_(guard), lock_(lock) {}
        ~Leaving() {
            if (!is_in_order_ && has_died()) return;
            if (!is_in_order_) guard_.take_back();
            lock_.unlock();
        }
        Leaving(const Leaving&) = delete;
        Leaving& operator=(const Leaving&) = delete;
        void in_order() { is_in_order_ = true; }

    private:
        const HeapGuard& guard_;
        HeapLock& lock_;
        bool is_in_order_ = false;
    };
    [[gnu::noinline]] void take_back() const noexcept { this->words().undo(); }
    /// A test plays a death by an exception: nothing behind it runs.
    [[nodiscard]] static bool has_died() {
        if constexpr (requires { StoreHook::has_died(); }) return StoreHook::has_died();
        return false;
    }

    /// As `change`. system: a file did not take what was written; then nobody knows what is in it,
    /// and every change is refused.
    template <typename Done, typename Body>
    Done change_locked(Body body) {
        if (has_lost_its_file()) return fail(Errc::system);
        Words words = this->words();
        if (words.has_entries()) words.undo();
        words.finish();
        auto result = body(words);
        if (!result || words.failed()) [[unlikely]] {
            words.undo();
            if (words.failed()) {
                header().damaged.store(1, std::memory_order_relaxed);
                result = fail(Errc::heap_damaged);
            }
        } else {
            words.commit();
            words.finish();
        }
        if (has_lost_its_file()) result = fail(Errc::system);
        return result;
    }
    [[nodiscard]] bool has_lost_its_file() const {
        if constexpr (SyncingHook<StoreHook>) return hook_.failed();
        return false;
    }

    // The table of regions.
    static constexpr std::uint32_t no_region = heap_regions_max;
    /// `is_it(extent)`; of an entry that is not used the extent is empty.
    template <typename IsIt>
    [[nodiscard]] static std::uint32_t first_region(const Words& words, IsIt is_it) {
        std::uint32_t i = 0;
        while (i < heap_regions_max && !is_it(words.region(i))) ++i;
        return i;
    }
    [[nodiscard]] static std::uint32_t free_regions(const Words& words) {
        std::uint32_t count = 0;
        for (std::uint32_t i = 0; i < heap_regions_max; ++i) {
            count += words.region(i).bytes == 0 ? 1U : 0U;
        }
        return count;
    }
    [[nodiscard]] static HeapOffset bytes_word(std::uint32_t region) {
        return offsetof(HeapHeader, regions) + region * sizeof(HeapRegionImage) +
               offsetof(HeapRegionImage, bytes);
    }

    template <typename Engine>
    static Outcome<void> join(Words& words, std::uint32_t region, const HeapExtent& added,
                              Engine& engine) {
        const HeapExtent before = words.region(region);
        words.set(bytes_word(region), before.with(added).bytes);  // The engine looks at both.
        const Outcome<std::uint64_t> more = engine.join(before, added);
        if (!more) return tl::unexpected(more.error());
        words.add(offsetof(HeapHeader, total_bytes), *more);
        return {};
    }
    template <typename Engine>
    static Outcome<void> add_own(Words& words, const HeapExtent& added, Engine& engine) {
        const Outcome<std::uint64_t> room = engine.add_region(added);
        if (!room) return tl::unexpected(room.error());
        const std::uint32_t region =
            first_region(words, [](const HeapExtent& one) { return one.bytes == 0; });
        words.add(offsetof(HeapHeader, total_bytes), *room);
        words.set(bytes_word(region) - offsetof(HeapRegionImage, bytes), added.offset);
        words.set(bytes_word(region), added.bytes);
        return {};
    }

    std::span<std::byte> memory_;
    HeapPlan plan_;
    std::chrono::nanoseconds patience_;
    [[no_unique_address]] StoreHook hook_;
};

}  // namespace shmpool
