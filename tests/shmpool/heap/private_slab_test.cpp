// SPDX-License-Identifier: Apache-2.0
/// Slab caches within one process. Ids in brackets are of the list of features.
#include "shmpool/heap/private_slab_cache.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace shmpool {
namespace {

constexpr std::size_t slab_bytes = 512;

/// Counts, and does as a test wants.
struct Hooks {
    static inline std::atomic<int> given{0};
    static inline std::atomic<int> taken{0};
    static inline bool is_empty = false;
    static inline bool is_misaligned = false;
    static inline bool refuses = false;
    static inline void (*during)() = nullptr;
    static inline std::vector<std::pair<void*, Errc>> failures;

    static void* allocate(std::size_t bytes, std::size_t alignment) {
        if (is_empty) return nullptr;
        if (during != nullptr) std::exchange(during, nullptr)();
        ++given;
        auto* const memory = static_cast<std::byte*>(std::aligned_alloc(alignment, 2 * bytes));
        return is_misaligned ? memory + 64 : memory;
    }
    static Outcome<void> free(void* memory, std::size_t bytes, std::size_t) {
        ++taken;
        const auto at = reinterpret_cast<std::uintptr_t>(memory);
        std::free(reinterpret_cast<void*>(at / bytes * bytes));
        if (refuses) return fail(Errc::refused);
        return {};
    }
    static void failed(void* memory, Errc code) noexcept { failures.emplace_back(memory, code); }
    static void reset() {
        given = taken = 0;
        is_empty = is_misaligned = refuses = false;
        during = nullptr;
        failures.clear();
    }
};
static_assert(SlabHooks<Hooks>);

struct Pair {
    std::uint64_t number = 0;
    std::uint64_t key = 0;
};

using Cache = PrivateSlabCache<Pair, SpinLock, slab_bytes, Hooks>;
constexpr auto& shape = Cache::Family::shape;

class PrivateSlabs : public testing::Test {
protected:
    void SetUp() override { Hooks::reset(); }
    void TearDown() override {  // T-AS-2
        EXPECT_EQ(Hooks::given, Hooks::taken) << "all slabs have come back";
    }
    template <typename Kind = Cache>
    static std::vector<typename Kind::Box> fill(Kind& cache, std::size_t count) {
        std::vector<typename Kind::Box> boxes;
        while (boxes.size() < count) boxes.push_back(cache.emplace().value());
        return boxes;
    }
};

TEST_F(PrivateSlabs, HaveTheirObjectsBehindTheirOwnWords) {  // T-AS-10
    auto cache = Cache::make().value();
    const auto boxes = fill(cache, shape.objects);
    EXPECT_GE(shape.objects, 20U);
    std::set<std::uintptr_t> places;
    for (const auto& box : boxes) {
        const auto at = reinterpret_cast<std::uintptr_t>(box.get());
        EXPECT_EQ(at % alignof(Pair), 0U);
        EXPECT_GE(at % slab_bytes, sizeof(PrivateMaster) + 2 * shape.objects);
        EXPECT_LE(at % slab_bytes + sizeof(Pair), slab_bytes);
        for (const std::uintptr_t other : places) EXPECT_GE(at - other, sizeof(Pair));
        places.insert(at);
    }
    EXPECT_EQ(Hooks::given, 1);
}

TEST_F(PrivateSlabs, ComeWhenAllAreFullAndGoWhenTheyAreEmpty) {  // T-AS-11
    auto cache = Cache::make().value();
    auto master = fill(cache, shape.objects);
    EXPECT_EQ(cache.slabs(), 1U);
    auto second = fill(cache, 1);
    EXPECT_EQ(cache.slabs(), 2U);
    second.clear();
    EXPECT_EQ(Hooks::taken, 0) << "it is the only one that has room";
    second = fill(cache, shape.objects);
    auto third = fill(cache, 1);
    EXPECT_EQ(Hooks::given, 3);
    second.clear();
    EXPECT_EQ(Hooks::taken, 1) << "the third has room";
    third.clear();
    EXPECT_EQ(cache.slabs(), 2U);
    master.clear();
    EXPECT_EQ(cache.slabs(), 2U) << "the master stays";
}

TEST_F(PrivateSlabs, HandOutTheLatestThatWasFreed) {  // T-AS-19
    auto cache = Cache::make().value();
    auto boxes = fill(cache, 5);
    Pair* const first = boxes[1].get();
    Pair* const second = boxes[3].get();
    boxes.erase(boxes.begin() + 1);
    boxes.erase(boxes.begin() + 2);
    EXPECT_EQ(cache.emplace().value().release(), second);
    EXPECT_EQ(cache.emplace().value().release(), first);
    for (Pair* const one : {first, second}) EXPECT_TRUE(cache.adopt(one));
}

TEST_F(PrivateSlabs, AreGivenBackWithTheLastHandleAndTheLastBox) {  // T-AS-12
    std::vector<Cache> handles{Cache::make().value()};
    auto boxes = fill(handles[0], shape.objects + 3);
    handles.push_back(handles[0]);
    handles.erase(handles.begin());
    EXPECT_TRUE(handles[0].emplace());
    handles.clear();
    EXPECT_EQ(Hooks::taken, 0);
    Pair* const last = boxes.back().get();
    last->number = 17;
    boxes.erase(boxes.begin(), boxes.end() - 1);
    EXPECT_EQ(last->number, 17U);
    boxes.clear();
    EXPECT_EQ(Hooks::taken, Hooks::given.load());
}

TEST_F(PrivateSlabs, MayBeGivenBackByAnotherThread) {  // T-AS-13
    auto cache = Cache::make().value();
    auto boxes = fill(cache, 2 * shape.objects);
    std::thread([mine = std::move(boxes)]() mutable { mine.clear(); }).join();
    EXPECT_LE(cache.slabs(), 2U);
}

/// T-AS-1, T-AS-2: each fills what it has with its key, and looks before it gives back.
template <typename Kind>
void trade_with_twenty() {
    auto cache = Kind::make().value();
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (std::uint64_t key = 1; key <= 20; ++key) {
        threads.emplace_back([own = cache, key, &wrong]() mutable {
            std::mt19937_64 random(key);
            std::vector<typename Kind::Box> mine;
            for (int step = 0; step < 3'000; ++step) {
                if (mine.empty() || random() % 2 == 0) {
                    const std::uint64_t number = random();
                    mine.push_back(own.emplace(Pair{number, number ^ key}).value());
                    continue;
                }
                std::swap(mine[random() % mine.size()], mine.back());
                if ((mine.back()->number ^ mine.back()->key) != key) ++wrong;
                mine.pop_back();
            }
        });
    }
    for (std::thread& one : threads) one.join();
    EXPECT_EQ(wrong, 0);
    EXPECT_LE(cache.slabs(), 2U) << "the master, and one that may be kept";
}

TEST_F(PrivateSlabs, OfTwentyThreadsGiveNothingToTwo) {
    trade_with_twenty<Cache>();
    trade_with_twenty<PrivateSlabCache<Pair, FutexLock, slab_bytes, Hooks>>();
}

TEST_F(PrivateSlabs, SayWhenTheHookHasNothing) {  // T-AS-15, AS-07
    Hooks::is_empty = true;
    EXPECT_EQ(Cache::make().error(), Errc::no_memory);
    Hooks::is_empty = false;
    auto cache = Cache::make().value();
    auto boxes = fill(cache, shape.objects);
    Hooks::is_empty = true;
    EXPECT_EQ(cache.emplace().error(), Errc::no_memory);
    boxes.pop_back();
    EXPECT_TRUE(cache.emplace());
}

TEST_F(PrivateSlabs, GiveMisalignedMemoryBack) {  // T-AS-15
    Hooks::is_misaligned = true;
    EXPECT_EQ(Cache::make().error(), Errc::misaligned_base);
    EXPECT_EQ(Hooks::taken, 1);
    Hooks::is_misaligned = false;
    auto cache = Cache::make().value();
    const auto boxes = fill(cache, shape.objects);
    Hooks::is_misaligned = true;
    EXPECT_EQ(cache.emplace().error(), Errc::misaligned_base);
    EXPECT_EQ(Hooks::taken, 2);
    Hooks::is_misaligned = false;
}

std::optional<Cache> of_the_hook;

TEST_F(PrivateSlabs, CallTheHookOutsideOfTheLock) {  // D-AS-6
    of_the_hook = Cache::make().value();
    {
        auto boxes = fill(*of_the_hook, shape.objects);
        static std::optional<Cache::Box> nested;
        Hooks::during = [] { nested = of_the_hook->emplace().value(); };
        boxes.push_back(of_the_hook->emplace().value());
        EXPECT_EQ(of_the_hook->slabs(), 3U) << "both attached one";
        nested.reset();
    }
    of_the_hook.reset();
}

TEST_F(PrivateSlabs, KnowTheirOwnLiveObjects) {  // T-AS-16, T-AS-17, T-AS-18
    auto cache = Cache::make().value();
    auto other = Cache::make().value();
    auto boxes = fill(cache, 2 * shape.objects);
    for (auto& box : boxes) {
        Pair* const object = box.release();
        EXPECT_EQ(other.adopt(object).error(), Errc::not_allocated) << "another cache's";
        const auto bytes = reinterpret_cast<std::byte*>(object);
        EXPECT_EQ(cache.adopt(reinterpret_cast<Pair*>(bytes + 4)).error(), Errc::not_allocated);
        box = cache.adopt(object).value();
    }
    Pair* const ended = boxes.back().get();
    boxes.pop_back();
    EXPECT_EQ(cache.adopt(ended).error(), Errc::not_allocated);
    Pair foreign;
    EXPECT_EQ(cache.adopt(&foreign).error(), Errc::not_allocated);
    EXPECT_EQ(cache.adopt(nullptr).error(), Errc::not_allocated);
    EXPECT_EQ(cache.adopt(reinterpret_cast<Pair*>(8)).error(), Errc::not_allocated);
}

TEST_F(PrivateSlabs, SayWhatCouldNotBeGivenBack) {  // T-AS-16, T-AS-17, D-AS-7
    auto cache = Cache::make().value();
    {
        auto box = cache.emplace().value();
        const auto kept = cache.emplace().value();
        const Cache::Box twice(box.get());
        { const auto end = std::move(box); }
        EXPECT_TRUE(Hooks::failures.empty());
    }
    ASSERT_EQ(Hooks::failures.size(), 1U);
    EXPECT_EQ(Hooks::failures[0].second, Errc::not_allocated) << "freed twice";
    Hooks::failures.clear();

    auto box = cache.emplace().value();
    const auto at = reinterpret_cast<std::uintptr_t>(box.get());
    auto* const slab = reinterpret_cast<PrivateSlab*>(at / slab_bytes * slab_bytes);
    const std::uint64_t guard = std::exchange(slab->guard, 77);
    Pair* const object = box.get();
    { const auto end = std::move(box); }
    ASSERT_EQ(Hooks::failures.size(), 1U);
    EXPECT_EQ(Hooks::failures[0], (std::pair{static_cast<void*>(object), Errc::not_allocated}));
    slab->guard = guard;
    EXPECT_TRUE(cache.adopt(object));
    Hooks::failures.clear();

    Hooks::refuses = true;
    { auto brief = Cache::make().value(); }
    ASSERT_EQ(Hooks::failures.size(), 1U);
    EXPECT_EQ(Hooks::failures[0].second, Errc::refused);
}

TEST_F(PrivateSlabs, MovedFromHaveNothing) {  // AS-07: FatalError
    auto cache = Cache::make().value();
    auto other = std::move(cache);
    EXPECT_EQ(cache.emplace().error(), Errc::moved_from);
    EXPECT_EQ(cache.adopt(nullptr).error(), Errc::moved_from);
    EXPECT_EQ(cache.slabs(), 0U);
    cache = other;
    EXPECT_TRUE(cache.emplace());
    cache = std::move(other);
    EXPECT_TRUE(cache.emplace());
}

TEST_F(PrivateSlabs, DestroyOnceAndNothingThatMayNotBeThere) {  // T-AS-18
    static int dead;
    dead = 0;
    struct Text {
        std::string words = "longer than a string holds within itself";
        ~Text() { ++dead; }
    };
    auto texts = PrivateSlabCache<Text, SpinLock, slab_bytes, Hooks>::make().value();
    {
        auto first = texts.emplace().value();
        auto second = std::move(first);
        first = texts.emplace().value();
        EXPECT_EQ(second->words.size(), first->words.size());
    }
    EXPECT_EQ(dead, 2);
    { const auto place = texts.alloc_uninit().value(); }
    EXPECT_EQ(dead, 2);
    { const auto box = construct(texts.alloc_uninit().value()); }
    EXPECT_EQ(dead, 3);
    { const auto box = texts.adopt(texts.emplace().value().release()).value(); }
    EXPECT_EQ(dead, 4);
}

TEST_F(PrivateSlabs, DoAsASetOfPointersThroughRandomSteps) {  // T-AS-3
#ifdef NDEBUG
    constexpr int steps = 1'000'000;
#else
    constexpr int steps = 50'000;
#endif
    const unsigned seed = 20261122;
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    auto cache = PrivateSlabCache<Pair, NoLock, slab_bytes, Hooks>::make().value();
    std::vector<decltype(cache)::Box> live;
    std::set<Pair*> places;
    std::uint64_t takes = 50;
    for (int step = 0; step < steps; ++step) {
        if (random() % 500 == 0) takes = 30 + random() % 40;
        if (random() % 100 < takes) {
            live.push_back(cache.emplace(Pair{random(), 0}).value());
            live.back()->key = ~live.back()->number;
            ASSERT_TRUE(places.insert(live.back().get()).second) << "to two, step " << step;
        } else if (!live.empty()) {
            std::swap(live[random() % live.size()], live.back());
            ASSERT_EQ(live.back()->key, ~live.back()->number) << step;
            places.erase(live.back().get());
            live.pop_back();
        }
        if (step % 10'000 == 0) {
            std::set<std::uintptr_t> slabs;
            for (Pair* const one : places) {
                slabs.insert(reinterpret_cast<std::uintptr_t>(one) / slab_bytes);
            }
            ASSERT_GE(slabs.size() + 2, cache.slabs()) << "the master, and one that is kept";
        }
    }
    live.clear();
    EXPECT_LE(cache.slabs(), 2U);
    EXPECT_TRUE(Hooks::failures.empty());
}

// --- compile-time (T-AS-14, T-AS-23) -------------------------------------------------------------

struct LargeLock {
    static constexpr bool may_be_shared = true;
    void lock() {}
    void unlock() {}
    std::uint64_t words[3];
};
struct Small {
    std::uint16_t two_bytes;
};
struct Unaligned {
    std::uint16_t six_bytes[3];
};

template <typename T, typename Lock, std::uint64_t slab>
concept HasCache = requires {
    typename PrivateSlabCache<T, Lock, slab, Hooks>;
};

static_assert(HasCache<Pair, SpinLock, 512> && HasCache<std::uint32_t, NoLock, 4096>);
static_assert(LargeLock::may_be_shared && !HasCache<Pair, LargeLock, 512>, "24 bytes");
static_assert(!HasCache<Small, SpinLock, 512> && !HasCache<Unaligned, SpinLock, 512>);
static_assert(!HasCache<Pair, SpinLock, 500> && !HasCache<Pair, SpinLock, 3 * 512>);
static_assert(!HasCache<Pair, SpinLock, 64> && !HasCache<std::array<Pair, 30>, SpinLock, 512>);
static_assert(!std::is_copy_constructible_v<PrivateSlabCache<Pair, NoLock>> &&
                  std::is_move_constructible_v<PrivateSlabCache<Pair, NoLock>>,
              "no thread gets a handle of its own");
static_assert(std::is_copy_constructible_v<PrivateSlabCache<Pair, SpinLock>>);
static_assert(!std::is_copy_constructible_v<Cache::Box>);

}  // namespace
}  // namespace shmpool
