// SPDX-License-Identifier: Apache-2.0
/// Typed objects in a slab cache, and their boxes. Ids in brackets are of the list of features.
#include "shmpool/heap/slab_cache.hpp"

#include <optional>
#include <stdexcept>
#include <vector>

#include "tests/shmpool/heap/own_objects.hpp"

namespace shmpool {
namespace {

using test::OwnObjects;

constexpr HeapHolder me = OwnObjects::me;

/// Counts its lives.
struct Counted {
    static inline int born = 0;
    static inline int dead = 0;
    explicit Counted(int wanted) : value(wanted) {
        if (wanted < 0) throw std::runtime_error("no such number");
        ++born;
    }
    ~Counted() { ++dead; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    int value;
    int more[3] = {};
};

}  // namespace

template <>
inline constexpr bool holds_no_addresses<Counted> = true;

namespace {

using Cache = SlabCache<Counted, LocalObjects>;

class Boxes : public testing::Test {
protected:
    void SetUp() override { Counted::born = Counted::dead = 0; }
    void TearDown() override { EXPECT_EQ(live(), 0U) << "every place has come back"; }
    [[nodiscard]] std::uint64_t live() { return own.now().used_objects; }
    [[nodiscard]] LocalObjects objects(HeapUser user = me) {
        return {*own.heap, own.memory.view(), user};
    }

