// SPDX-License-Identifier: Apache-2.0
/// Heaps whose users die before a store that the test has chosen, and what must be true behind
/// that: the operation is done or not begun. Method: the production engines with a hook before
/// every store, which throws where the death is to be: nothing behind that place runs, as after a
/// kill. Then the next one comes, and dies in its repair too.
///
/// A play says what kind of heap it is about:
///   Heap                                with `Dying` as its hook
///   options()                           that it is formatted with
///   opened(memory)                      a Heap, formatted before
///   account(heap, holder)               text: what its statistics say
///   all_is_logged                       every word is as before, not only those that count
///   logged_bytes                        if it has that: so is every word of the first so many
///   bytes may_be_finished_by_the_next         if it has that: the last store is not the one that
///   decides contents(heap)                      and that: what users wrote, which is so until it
///   is decided
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "shmpool/layout/heap_image.hpp"
#include "tests/shmpool/heap/own_heap.hpp"

namespace shmpool::test {

struct Death {};

struct Dying {
    static inline std::uint64_t stores = 0;
    static inline std::uint64_t dies_before = ~std::uint64_t{0};
    static void before_store() {
        if (stores++ == dies_before) throw Death{};
    }
    /// Nothing runs that would have run behind it.
    static bool has_died() { return stores > dies_before; }
    static void lives() { dies_before = ~std::uint64_t{0}; }
    static void dies(std::uint64_t store) {
        stores = 0;
        dies_before = store;
    }
};

inline constexpr HeapHolder doomed = 1;
inline constexpr HeapHolder next = 2;
inline constexpr HeapHolder last = 3;
inline constexpr std::size_t dying_memory_bytes = 256 << 10;

template <typename Heap>
struct Operation {
    const char* name;
    std::function<void(Heap&)> prepare;
    std::function<bool(Heap&)> act;  ///< As `doomed`. True: it did what it was to do.
};

/// Everything but the lock and the journal.
inline std::vector<std::byte> content(std::span<const std::byte> memory) {
    const auto& header = *reinterpret_cast<const HeapHeader*>(memory.data());
    std::vector<std::byte> all(memory.begin(), memory.end());
    std::ranges::fill(std::span(all).subspan(offsetof(HeapHeader, lock), 4), std::byte{0});
    std::ranges::fill(
        std::span(all).subspan(header.journal_offset, header.journal_limit * sizeof(JournalEntry)),
        std::byte{0});
    return all;
}

/// One operation of a play, again and again, each time in a memory of its own.
template <typename Play>
class Deaths {
public:
    using Heap = typename Play::Heap;

    explicit Deaths(const Operation<Heap>& operation) : operation_(operation) {}

