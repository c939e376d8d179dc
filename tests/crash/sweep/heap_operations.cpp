// SPDX-License-Identifier: Apache-2.0
/// Heaps: the operations of heaps of bytes, pages (with pins too), ids and objects beside the
/// living, who use the same ones; cells; and what goes over the host: create, grow, open, close,
/// destroy. (An audit takes as many instructions as there are blocks, and changes nothing but the
/// lock.)
#include "heap_share.hpp"
#include "operation.hpp"

namespace shmpool::sweep {
namespace {

constexpr std::uint64_t block_bytes = 500;

void attach(Victim& victim) {
    victim.attach_with_lane();
    victim.blocks.reserve(64);
}

void keep(Victim& victim, const Outcome<HeapOffset>& block) {
    victim.blocks.push_back(must(block, "the victim's block"));
}

bool succeeded(const Victim& victim) {
    return victim.result == 1;
}

Operation by_host(const std::string& name, std::function<void(Victim&)> prepare,
                  std::function<bool(Victim&)> act) {
    return {"heap/" + name, Lists::either, std::move(prepare),
            [act = std::move(act)](Victim& victim) { victim.result = act(victim) ? 1 : 0; },
            succeeded};
}

Operation in_heap(const std::string& name, std::function<void(Victim&)> prepare,
                  std::function<bool(Victim&)> act) {
    Operation operation = by_host(name, std::move(prepare), std::move(act));
    operation.stores = Stores::into_payload;
    return operation;
}

// --- bytes ---------------------------------------------------------------------------------------

/// Three blocks, and the first and the third free: what is freed between them joins both.
void take_bytes(Victim& victim, const char* heap) {
    attach(victim);
    victim.heap_of_bytes.emplace(must(victim.peer->byte_heap(heap), "the victim's heap"));
    for (int i = 0; i < 3; ++i) keep(victim, victim.heap_of_bytes->allocate(block_bytes));
    for (const std::size_t i : {0U, 2U}) {
        must(victim.heap_of_bytes->free(victim.blocks[i]), "the victim frees");
    }
}

std::vector<Operation> of_bytes(const std::string& heap) {
    const auto prepare = [heap](Victim& victim) { take_bytes(victim, heap.c_str()); };
    const auto freed = [](Victim& victim) {
        return victim.heap_of_bytes->free(victim.blocks[1]).has_value();
    };
    return {
        in_heap(
            heap + "/allocate", prepare,
            [](Victim& victim) { return victim.heap_of_bytes->allocate(block_bytes).has_value(); }),
        in_heap(heap + "/allocate_small", prepare,
                [](Victim& victim) { return victim.heap_of_bytes->allocate(1).has_value(); }),
        in_heap(heap + "/allocate_aligned", prepare,
                [](Victim& victim) {
                    return victim.heap_of_bytes->allocate(block_bytes, 1024).has_value();
                }),
        in_heap(heap + "/allocate_too_much", prepare,
                [](Victim& victim) { return !victim.heap_of_bytes->allocate(1 << 20); }),
        in_heap(heap + "/free", prepare, freed),
        in_heap(heap + "/free_inside", prepare,
                [](Victim& victim) { return !victim.heap_of_bytes->free(victim.blocks[1] + 16); }),
        in_heap(heap + "/usable_bytes", prepare,
                [](Victim& victim) {
                    return victim.heap_of_bytes->usable_bytes(victim.blocks[1]).has_value();
                }),
    };
}

// --- pages and ids -------------------------------------------------------------------------------

void take_pages(Victim& victim) {
    attach(victim);
    victim.heap_of_pages.emplace(must(victim.peer->page_heap(page_heap), "the victim's pages"));
    keep(victim, victim.heap_of_pages->allocate_pages(2));
}

void take_ids(Victim& victim) {
    attach(victim);
    victim.heap_of_ids.emplace(must(victim.peer->id_heap(id_heap), "the victim's ids"));
    keep(victim, victim.heap_of_ids->allocate_id(100));
}

std::vector<Operation> of_pages_and_ids() {
    return {
        in_heap("pages/allocate_one", take_pages,
                [](Victim& victim) { return victim.heap_of_pages->allocate_pages(1).has_value(); }),
        in_heap("pages/allocate_run", take_pages,
                [](Victim& victim) { return victim.heap_of_pages->allocate_pages(3).has_value(); }),
        in_heap("pages/free", take_pages,
                [](Victim& victim) {
                    return victim.heap_of_pages->free_pages(victim.blocks[0], 2).has_value();
                }),
        in_heap("ids/allocate_one", take_ids,
                [](Victim& victim) { return victim.heap_of_ids->allocate_id().has_value(); }),
        in_heap("ids/allocate_run", take_ids,
                [](Victim& victim) { return victim.heap_of_ids->allocate_id(100, 8).has_value(); }),
        in_heap("ids/free", take_ids,
                [](Victim& victim) {
                    return victim.heap_of_ids->free_id(victim.blocks[0], 100).has_value();
                }),
    };
}

// --- cells ---------------------------------------------------------------------------------------

void with_empty_cell(Victim& victim, const char* heap) {
    take_bytes(victim, heap);
    (void)victim.heap_of_bytes->free_from(
        HeapCell::root());  // An earlier victim may have filled it.
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

// --- objects -------------------------------------------------------------------------------------

/// So many that beside those of the rivals there are full slabs, and others.
void take_objects(Victim& victim) {
    attach(victim);
    victim.heap_of_objects.emplace(must(victim.peer->object_heap(object_heap), "its objects"));
    for (int i = 0; i < 7; ++i) keep(victim, victim.heap_of_objects->allocate());
}
/// Whatever the rivals have, a slab that was full is so no more.
void take_and_free_objects(Victim& victim) {
    take_objects(victim);
    for (const std::size_t i : {1U, 4U}) {
        must(victim.heap_of_objects->free(victim.blocks[i]), "the victim frees");
    }
}

std::vector<Operation> of_objects() {
    const auto allocated = [](Victim& victim) {
        return victim.heap_of_objects->allocate().has_value();
    };
    return {
        in_heap("objects/allocate", take_objects, allocated),
        in_heap("objects/allocate_one_that_was_freed", take_and_free_objects, allocated),
        in_heap("objects/free", take_objects,
                [](Victim& victim) {
                    return victim.heap_of_objects->free(victim.blocks[3]).has_value();
                }),
        in_heap("objects/free_inside", take_objects,
                [](Victim& victim) { return !victim.heap_of_objects->free(victim.blocks[3] + 4); }),
        in_heap("objects/is_live", take_objects,
                [](Victim& victim) {
                    return victim.heap_of_objects->is_live(victim.blocks[3]).value();
                }),
    };
}

// --- pages with pins -----------------------------------------------------------------------------

/// Three pages: the first is free again, the second pinned twice.
void take_chain(Victim& victim) {
    attach(victim);
    victim.chain_of_pages.emplace(must(victim.peer->page_chain(page_chain), "the victim's chain"));
    for (int i = 0; i < 3; ++i) keep(victim, victim.chain_of_pages->allocate());
    for (int i = 0; i < 2; ++i) {
        must(victim.chain_of_pages->pin(victim.blocks[1]), "the victim pins");
    }
    must(victim.chain_of_pages->free(victim.blocks[0]), "the victim frees");
}

Operation on_chain(const std::string& name, bool (*act)(SharedPageChain&, const Victim&)) {
    return in_heap("chain/" + name, take_chain,
                   [act](Victim& victim) { return act(*victim.chain_of_pages, victim); });
}

std::vector<Operation> of_chain() {
    using Chain = SharedPageChain;
    return {
        on_chain("allocate",
                 [](Chain& chain, const Victim&) { return chain.allocate().has_value(); }),
        on_chain("free",
                 [](Chain& chain, const Victim& victim) {
                     return chain.free(victim.blocks[2]).has_value();
                 }),
        on_chain("free_pinned",
                 [](Chain& chain, const Victim& victim) {
                     const auto freed = chain.free(victim.blocks[1]);
                     return !freed && freed.error() == Errc::pinned;
                 }),
        on_chain("pin",
                 [](Chain& chain, const Victim& victim) {
                     return chain.pin(victim.blocks[2]).has_value();
                 }),
        on_chain("unpin",
                 [](Chain& chain, const Victim& victim) {
                     return chain.unpin(victim.blocks[1]).has_value();
                 }),
        on_chain("state",
                 [](Chain& chain, const Victim& victim) {
                     return chain.state(victim.blocks[1]) == PageState::pinned;
                 }),
    };
}

// --- by the host ---------------------------------------------------------------------------------

constexpr const char* made = "made";

/// Whether an earlier victim came so far does not matter.
void without_made(Victim& victim) {
    attach(victim);
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
        by_host("create", without_made, make),
        by_host("destroy", with_made,
                [](Victim& victim) { return victim.peer->destroy_heap(made).has_value(); }),
        by_host("grow", with_made,
                [](Victim& victim) { return victim.peer->grow_heap(made, 128 << 10).has_value(); }),
        by_host("open", attach,
                [](Victim& victim) {
                    auto opened = victim.peer->byte_heap(byte_heaps[0]);
                    if (opened) victim.heap_of_bytes.emplace(std::move(*opened));
                    return victim.heap_of_bytes.has_value();
                }),
        by_host(
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
        for (auto& one : of_bytes(heap)) all.push_back(std::move(one));
    }
    for (auto some :
         {of_pages_and_ids(), of_chain(), of_cells(byte_heaps[0]), of_objects(), of_host()}) {
        for (auto& one : some) all.push_back(std::move(one));
    }
    return all;
}

}  // namespace shmpool::sweep
