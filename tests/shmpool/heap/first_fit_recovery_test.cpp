// SPDX-License-Identifier: Apache-2.0
/// A first_fit heap that says of itself that it was left half done, by who has no journal: what is
/// found again by a walk along its headers. Ids in brackets are of the list of features.
#include "shmpool/heap/first_fit.hpp"

#include "tests/shmpool/heap/own_stack.hpp"

namespace shmpool {
namespace {

using test::OwnStack;

constexpr HeapHolder me = OwnStack::me;

class FirstFitRecovery : public testing::Test {
protected:
    /// Writes a block's header, and behind its payload what is to stand there.
    void put_block(HeapOffset payload, std::uint64_t size, bool is_free, std::uint64_t behind) {
        own.word(payload - 16) = size;
        own.word(payload - 8) = is_free ? 1 : 0;
        own.word(payload + size) = behind;
    }
    void flag() { own.word(first_fit::flags_at) |= first_fit::recovery_needed; }
    void reopen_flagged() {
        flag();
        own.reopen();
        EXPECT_EQ(test::broken(*own.heap, me), "");
        EXPECT_EQ(own.word(first_fit::flags_at) & first_fit::recovery_needed, 0U);
    }

    OwnStack own{HeapKind::first_fit};
};

TEST_F(FirstFitRecovery, MendsASplitThatIsHalfDone) {  // T-BS-33
    own.len_word() = 192;
    put_block(64, 80, false, 24);
    own.word(96) = 32;  // R, in front of the second part.
    put_block(120, 24, true, 24);
    put_block(168, 16, false, 16);  // Something live behind it.
    reopen_flagged();
    EXPECT_EQ(own.word(48), 32U);
    EXPECT_EQ(own.now().blocks, 2U);
    EXPECT_EQ(own.alloc(24).offset, 120U);
}

TEST_F(FirstFitRecovery, BelievesTheHeaderWhereThereIsNoSplit) {
    const StackHandle one = own.alloc(80);
    (void)own.alloc(16);
    own.word(one.end()) = 24;
    reopen_flagged();
    EXPECT_EQ(own.word(one.end()), 80U);
    own.free(one);
}

TEST_F(FirstFitRecovery, KeepsDataAndFreeListsWhenItIsOpenedAgain) {  // T-BS-34
    const StackHandle a = own.alloc(32);
    const StackHandle b = own.alloc(32);
    const StackHandle c = own.alloc(32);
    own.fill(a, 1);
    own.fill(c, 3);
    own.free(b);
    own.reopen();
    EXPECT_TRUE(own.holds(a, 1));
    EXPECT_TRUE(own.holds(c, 3));
    EXPECT_EQ(own.alloc(32), b);
}

TEST_F(FirstFitRecovery, FindsTheFreeBlocksAnewInTheOrderOfTheirPlaces) {  // T-BS-35
    std::vector<StackHandle> blocks;
    for (int i = 0; i < 5; ++i) blocks.push_back(own.alloc(16));
    own.free(blocks[0]);
    own.free(blocks[2]);
    own.word(first_fit::free_head_at) = 0xDEAD'BEEF;
    reopen_flagged();
    EXPECT_EQ(own.alloc(16), blocks[0]);
    EXPECT_EQ(own.alloc(16), blocks[2]);

    own.free(blocks[0]);
    own.word(first_fit::free_head_at) = 0xDEAD'BEEF;
    own.reopen();  // Not flagged: that the list begins nowhere is enough.
    EXPECT_EQ(own.alloc(16), blocks[0]);

    own.word(first_fit::free_head_at) = 0xDEAD'BEEF;
    own.free(own.alloc(0));
    EXPECT_EQ(own.heap->recover(me).value(), 0U);
    const StackHandle last = own.alloc(16);
    EXPECT_EQ(last.offset, own.len() - 24);
}

TEST_F(FirstFitRecovery, JoinsNeighboursThatWereLeftApart) {
    std::vector<StackHandle> blocks;
    for (int i = 0; i < 4; ++i) blocks.push_back(own.alloc(16));
    for (const int i : {0, 1}) own.word(blocks[static_cast<std::size_t>(i)].offset - 8) |= 1;
    reopen_flagged();
    EXPECT_EQ(own.now().blocks, 2U);
    EXPECT_EQ(own.alloc(56), (StackHandle{blocks[0].offset, 56}));
}

TEST_F(FirstFitRecovery, CutsOffWhatIsNoBlock) {  // T-BS-36
    const StackHandle one = own.alloc(16);
    const std::uint64_t len = own.len();
    own.fill({len, 12}, 0xFF);
    own.len_word() = len + 12;
    reopen_flagged();
    EXPECT_EQ(own.len(), len);

    own.fill({len, 64}, 0);
    own.len_word() = len + 64;
    reopen_flagged();
    EXPECT_EQ(own.len(), len) << "zeros";

    own.fill({len, 64}, 0);
    own.word(len) = 4'000;
    own.len_word() = len + 64;
    reopen_flagged();
    EXPECT_EQ(own.len(), len) << "a block that was never there whole";
    own.free(one);
}

/// Nothing live is given up for a size that makes no sense, as its source did.
TEST_F(FirstFitRecovery, GivesNothingLiveUp) {  // D-BS-7, D-BS-21
    std::vector<StackHandle> blocks;
    for (int i = 0; i < 4; ++i) blocks.push_back(own.alloc(16));
    own.fill(blocks[3], 4);
    const std::uint64_t len = own.len();
    for (const std::uint64_t nonsense : {std::uint64_t{0}, std::uint64_t{17}, std::uint64_t{4'000},
                                         ~std::uint64_t{0}, ~std::uint64_t{7}}) {
        own.word(blocks[1].offset - 16) = nonsense;
        flag();
        own.reopen();
        own.expect_error(Errc::heap_damaged, own.heap->alloc(me, 16));
        own.expect_error(Errc::heap_damaged, own.heap->recover(me));
        EXPECT_EQ(own.len_word(), len);
        EXPECT_TRUE(own.holds(blocks[3], 4));
        own.word(blocks[1].offset - 16) = 16;
        own.reopen();
        EXPECT_EQ(own.now().blocks, 4U) << "mended by hand";
    }
}

}  // namespace
}  // namespace shmpool