    void leave_it_done_or_not_begun() {
        Ends ends = without_death();
        ASSERT_GT(ends.stores_at_all, 0U) << "it was counted";
        ASSERT_LT(ends.stores, 6'000U);
        for (std::uint64_t store = 0; store < ends.stores; ++store) {
            HeapMemory memory(dying_memory_bytes);
            const auto heap = died_before(store, memory);
            ASSERT_EQ(heap->statistics(last).has_value(), false) << "the lock is the dead one's";
            heap->holder_died(doomed);
            ASSERT_EQ(broken(*heap, next), "") << "died before store " << store;
            expect_one_end(*heap, ends, store);
            if (Play::all_is_logged) {
                ASSERT_EQ(content(memory.view()), before_);
            }
            if constexpr (requires { Play::logged_bytes; }) {
                const std::vector<std::byte> now = content(memory.view());
                ASSERT_TRUE(
                    std::equal(now.begin(), now.begin() + Play::logged_bytes, before_.begin()))
                    << "died before store " << store;
            }
        }
    }

    void may_be_in_the_repair_too() {
        die_in_the_repair();
        recovers_ = true;
        if constexpr (requires { &Heap::recover; }) die_in_the_repair();
    }

private:
    void die_in_the_repair() {
        Ends ends = without_death();
        const std::uint64_t stores = ends.stores;
        for (std::uint64_t store = 0; store < stores; store += 1 + stores / 40) {
            for (std::uint64_t second = 0;; ++second) {
                HeapMemory memory(dying_memory_bytes);
                const auto heap = died_before(store, memory);
                heap->holder_died(doomed);
                const bool died = dies_in_repair(*heap, second);
                ASSERT_EQ(broken(*heap, last), "") << store << " and " << second;
                expect_one_end(*heap, ends, store);
                if (!died) break;
            }
        }
    }

    /// What the heap says before the operation and behind it, and how many stores that takes.
    struct Ends {
        std::string account;
        std::string account_behind;
        std::string contents;
        std::uint64_t stores = 0;
        bool is_decided = false;
        std::uint64_t stores_at_all = 0;
    };

    /// Some need to know where their memory comes from.
    static std::unique_ptr<Heap> opened(HeapMemory& memory) {
        if constexpr (requires { Play::opened(memory); }) {
            return Play::opened(memory);
        } else {
            return Play::opened(memory.view());
        }
    }

    std::unique_ptr<Heap> prepared(HeapMemory& memory) {
        Dying::dies(~std::uint64_t{0});
        EXPECT_TRUE(Heap::format(memory.view(), Play::options()));
        std::unique_ptr<Heap> heap = opened(memory);
        operation_.prepare(*heap);
        before_ = content(memory.view());
        return heap;
    }

    std::unique_ptr<Heap> died_before(std::uint64_t store, HeapMemory& memory) {
        std::unique_ptr<Heap> heap = prepared(memory);
        Dying::dies(store);
        EXPECT_THROW((void)operation_.act(*heap), Death);
        Dying::lives();
        return heap;
    }

    /// Before it is decided it has not happened, and behind that it has.
    void expect_one_end(Heap& heap, Ends& ends, std::uint64_t store) {
        const std::string account = Play::account(heap, next);
        if constexpr (requires { Play::may_be_finished_by_the_next; }) {
            if (account != ends.account) ends.is_decided = true;
            if (!ends.is_decided) {
                ASSERT_EQ(Play::contents(heap), ends.contents) << "died before store " << store;
            }
        }
        // The last store is the one that decides.
        ASSERT_EQ(account, ends.is_decided ? ends.account_behind : ends.account)
            << "died before store " << store;
    }

    /// Whatever is called next repairs; to ask for it is another way.
    void repair(Heap& heap) {
        if constexpr (requires { &Heap::recover; }) {
            if (recovers_) return (void)heap.recover(next);
        }
        (void)heap.statistics(next);
    }

    bool dies_in_repair(Heap& heap, std::uint64_t store) {
        bool died = false;
        Dying::dies(store);
        try {
            repair(heap);
        } catch (const Death&) {
            died = true;
            heap.holder_died(next);
        }
        Dying::lives();
        return died;
    }

    Ends without_death() {
        HeapMemory memory(dying_memory_bytes);
        const auto heap = prepared(memory);
        Ends ends;
        ends.stores_at_all = Dying::stores;
        ends.account = Play::account(*heap, next);
        if constexpr (requires { Play::may_be_finished_by_the_next; }) {
            ends.contents = Play::contents(*heap);
        }
        Dying::dies(~std::uint64_t{0});
        EXPECT_TRUE(operation_.act(*heap));
        ends.stores = Dying::stores;
        EXPECT_EQ(broken(*heap, next), "");
        ends.account_behind = Play::account(*heap, next);
        return ends;
    }

    const Operation<Heap>& operation_;
    /// Of the memory that was prepared last: bytes that nobody cares for differ from one to the
    /// next.
    std::vector<std::byte> before_;
    bool recovers_ = false;  ///< The one who repairs asks for it.
};

/// For the names of parametrised tests.
template <typename Operations>
std::string name_of_play(const Operations& operations, std::size_t index) {
    std::string name = operations[index].name;
    std::ranges::replace(name, ' ', '_');
    return name;
}

/// How many entries of its journal a heap has ever used.
inline std::uint64_t used_entries(std::span<const std::byte> memory) {
    const auto& header = *reinterpret_cast<const HeapHeader*>(memory.data());
    const auto* const entries =
        reinterpret_cast<const JournalEntry*>(memory.data() + header.journal_offset);
    std::uint64_t used = 0;
    while (used < header.journal_limit && entries[used].offset != 0) ++used;
    return used;
}

}  // namespace shmpool::test
