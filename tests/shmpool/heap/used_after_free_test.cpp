// SPDX-License-Identifier: Apache-2.0
/// Goal: who writes one word into a block that he has freed, or just in front of it, harms the
/// heap's memory at that place and nowhere else: no living block and no word of the header changes,
/// and what others have is freed, allocated and taken back as before. The words are such as a
/// program has at hand: small numbers, offsets of the header, of free blocks, and of living ones,
/// some of which name the freed block in each of their words, as nodes of a list do.
#include <array>
#include <cstring>

#include "shmpool/heap/heap_audit.hpp"
#include "tests/shmpool/heap/own_heap.hpp"

namespace shmpool {
namespace {

using test::HeapMemory;

constexpr HeapHolder me = 1;
constexpr HeapHolder other = 2;
constexpr HeapOwner ann = 11;
constexpr std::uint64_t many = 200;
constexpr std::uint64_t freed = 100;
constexpr std::uint64_t block_bytes = 100;
/// What of a block its engine may call its beginning.
constexpr std::array<std::uint64_t, 3> headers{0, 16, 32};
/// Living ones that name it so.
constexpr std::array<std::uint64_t, 3> friends{50, 51, 52};
/// Neighbours of what is damaged, and of what lies beside it in its list: not to be joined with it.
constexpr std::uint64_t beside_it = 4;

/// A heap of which one block in the middle was freed, and then written to.
class Written {
public:
    Written(HeapKind kind, std::int64_t word, std::uint64_t value) {
        HeapOptions options;
        options.owned = true;
        EXPECT_TRUE(format_heap(memory_.view(), kind, options));
        heap_ = *open_byte_heap(memory_.view(), std::chrono::nanoseconds::zero());
        for (std::uint64_t i = 0; i < many; ++i) {
            blocks_.push_back(heap_->allocate({me, ann}, block_bytes, 8).value());
        }
        for (std::size_t i = 0; i < friends.size(); ++i) {
            const std::uint64_t name = blocks_[freed] - headers[i];
            for (std::uint64_t n = 0; n < block_bytes / 8; ++n) {
                std::memcpy(at(blocks_[friends[i]] + 8 * n), &name, sizeof name);
            }
        }
        const auto all = memory_.view();
        before_.assign(all.begin(), all.end());
        EXPECT_TRUE(heap_->free(me, blocks_[freed]));
        EXPECT_TRUE(heap_->free(me, blocks_[freed + 50]));  // Another one in the same list.
        const auto place = static_cast<std::int64_t>(blocks_[freed]) + 8 * word;
        std::memcpy(at(static_cast<HeapOffset>(place)), &value, sizeof value);
        std::memcpy(regions_.data(), header().regions, sizeof header().regions);
    }

    [[nodiscard]] HeapOffset block(std::uint64_t number) const { return blocks_[number]; }
    [[nodiscard]] ByteHeap& heap() { return *heap_; }
    [[nodiscard]] static bool is_live(std::uint64_t number) {
        return number != freed && number != freed + 50;
    }

    /// Of those before the one that was freed, which nobody frees.
    [[nodiscard]] std::uint64_t changed_blocks() {
        std::uint64_t changed = 0;
        for (std::uint64_t i = 0; i + 1 < freed; ++i) {
            const auto* const was = before_.data() + blocks_[i];
            changed += std::memcmp(was, at(blocks_[i]), block_bytes) != 0 ? 1U : 0U;
        }
        return changed;
    }
    [[nodiscard]] bool has_its_regions() {
        return std::memcmp(regions_.data(), header().regions, sizeof header().regions) == 0;
    }
    [[nodiscard]] bool is_damaged() { return header().damaged.load() != 0; }
    [[nodiscard]] bool is_whole() {
        const auto findings = heap_->audit(me);
        return findings && findings->empty();
    }
    /// Of all that live; how many frees have failed.
    std::uint64_t free_all() {
        std::uint64_t failed = 0;
        for (std::uint64_t i = 0; i < many; ++i) {
            if (is_live(i)) failed += heap_->free(other, blocks_[i]).has_value() ? 0U : 1U;
        }
        return failed;
    }

private:
    [[nodiscard]] std::byte* at(HeapOffset offset) { return memory_.view().data() + offset; }
    [[nodiscard]] HeapHeader& header() {
        return *reinterpret_cast<HeapHeader*>(memory_.view().data());
    }

    HeapMemory memory_{1 << 20};
    std::unique_ptr<ByteHeap> heap_;
    std::vector<HeapOffset> blocks_;
    std::vector<std::byte> before_;
    std::array<std::byte, sizeof(HeapHeader::regions)> regions_{};
};

class UsedAfterFree : public testing::TestWithParam<HeapKind> {
protected:
    /// Calls check(heap) with each value at each word that may be one of the heap's.
    template <typename Check>
    void with_each(Check check) {
        const Written any(GetParam(), 20, 0);
        std::vector<std::uint64_t> values{any.block(many - 1)};
        for (const std::uint64_t number : {friends[0], friends[1], friends[2], freed, freed + 50}) {
            for (const std::uint64_t header : headers) values.push_back(any.block(number) - header);
        }
        for (std::uint64_t value = 0; value < sizeof(HeapHeader) + 64; value += 8) {
            values.push_back(value);
        }
        for (std::int64_t word = -2; word < 3; ++word) {
            for (const std::uint64_t value : values) {
                SCOPED_TRACE("word " + std::to_string(word) + " is " + std::to_string(value));
                Written heap(GetParam(), word, value);
                check(heap);
                if (HasFailure()) return;
            }
        }
    }
};

TEST_P(UsedAfterFree, ChangesNobodysBlockAndNoRegion) {
    with_each([](Written& heap) {
        for (std::uint64_t i = freed + 1; i < freed + 10; ++i) {
            (void)heap.heap().free(other, heap.block(i));
        }
        for (int i = 0; i < 20; ++i) (void)heap.heap().allocate({other, ann}, block_bytes, 8);
        EXPECT_EQ(heap.changed_blocks(), 0U);
        EXPECT_TRUE(heap.has_its_regions());
    });
}

TEST_P(UsedAfterFree, KeepsNobodyFromFreeing) {
    with_each([](Written& heap) {
        EXPECT_LE(heap.free_all(), beside_it);
        EXPECT_TRUE(heap.has_its_regions());
        EXPECT_TRUE(heap.is_whole() || heap.is_damaged()) << "nothing is lost in silence";
    });
}

TEST_P(UsedAfterFree, KeepsNothingElseOfTheDead) {
    with_each([](Written& heap) {
        const auto taken = heap.heap().reclaim(other, [](HeapOwner one) { return one == ann; });
        ASSERT_TRUE(taken) << explain(taken.error());
        EXPECT_GE(*taken, many - 2 - beside_it);
        EXPECT_TRUE(heap.has_its_regions());
    });
}

INSTANTIATE_TEST_SUITE_P(Of, UsedAfterFree,
                         testing::Values(HeapKind::tlsf, HeapKind::buddy, HeapKind::slab),
                         [](const auto& one) { return std::string(name_of(one.param)); });

}  // namespace
}  // namespace shmpool