    OwnObjects own{{sizeof(Counted), 512}};
    std::vector<std::pair<HeapOffset, Errc>> failures;
    std::optional<Cache> cache = *Cache::over(
        objects(), [this](HeapOffset object, Errc why) { failures.emplace_back(object, why); });
};

TEST_F(Boxes, AreReadAndWrittenAndGiveBack) {  // T-AS-4
    auto box = cache->emplace(17).value();
    EXPECT_EQ(box->value, 17);
    box->value = 18;
    EXPECT_EQ((*box).value, 18);
    EXPECT_EQ(box.offset() % alignof(Counted), 0U);
    EXPECT_EQ(live(), 1U);
}

TEST_F(Boxes, DestroyOnce) {  // T-AS-18
    {
        auto first = cache->emplace(1).value();
        auto second = std::move(first);
        EXPECT_FALSE(first);
        auto third = cache->emplace(3).value();
        third = std::move(second);
        EXPECT_EQ(third->value, 1);
    }
    EXPECT_EQ(Counted::born, 2);
    EXPECT_EQ(Counted::dead, 2);
}

TEST_F(Boxes, OfWhatMayNotBeThereDestroyNothing) {  // T-AS-18, AS-05
    { const auto place = cache->alloc_uninit().value(); }
    EXPECT_EQ(Counted::dead, 0);
    EXPECT_EQ(live(), 0U);
    { const auto box = construct(cache->alloc_uninit().value(), 5); }
    EXPECT_EQ(Counted::dead, 1);
}

TEST_F(Boxes, GiveBackWhenTheConstructorThrows) {
    EXPECT_THROW((void)cache->emplace(-1), std::runtime_error);
    EXPECT_EQ(live(), 0U);
    EXPECT_EQ(Counted::dead, 0);
}

TEST_F(Boxes, AreReleasedAndAdopted) {  // T-AS-18
    const HeapOffset offset = cache->emplace(7).value().release();
    EXPECT_EQ(Counted::dead, 0);
    EXPECT_EQ(live(), 1U);
    EXPECT_EQ(cache->adopt(offset + 4).error(), Errc::not_allocated);
    {
        const auto box = cache->adopt(offset).value();
        EXPECT_EQ(box->value, 7);
    }
    EXPECT_EQ(Counted::dead, 1);
    EXPECT_EQ(cache->adopt(offset).error(), Errc::not_allocated);
}

TEST_F(Boxes, AreAdoptedAtAnotherAddress) {  // T-AS-13
    const auto view = own.memory.map();
    const auto heap = *open_object_heap(view);
    auto other = *Cache::over(LocalObjects(*heap, view, 2));
    auto mine = cache->emplace(9).value();
    Counted* const address = mine.get();
    const auto theirs = other.adopt(mine.release()).value();
    EXPECT_EQ(theirs->value, 9);
    EXPECT_NE(theirs.get(), address);
}

TEST_F(Boxes, OutliveEveryCache) {  // T-AS-12
    std::vector<Cache> copies{*cache};
    auto box = copies.front().emplace(4).value();
    cache.reset();
    copies.clear();
    EXPECT_EQ(box->value, 4);
    own.free(box.offset());
    { const auto end = std::move(box); }
    EXPECT_EQ(failures.size(), 1U) << "and who is told of failures too";
}

TEST_F(Boxes, SayWhatTheyCouldNotGiveBack) {  // D-AS-7
    HeapOffset offset = 0;
    {
        const auto box = cache->emplace(4).value();
        offset = box.offset();
        own.free(offset);
    }
    ASSERT_EQ(failures.size(), 1U);
    EXPECT_EQ(failures[0], (std::pair{offset, Errc::not_allocated}));
    auto throwing = *Cache::over(objects(), [](HeapOffset, Errc) { throw 5; });
    own.free(throwing.emplace(4).value().release());
    {
        const auto box = throwing.emplace(4).value();
        own.free(box.offset());
    }
    auto silent = *Cache::over(objects());
    const auto box = silent.emplace(4).value();
    own.free(box.offset());
}

TEST_F(Boxes, ComeToAnEnd) {
    std::vector<Cache::Box> all;
    while (auto box = cache->emplace(1)) all.push_back(std::move(*box));
    EXPECT_EQ(cache->emplace(1).error(), Errc::no_memory);
    EXPECT_EQ(all.size(), own.now().total_objects);
}

TEST(SlabCacheOver, AHeapOfSmallerObjectsIsRefused) {
    OwnObjects own({sizeof(Counted) - 4, 512});
    const auto cache = Cache::over(LocalObjects(*own.heap, own.memory.view(), me));
    ASSERT_FALSE(cache);
    EXPECT_EQ(cache.error().code, Errc::config_mismatch);
    struct alignas(64) Line {
        char bytes[64];
    };
    OwnObjects unaligned({96, 4096});
    EXPECT_FALSE((SlabCache<Line, LocalObjects>::over(
        LocalObjects(*unaligned.heap, unaligned.memory.view(), me))));
}

// --- compile-time (T-AS-14) ----------------------------------------------------------------------

template <typename T, std::uint64_t slab_bytes>
concept HasOptions = requires {
    slab_cache_options<T, slab_bytes>();
};
template <typename T>
concept HasCache = requires {
    typename SlabCache<T, LocalObjects>;
};

struct Small {
    std::uint16_t two_bytes;
};
struct Unaligned {
    std::uint16_t six_bytes[3];
};
struct Large {
    std::uint64_t bytes[511];
};
struct WithDestructor {
    ~WithDestructor() {}
    std::uint32_t number;
};
struct Polymorphic {
    virtual void verb() {}
    std::uint32_t number;
};

static_assert(HasOptions<std::uint32_t, 4096> && HasOptions<std::uint32_t, 512>);
static_assert(!HasOptions<Small, 4096> && !HasCache<Small>, "2 bytes");
static_assert(!HasOptions<Unaligned, 4096> && !HasCache<Unaligned>, "aligned to 2");
static_assert(!HasOptions<std::uint32_t, 4095> && !HasOptions<std::uint32_t, 3 * 4096>);
static_assert(!HasOptions<std::uint32_t, 256> && !HasOptions<std::uint32_t, 0>);
static_assert(!HasOptions<Large, 4096> && HasOptions<Large, 8192>, "no room for one");
static_assert(!HasCache<WithDestructor>, "who knows it has to say that it holds no addresses");
static_assert(!HasCache<Polymorphic> && !HasCache<int*>);
static_assert(HasCache<Counted>);
static_assert(!std::is_copy_constructible_v<Cache::Box> && std::is_copy_constructible_v<Cache>);
static_assert(std::is_nothrow_move_constructible_v<Cache::Box>);
static_assert(std::is_trivially_destructible_v<Maybe<Counted>>);
static_assert(slab_cache_options<Counted, 8192>().map_alignment == 8192);

}  // namespace
}  // namespace shmpool
