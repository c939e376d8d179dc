// SPDX-License-Identifier: Apache-2.0
/// Goal: whatever somebody writes into a heap of the stack family, nobody who uses it crashes,
/// hangs, or touches memory that is not the heap's. Method: words of it are overwritten by chance,
/// with what is most like an offset, a size or a mark; then everything is called.
#include <random>

#include "tests/shmpool/heap/own_stack.hpp"

namespace shmpool {
namespace {

using test::OwnStack;

constexpr HeapHolder me = OwnStack::me;

class StackNonsense : public testing::TestWithParam<HeapKind> {};

/// A heap with live blocks and free ones.
std::vector<StackHandle> furnish(OwnStack& own, std::mt19937& random) {
    std::vector<StackHandle> blocks;
    for (int i = 0; i < 30; ++i) blocks.push_back(own.alloc(1 + random() % 300));
    for (std::size_t i = 0; i < blocks.size(); i += 1 + random() % 3) own.free(blocks[i]);
    return blocks;
}

void write_nonsense(OwnStack& own, std::mt19937_64& random) {
    const auto& header = *reinterpret_cast<const HeapHeader*>(own.memory.view().data());
    const std::uint64_t values[] = {0,
                                    random(),
                                    random() % 8'192,
                                    8 * (random() % 1'024),
                                    ~std::uint64_t{0},
                                    48 + 32 * (random() % 64),
                                    std::uint64_t{1} << (random() % 64)};
    // The engine's words, or some of the marks, or of what lies in the stack.
    const HeapOffset begins[] = {
        header.engine_offset, header.engine_offset + stack_words::bytes,
        static_cast<HeapOffset>(own.stack().data() - own.memory.view().data())};
    const HeapOffset at = begins[random() % 3] / 8 * 8 + 8 * (random() % (random() % 2 ? 6 : 400));
    std::memcpy(own.memory.view().data() + at, &values[random() % std::size(values)], 8);
}

void call_everything(StackHeap& heap, const std::vector<StackHandle>& blocks,
                     std::mt19937& random) {
    for (int i = 0; i < 20; ++i) {
        const StackHandle& one = blocks[random() % blocks.size()];
        (void)heap.alloc(me, random() % 400);
        (void)heap.realloc(me, one, random() % 400);
        (void)heap.dealloc(me, one);
    }
    (void)heap.alloc_bulk(me, std::vector<std::uint64_t>{10, 100, 0, 40});
    (void)heap.dealloc_bulk(me, blocks);
    (void)heap.recover(me);
    (void)heap.audit(me);
    (void)heap.statistics(me);
}

TEST_P(StackNonsense, CrashesAndHangsNobody) {
    for (unsigned seed = 0; seed < 600; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::mt19937 random(seed);
        std::mt19937_64 words(seed);
        OwnStack own(GetParam(), 64, 128 << 10);
        const auto blocks = furnish(own, random);
        for (unsigned i = 0; i < 1 + seed % 4; ++i) write_nonsense(own, words);
        call_everything(*own.heap, blocks, random);
        if (const auto other = open_stack_heap(own.memory.view()); other) {
            call_everything(**other, blocks, random);
        }
        own.abandon();
    }
}

INSTANTIATE_TEST_SUITE_P(Kinds, StackNonsense, testing::ValuesIn(test::stack_kinds),
                         [](const auto& tested) { return std::string(name_of(tested.param)); });

}  // namespace
}  // namespace shmpool
