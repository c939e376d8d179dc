// SPDX-License-Identifier: Apache-2.0
/// Heaps that hand out units of one size, beside the living, who use the same ones: pages (with
/// pins too), ids and objects.
#include <unistd.h>

#include "heap_operation.hpp"
#include "heap_share.hpp"

namespace shmpool::sweep {
namespace {

// --- pages ---------------------------------------------------------------------------------------

/// Three pages in a row, and the third one free again.
void take_pages(Victim& victim) {
    attach_for_heaps(victim);
    auto& pages = use(victim, victim.heap_of_pages, victim.peer->page_heap(page_heap));
    keep_block(victim, pages.allocate_pages(3));
    must(pages.free_pages(victim.blocks[0] + 2 * page_bytes, 1), "the victim frees");
}

Operation on_pages(const std::string& name, bool (*act)(SharedPageHeap&, const Victim&)) {
    return in_heap("pages/" + name, take_pages,
                   [act](Victim& victim) { return act(*victim.heap_of_pages, victim); });
}

bool fill_cell_with_pages(SharedPageHeap& pages, const Victim&) {
    return pages.allocate_pages_into(pages_in_cell, HeapCell::root()).has_value();
}

Operation keeping_pages() {
    Operation one = on_pages("keep", [](SharedPageHeap& pages, const Victim& victim) {
        return pages.keep_pages(victim.blocks[0], 2).has_value();
    });
    one.prepare = [](Victim& victim) {
        take_pages(victim);
        victim.name_kept(page_heap, victim.blocks[0], 2);
    };
    return one;
}

Operation freeing_pages_from_cell() {
    Operation one = on_pages("free_from", [](SharedPageHeap& pages, const Victim&) {
        return pages.free_pages_from(pages_in_cell, HeapCell::root()).has_value();
    });
    one.prepare = [](Victim& victim) {
        take_pages(victim);
        must(fill_cell_with_pages(*victim.heap_of_pages, victim), "the victim's cell");
    };
    return one;
}

std::vector<Operation> of_pages() {
    using Pages = SharedPageHeap;
    return {
        on_pages("allocate_one",
                 [](Pages& pages, const Victim&) { return pages.allocate_pages(1).has_value(); }),
        on_pages("allocate_run",
                 [](Pages& pages, const Victim&) { return pages.allocate_pages(3).has_value(); }),
        on_pages("allocate_at",
                 [](Pages& pages, const Victim& victim) {
                     const HeapOffset third = victim.blocks[0] + 2 * page_bytes;
                     return pages.allocate_pages_at(third, 1) == third;
                 }),
        on_pages("free",
                 [](Pages& pages, const Victim& victim) {
                     return pages.free_pages(victim.blocks[0], 2).has_value();
                 }),
        on_pages("allocate_into", fill_cell_with_pages),
        on_pages("keep_in",
                 [](Pages& pages, const Victim& victim) {
                     return pages.keep_pages_in(victim.blocks[0], pages_in_cell, HeapCell::root())
                         .has_value();
                 }),
        freeing_pages_from_cell(),
        keeping_pages(),
    };
}

// --- ids -----------------------------------------------------------------------------------------

void take_ids(Victim& victim) {
    attach_for_heaps(victim);
    keep_block(victim,
               use(victim, victim.heap_of_ids, victim.peer->id_heap(id_heap)).allocate_id(100));
}

Operation on_ids(const std::string& name, bool (*act)(SharedIdHeap&, const Victim&)) {
    return in_heap("ids/" + name, take_ids,
                   [act](Victim& victim) { return act(*victim.heap_of_ids, victim); });
}

Operation keeping_ids() {
    Operation one = on_ids("keep", [](SharedIdHeap& ids, const Victim& victim) {
        return ids.keep_id(victim.blocks[0] + 10, 3).has_value();
    });
    one.prepare = [](Victim& victim) {
        take_ids(victim);
        victim.name_kept(id_heap, victim.blocks[0] + 10, 3);
    };
    return one;
}

/// For what stays for good: a fixed id, and more ids. The next victim makes it anew.
void make_own_ids(Victim& victim) {
    attach_for_heaps(victim);
    HeapSpec spec;
    spec.kind = HeapKind::ids;
    spec.bytes = 64 << 10;
    spec.options.id_count = 1000;
    spec.options.id_capacity = 2000;
    // Who counts may not have closed it yet.
    for (int tries = 0; tries < 1000; ++tries, ::usleep(1000)) {
        const auto destroyed = victim.peer->destroy_heap(own_ids);
        if (destroyed || destroyed.error().code == Errc::no_heap) break;
    }
    must(victim.peer->create_heap(own_ids, spec), "the victim's own ids");
    victim.board.has_own_ids = true;
    auto& ids = use(victim, victim.heap_of_ids, victim.peer->id_heap(own_ids));
    keep_block(victim, ids.allocate_id(100));
}

Operation on_own_ids(const std::string& name, bool (*act)(SharedIdHeap&, const Victim&)) {
    Operation one = on_ids(name, act);
    one.prepare = make_own_ids;
    return one;
}

std::vector<Operation> of_ids() {
    using Ids = SharedIdHeap;
    return {
        on_ids("allocate_one",
               [](Ids& ids, const Victim&) { return ids.allocate_id().has_value(); }),
        on_ids("allocate_run",
               [](Ids& ids, const Victim&) { return ids.allocate_id(100, 8).has_value(); }),
        on_ids("free",
               [](Ids& ids, const Victim& victim) {
                   return ids.free_id(victim.blocks[0], 100).has_value();
               }),
        on_ids("is_allocated",
               [](Ids& ids, const Victim& victim) {
                   return ids.is_allocated(victim.blocks[0]).value_or(false);
               }),
        on_ids("set_root",
               [](Ids& ids, const Victim& victim) {
                   return ids.set_root(victim.blocks[0]).has_value();
               }),
        keeping_ids(),
        on_own_ids("allocate_fixed",
                   [](Ids& ids, const Victim&) { return ids.allocate_fixed_id(700).has_value(); }),
        on_own_ids("add", [](Ids& ids, const Victim&) { return ids.add_ids(300).has_value(); }),
    };
}

// --- objects -------------------------------------------------------------------------------------

/// So many that beside those of the rivals there are full slabs, and others.
void take_objects(Victim& victim) {
    attach_for_heaps(victim);
    auto& objects = use(victim, victim.heap_of_objects, victim.peer->object_heap(object_heap));
    for (int i = 0; i < 7; ++i) keep_block(victim, objects.allocate());
}
/// Whatever the rivals have, a slab that was full is so no more.
void take_and_free_objects(Victim& victim) {
    take_objects(victim);
    for (const std::size_t i : {1U, 4U}) {
        must(victim.heap_of_objects->free(victim.blocks[i]), "the victim frees");
    }
}

using ActOnObjects = bool (*)(SharedObjectHeap&, const Victim&);

Operation on_objects(const std::string& name, ActOnObjects act,
                     void (*prepare)(Victim&) = take_objects) {
    return in_heap("objects/" + name, prepare,
                   [act](Victim& victim) { return act(*victim.heap_of_objects, victim); });
}

bool allocate_object(SharedObjectHeap& objects, const Victim&) {
    return objects.allocate().has_value();
}
bool fill_cell_with_object(SharedObjectHeap& objects, const Victim&) {
    return objects.allocate_into(HeapCell::root()).has_value();
}
void take_objects_and_fill_cell(Victim& victim) {
    take_objects(victim);
    must(fill_cell_with_object(*victim.heap_of_objects, victim), "the victim's cell");
}
void take_objects_to_keep_one(Victim& victim) {
    take_objects(victim);
    victim.name_kept(object_heap, victim.blocks[3]);
}

std::vector<Operation> of_objects() {
    using Objects = SharedObjectHeap;
    return {
        on_objects("allocate", allocate_object),
        on_objects("allocate_one_that_was_freed", allocate_object, take_and_free_objects),
        on_objects("free",
                   [](Objects& objects, const Victim& victim) {
                       return objects.free(victim.blocks[3]).has_value();
                   }),
        on_objects("free_inside",
                   [](Objects& objects, const Victim& victim) {
                       return !objects.free(victim.blocks[3] + 4);
                   }),
        on_objects("is_live",
                   [](Objects& objects, const Victim& victim) {
                       return objects.is_live(victim.blocks[3]).value_or(false);
                   }),
        on_objects("allocate_into", fill_cell_with_object),
        on_objects("keep_in",
                   [](Objects& objects, const Victim& victim) {
                       return objects.keep_in(victim.blocks[3], HeapCell::root()).has_value();
                   }),
        on_objects(
            "free_from",
            [](Objects& objects, const Victim&) {
                return objects.free_from(HeapCell::root()).has_value();
            },
            take_objects_and_fill_cell),
        on_objects(
            "keep",
            [](Objects& objects, const Victim& victim) {
                return objects.keep(victim.blocks[3]).has_value();
            },
            take_objects_to_keep_one),
    };
}

// --- pages with pins -----------------------------------------------------------------------------

/// Three pages: the first is free again, the second pinned twice.
void take_chain(Victim& victim) {
    attach_for_heaps(victim);
    auto& chain = use(victim, victim.chain_of_pages, victim.peer->page_chain(page_chain));
    for (int i = 0; i < 3; ++i) keep_block(victim, chain.allocate());
    for (int i = 0; i < 2; ++i) must(chain.pin(victim.blocks[1]), "the victim pins");
    must(chain.free(victim.blocks[0]), "the victim frees");
}

Operation on_chain(const std::string& name, bool (*act)(SharedPageChain&, const Victim&)) {
    return in_heap("chain/" + name, take_chain,
                   [act](Victim& victim) { return act(*victim.chain_of_pages, victim); });
}

Operation keeping_page_of_chain() {
    Operation one = on_chain("keep", [](SharedPageChain& chain, const Victim& victim) {
        return chain.keep(victim.blocks[2]).has_value();
    });
    one.prepare = [](Victim& victim) {
        take_chain(victim);
        victim.name_kept(page_chain, victim.blocks[2]);
    };
    return one;
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
        keeping_page_of_chain(),
    };
}

}  // namespace

std::vector<Operation> unit_operations() {
    std::vector<Operation> all;
    for (auto some : {of_pages(), of_ids(), of_objects(), of_chain()}) {
        for (auto& one : some) all.push_back(std::move(one));
    }
    return all;
}

}  // namespace shmpool::sweep
