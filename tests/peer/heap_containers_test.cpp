// SPDX-License-Identifier: Apache-2.0
/// Containers that live in a heap and are used by two processes at two addresses; and holds, boxes
/// and memory resources over heaps.
#include "shmpool/heap/offset_allocator.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <array>
#include <boost/interprocess/containers/map.hpp>
#include <boost/interprocess/containers/string.hpp>
#include <boost/interprocess/containers/vector.hpp>
#include <csignal>
#include <memory_resource>
#include <vector>

#include "peer/heap_hold.hpp"
#include "shmpool/heap/heap_resource.hpp"
#include "tests/peer/peer_fixture.hpp"

namespace shmpool {
namespace {

namespace bip = boost::interprocess;

using Text = bip::basic_string<char, std::char_traits<char>, OffsetAllocator<char>>;
using Numbers = bip::vector<int, OffsetAllocator<int>>;
using Entry = std::pair<const Text, Numbers>;
using Table = bip::map<Text, Numbers, std::less<Text>, OffsetAllocator<Entry>>;

/// Of types that may lie in a heap.
template <typename T>
concept Boxed = requires {
    typename HeapBox<T>;
};
struct WithVirtual {
    virtual ~WithVirtual() = default;
};
struct Plain {
    double x;
    int y[3];
};
static_assert(Boxed<int> && Boxed<Plain> && Boxed<Text> && Boxed<Numbers> && Boxed<Table>);
static_assert(Boxed<std::pair<const int, Plain>>);
static_assert(!Boxed<std::string> && !Boxed<int*> && !Boxed<int&> && !Boxed<WithVirtual>);
static_assert(!Boxed<std::vector<int>> && !Boxed<std::pair<int, std::string>>);
static_assert(!Boxed<bip::vector<std::string, OffsetAllocator<std::string>>>);

HeapHeader& header_of(const SharedByteHeap& heap) {
    return *reinterpret_cast<HeapHeader*>(heap.memory().data());
}

/// Longer than a string holds within itself.
Text key(const SharedByteHeap& heap, int number) {
    const std::string text = "a key that has to be allocated, number " + std::to_string(number);
    return {text.c_str(), OffsetAllocator<char>(header_of(heap))};
}

void insert(const SharedByteHeap& heap, Table& table, int number) {
    Numbers numbers{OffsetAllocator<int>(header_of(heap))};
    for (int i = 0; i <= number; ++i) numbers.push_back(number + i);
    table.emplace(key(heap, number), std::move(numbers));
}

bool holds(const SharedByteHeap& heap, const Table& table, int number) {
    const auto found = table.find(key(heap, number));
    return found != table.end() && found->second.size() == static_cast<std::size_t>(number) + 1 &&
           found->second.front() == number && found->second.back() == 2 * number;
}

class HeapContainers : public PeerTest {
protected:
    HeapContainers() {
        HeapSpec spec;
        spec.bytes = 8 << 20;
        if (!peer_.create_heap("kept", spec)) throw std::runtime_error("no heap");
        spec.on_death = OnDeath::reclaim;
        if (!peer_.create_heap("reclaimed", spec)) throw std::runtime_error("no heap");
    }
    static Peer attach_in_child(const std::string& pool) {
        PeerOptions options;
        options.control_thread = false;
        return Peer::attach(pool, options).value();
    }
    static SharedByteHeap open(Peer& peer, const char* name) {
        return peer.byte_heap(name).value();
    }
};

TEST_F(HeapContainers, AreReadAndGrownByAnotherProcessAtAnotherAddress) {
    SharedByteHeap heap = open(peer_, "kept");
    auto table =
        HeapBox<Table>::make(heap, std::less<Text>(), OffsetAllocator<Entry>(header_of(heap)));
    ASSERT_TRUE(table);
    for (int i = 0; i < 100; ++i) insert(heap, **table, i);
    ASSERT_TRUE(heap.set_root(table->offset()));
    Child child([&] {
        auto first_peer = attach_in_child(host_.pool());
        auto peer = attach_in_child(host_.pool());  // Mapped twice: one of them is elsewhere.
        auto its = open(peer, "kept");
        if (its.memory().data() == heap.memory().data()) its = open(first_peer, "kept");
        auto* const found = static_cast<Table*>(its.at(its.root()));
        bool right = found->size() == 100 && its.memory().data() != heap.memory().data();
        for (int i = 0; i < 100; ++i) right = right && holds(its, *found, i);
        found->clear();
        for (int i = 100; i < 200; ++i) insert(its, *found, i);
        _exit(right ? 0 : 1);
    });
    EXPECT_EQ(child.wait(), 0);
    EXPECT_EQ((*table)->size(), 100U);
    for (int i = 100; i < 200; ++i) EXPECT_TRUE(holds(heap, **table, i)) << i;
}

TEST_F(HeapContainers, OfAHeapThatKeepsOutliveWhoHasFilledThem) {
    Child child([&] {
        auto peer = attach_in_child(host_.pool());
        auto its = open(peer, "kept");
        auto table =
            HeapBox<Table>::make(its, std::less<Text>(), OffsetAllocator<Entry>(header_of(its)));
        for (int i = 0; i < 100; ++i) insert(its, **table, i);
        (void)its.set_root(table->release());
        pause();
    });
    auto heap = peer_.byte_heap("kept").value();
    ASSERT_TRUE(eventually([&] { return heap.root() != 0; }));
    child.signal(SIGKILL);
    child.wait();
    auto table = HeapBox<Table>::adopt(heap, heap.root()).value();
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(holds(heap, *table, i)) << i;
    for (int i = 100; i < 200; ++i) insert(heap, *table, i);
    EXPECT_EQ(table->size(), 200U);
    table = HeapBox<Table>::adopt(heap, table.release())
                .value();  // Moved onto itself: still one owner.
    EXPECT_GT(heap.statistics()->blocks, 200U);
    { const auto ended = std::move(table); }
    EXPECT_EQ(heap.statistics()->blocks, 0U) << "the destructor has run, once";
    EXPECT_THAT(heap.audit().value(), testing::IsEmpty());
}

/// Counts its ends.
struct Ending {
    static inline int ends = 0;
    std::uint64_t number = 0;
    ~Ending() { ++ends; }
};
}  // namespace

template <>
inline constexpr bool holds_no_addresses<Ending> = true;

namespace {

TEST_F(HeapContainers, AreNotAdoptedWhereNoneIs) {
    SharedByteHeap heap = open(peer_, "kept");
    const auto expect_refused = [&](Errc code, HeapOffset block) {
        Ending::ends = 0;
        const auto box = HeapBox<Ending>::adopt(heap, block);
        ASSERT_FALSE(box);
        EXPECT_EQ(box.error(), code);
        EXPECT_EQ(Ending::ends, 0);
    };
    const HeapOffset freed = heap.allocate(100).value();
    ASSERT_TRUE(heap.free(freed));
    expect_refused(Errc::not_allocated, freed);
    expect_refused(Errc::not_allocated, 0);
    expect_refused(Errc::not_allocated, freed + (HeapOffset{1} << 40));
    const HeapOffset live = heap.allocate(100).value();
    expect_refused(Errc::not_allocated, live + 32);
    EXPECT_EQ((HeapBox<std::array<std::uint64_t, 100>>::adopt(heap, live).error()),
              Errc::invalid_argument)
        << "it is too small for that";
    { EXPECT_TRUE(HeapBox<Ending>::adopt(heap, live)); }
    EXPECT_EQ(Ending::ends, 1);
    EXPECT_EQ(heap.statistics()->blocks, 0U);
}

/// Grows until it is killed; the heap is whole afterwards, and nothing of it is left.
TEST_F(HeapContainers, OfWhoIsKilledWhileTheyGrowAreTakenBack) {
    SharedByteHeap heap = open(peer_, "reclaimed");
    for (int round = 0; round < 10; ++round) {
        Child child([&] {
            auto peer = attach_in_child(host_.pool());
            auto its = open(peer, "reclaimed");
            for (;;) {
                Table table(std::less<Text>(), OffsetAllocator<Entry>(header_of(its)));
                for (int i = 0; i < 50; ++i) insert(its, table, i);
            }
        });
        ASSERT_TRUE(eventually([&] { return heap.statistics()->blocks > 0; }));
        ::usleep(static_cast<useconds_t>(1000 * (1 + round)));
        child.signal(SIGKILL);
        child.wait();
        EXPECT_TRUE(eventually([&] { return heap.statistics()->blocks == 0; }));
        EXPECT_THAT(heap.audit().value(), testing::IsEmpty());
    }
}

TEST_F(HeapContainers, EndWithBadAllocWhereTheHeapIsFullOrNotOpen) {
    std::optional<SharedByteHeap> heap(open(peer_, "kept"));
    OffsetAllocator<char> allocator(header_of(*heap));
    EXPECT_THROW((void)allocator.allocate(16 << 20), std::bad_alloc);
    EXPECT_THROW((void)OffsetAllocator<int>(allocator).allocate(~std::size_t{0} / 2),
                 std::bad_array_new_length);
    const auto block = allocator.allocate(100);
    EXPECT_EQ(heap->offset_of(block.get()) % 8, 0U);
    allocator.deallocate(block, 100);
    EXPECT_EQ(heap->statistics()->blocks, 0U);
    SharedByteHeap moved = std::move(*heap);
    heap.reset();
    allocator.deallocate(allocator.allocate(100), 100);
    { const SharedByteHeap ended = std::move(moved); }
    EXPECT_THROW((void)allocator.allocate(100), std::bad_alloc);
}

TEST_F(HeapContainers, AHeapIsAMemoryResource) {
    SharedByteHeap heap = open(peer_, "kept");
    HeapResource resource(heap.blocks());
    {
        std::pmr::vector<std::pmr::string> words(&resource);
        for (int i = 0; i < 100; ++i) words.emplace_back(100, 'x');
        EXPECT_GT(heap.statistics()->blocks, 100U);
        EXPECT_NE(heap.offset_of(words.data()), 0U);
    }
    EXPECT_EQ(heap.statistics()->blocks, 0U);
    HeapResource same(heap.blocks());
    EXPECT_TRUE(resource.is_equal(same));
    EXPECT_FALSE(resource.is_equal(*std::pmr::new_delete_resource()));
    EXPECT_THROW((void)resource.allocate(1 << 30), std::bad_alloc);
}

TEST_F(HeapContainers, WhatIsHeldGoesBackAtTheEndOfTheScope) {
    HeapSpec pages;
    pages.kind = HeapKind::bitmap_pages;
    pages.bytes = 1 << 20;
    HeapSpec ids;
    ids.kind = HeapKind::ids;
    ids.bytes = 1 << 16;
    ids.options.id_count = 10;
    HeapSpec stack;
    stack.kind = HeapKind::first_fit;
    stack.bytes = 1 << 20;
    ASSERT_TRUE(peer_.create_heap("pages", pages));
    HeapSpec chain;
    chain.kind = HeapKind::page_chain;
    chain.bytes = 1 << 20;
    ASSERT_TRUE(peer_.create_heap("chain", chain));
    ASSERT_TRUE(peer_.create_heap("ids", ids));
    ASSERT_TRUE(peer_.create_heap("stack", stack));
    auto page_heap = peer_.page_heap("pages").value();
    auto page_chain = peer_.page_chain("chain").value();
    auto id_heap = peer_.id_heap("ids").value();
    auto stack_heap = peer_.stack_heap("stack").value();
    SharedByteHeap heap = open(peer_, "kept");
    {
        const BlockHold block(heap, heap.allocate(100).value());
        const PageHold run(page_heap, {page_heap.allocate_pages(3).value(), 3});
        const ChainedPageHold page(page_chain, page_chain.allocate().value());
        EXPECT_EQ(page_chain.statistics()->allocated, 3U);
        IdHold id(id_heap, {id_heap.allocate_id(2).value(), 2});
        const IdHold moved = std::move(id);
        EXPECT_FALSE(id);
        const StackHold handle(stack_heap, stack_heap.alloc(100).value());
        EXPECT_EQ(stack_heap.bytes(handle.get()).size(), 100U);
        EXPECT_EQ(heap.statistics()->blocks, 1U);
        EXPECT_EQ(page_heap.statistics()->used_pages, 3U);
        EXPECT_EQ(id_heap.statistics()->used, 2U);
        EXPECT_EQ(stack_heap.statistics()->blocks, 1U);
    }
    EXPECT_EQ(heap.statistics()->blocks, 0U);
    EXPECT_EQ(page_heap.statistics()->used_pages, 0U);
    EXPECT_EQ(page_chain.statistics()->allocated, 2U);
    EXPECT_EQ(id_heap.statistics()->used, 0U);
    EXPECT_EQ(stack_heap.statistics()->blocks, 0U);
}

}  // namespace
}  // namespace shmpool
