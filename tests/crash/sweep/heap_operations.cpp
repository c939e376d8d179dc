// SPDX-License-Identifier: Apache-2.0
/// Heaps of bytes beside the living, who use the same ones; their cells; and what goes over the
/// host: create, grow, open, close, destroy. (An audit takes as many instructions as there are
/// blocks, and changes nothing but the lock.)
#include "heap_operation.hpp"
#include "heap_share.hpp"

namespace shmpool::sweep {
namespace {

constexpr std::uint64_t block_bytes = 500;

// --- bytes ---------------------------------------------------------------------------------------

/// Three blocks, and the first and the third free: what is freed between them joins both.
void take_bytes(Victim& victim, const char* heap) {
    attach_for_heaps(victim);
    auto& bytes = use(victim, victim.heap_of_bytes, victim.peer->byte_heap(heap));
    for (int i = 0; i < 3; ++i) keep_block(victim, bytes.allocate(block_bytes));
    for (const std::size_t i : {0U, 2U}) must(bytes.free(victim.blocks[i]), "the victim frees");
}

Operation on_bytes(const char* heap, const std::string& name,
                   bool (*act)(SharedByteHeap&, const Victim&)) {
    return in_heap(
        std::string(heap) + "/" + name, [heap](Victim& victim) { take_bytes(victim, heap); },
        [act](Victim& victim) { return act(*victim.heap_of_bytes, victim); });
}

/// It outlives the victim from some instruction on.
Operation keeping(const char* heap) {
    Operation one = on_bytes(heap, "keep", [](SharedByteHeap& bytes, const Victim& victim) {
        return bytes.keep(victim.blocks[1]).has_value();
    });
    one.prepare = [heap, prepare = one.prepare](Victim& victim) {
        prepare(victim);
        victim.name_kept(heap, victim.blocks[1]);
    };
    return one;
}

std::vector<Operation> of_bytes(const char* heap) {
    using Bytes = SharedByteHeap;
    return {
        on_bytes(
            heap, "allocate",
            [](Bytes& bytes, const Victim&) { return bytes.allocate(block_bytes).has_value(); }),
        on_bytes(heap, "allocate_small",
                 [](Bytes& bytes, const Victim&) { return bytes.allocate(1).has_value(); }),
        on_bytes(heap, "allocate_aligned",
                 [](Bytes& bytes, const Victim&) {
                     return bytes.allocate(block_bytes, 1024).has_value();
                 }),
        on_bytes(heap, "allocate_too_much",
                 [](Bytes& bytes, const Victim&) { return !bytes.allocate(1 << 20); }),
        on_bytes(heap, "free",
                 [](Bytes& bytes, const Victim& victim) {
                     return bytes.free(victim.blocks[1]).has_value();
                 }),
        on_bytes(
            heap, "free_inside",
            [](Bytes& bytes, const Victim& victim) { return !bytes.free(victim.blocks[1] + 16); }),
        on_bytes(heap, "usable_bytes",
                 [](Bytes& bytes, const Victim& victim) {
                     return bytes.usable_bytes(victim.blocks[1]).has_value();
                 }),
        keeping(heap),
    };
}

// --- cells ---------------------------------------------------------------------------------------

void with_empty_cell(Victim& victim, const char* heap) {
    take_bytes(victim, heap);
    // An earlier victim may have filled it.
    (void)victim.heap_of_bytes->free_from(HeapCell::root());
}

std::vector<Operation> of_cells(const std::string& heap) {
    const auto prepare = [heap](Victim& victim) { with_empty_cell(victim, heap.c_str()); };
    const auto fill = [](Victim& victim) {
        return victim.heap_of_bytes->allocate_into(block_bytes, HeapCell::root()).has_value();
    };
    return {
        in_heap(heap + "/allocate_into", prepare, fill),
        in_heap(heap + "/keep_in", prepare,
                [](Victim& victim) {
                    const HeapOffset block = victim.blocks[1];
                    return victim.heap_of_bytes->keep_in(block, HeapCell::root()).has_value();
                }),
        in_heap(
            heap + "/free_from",
            [prepare, fill](Victim& victim) {
                prepare(victim);
                must(fill(victim), "the victim's cell");
            },
            [](Victim& victim) {
                return victim.heap_of_bytes->free_from(HeapCell::root()).has_value();
            }),
    };
}

// --- by the host ---------------------------------------------------------------------------------

constexpr const char* made = "made";

/// Whether an earlier victim came so far does not matter.
void without_made(Victim& victim) {
    attach_for_heaps(victim);
    (void)victim.peer->destroy_heap(made);
}

bool make(Victim& victim) {
    HeapSpec spec;
    spec.bytes = 64 << 10;
    spec.max_bytes = 128 << 10;
    return victim.peer->create_heap(made, spec).has_value();
}

void with_made(Victim& victim) {
    without_made(victim);
    must(make(victim), "the victim's own heap");
}

std::vector<Operation> of_host() {
    return {
        in_heap("create", without_made, make),
        in_heap("destroy", with_made,
                [](Victim& victim) { return victim.peer->destroy_heap(made).has_value(); }),
        in_heap("grow", with_made,
                [](Victim& victim) { return victim.peer->grow_heap(made, 128 << 10).has_value(); }),
        in_heap("open", attach_for_heaps,
                [](Victim& victim) {
                    auto opened = victim.peer->byte_heap(byte_heaps[0]);
                    if (opened) victim.heap_of_bytes.emplace(std::move(*opened));
                    return victim.heap_of_bytes.has_value();
                }),
        in_heap(
            "close", [](Victim& victim) { take_bytes(victim, byte_heaps[0]); },
            [](Victim& victim) {
                victim.heap_of_bytes.reset();
                return true;
            }),
    };
}

}  // namespace

std::vector<Operation> heap_operations() {
    std::vector<Operation> all;
    for (const char* const heap : byte_heaps) {
        for (auto some : {of_bytes(heap), of_cells(heap)}) {
            for (auto& one : some) all.push_back(std::move(one));
        }
    }
    for (auto& one : of_host()) all.push_back(std::move(one));
    return all;
}

}  // namespace shmpool::sweep
