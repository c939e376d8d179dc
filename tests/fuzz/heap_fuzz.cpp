// SPDX-License-Identifier: Apache-2.0
/// A heap with damage anywhere in its memory: who lets it grow, opens it and uses it is refused,
/// told of the damage, or gets on; nobody reads or writes outside of the memory, nobody goes on for
/// ever.
///
/// The input says of which kind the heap is (one byte: heap_input.hpp), and then damage: records of
/// 12 bytes, a 4-byte place and the 8 bytes that are put there.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "fuzz.hpp"
#include "heap_input.hpp"
#include "shmpool/heap/best_fit.hpp"
#include "shmpool/heap/built_kinds.hpp"
#include "shmpool/heap/byte_heap.hpp"
#include "shmpool/heap/heap_audit.hpp"
#include "shmpool/heap/id_heap.hpp"
#include "shmpool/heap/object_heap.hpp"
#include "shmpool/heap/page_chain.hpp"
#include "shmpool/heap/page_heap.hpp"
#include "shmpool/heap/stack_heap.hpp"

namespace shmpool::fuzz {
namespace {

constexpr std::size_t record_bytes = 12;
constexpr std::size_t memory_bytes = 128 << 10;
constexpr HeapHolder me = 1;
constexpr std::chrono::nanoseconds no_patience{0};
constexpr HeapOwner somebody = 0x0000'0001'0000'0003;

HeapOptions options_for(HeapKind kind, bool owned) {
    HeapOptions options;
    if (can_grow(kind)) options.backed_bytes = 96 << 10;
    options.owned = owned;
    options.id_count = 500;
    return options;
}

std::string used_place(HeapKind kind) {
    return std::string(name_of(kind)) + ": used, with damage";
}
std::string refused_place(HeapKind kind) {
    return std::string(name_of(kind)) + ": refused";
}
std::string found_place(HeapKind kind) {
    return std::string(name_of(kind)) + ": used, and damage found";
}
std::string grown_place(HeapKind kind) {
    return std::string(name_of(kind)) + ": grown, with damage";
}

std::vector<std::string> all_places() {
    std::vector<std::string> places;
    for (const HeapKind kind : heap_kinds) {
        if (!is_built(kind)) continue;
        places.push_back(used_place(kind));
        places.push_back(refused_place(kind));
        places.push_back(found_place(kind));
        if (can_grow(kind)) places.push_back(grown_place(kind));
    }
    return places;
}

Reach& own_reach() {
    static Reach reach(all_places());
    return reach;
}

bool is_gone(HeapOwner owner) {
    return owner == somebody;
}

// Each uses a heap of its sort for a while; what it is told does not matter.

void use(ByteHeap& heap) {
    std::vector<HeapOffset> blocks;
    for (const std::uint64_t bytes : {1U, 60U, 300U, 5000U, 20'000U, 40U}) {
        if (const auto block = heap.allocate({me, somebody}, bytes, 8)) blocks.push_back(*block);
    }
    (void)heap.allocate_into(me, 100, 8, HeapCell::root());
    for (std::size_t i = 0; i < blocks.size(); i += 2) {
        (void)heap.usable_bytes(me, blocks[i]);
        (void)heap.free(me, blocks[i]);
    }
    (void)heap.free_from(me, HeapCell::root());
    (void)heap.reclaim(me, is_gone);
    (void)heap.audit(me);
}

void use(PageHeap& heap) {
    for (const std::uint64_t count : {1U, 3U, 1U}) {
        const auto run = heap.allocate_pages({me, somebody}, count, page_bytes);
        if (run && count == 1) (void)heap.free_pages(me, *run, 1);
    }
    (void)heap.reclaim(me, is_gone);
    (void)heap.audit(me);
}

void use(IdHeap& heap) {
    for (const std::uint64_t count : {1U, 30U, 1U}) {
        const auto start = heap.allocate_id({me, somebody}, count, 1);
        if (start && count == 1) (void)heap.free_id(me, *start, 1);
    }
    (void)heap.reclaim(me, is_gone);
    (void)heap.audit(me);
}

void use(ObjectHeap& heap) {
    std::vector<HeapOffset> objects;
    for (int i = 0; i < 5; ++i) {
        if (const auto object = heap.allocate({me, somebody})) objects.push_back(*object);
    }
    (void)heap.allocate_into(me, HeapCell::root());
    for (std::size_t i = 0; i < objects.size(); i += 2) (void)heap.free(me, objects[i]);
    (void)heap.free_from(me, HeapCell::root());
    (void)heap.reclaim(me, is_gone);
    (void)heap.audit(me);
}

void use(PageChain& heap) {
    for (int i = 0; i < 3; ++i) {
        const auto page = heap.allocate({me, somebody});
        if (!page) continue;
        (void)heap.pin({me, somebody}, *page);
        if (i == 1) (void)heap.unpin({me, somebody}, *page);
        (void)heap.free(me, *page);
        (void)heap.state(me, *page);
    }
    (void)heap.reclaim(me, is_gone);
    (void)heap.audit(me);
}

void use(StackHeap& heap) {
    StackHandle last{};
    for (const std::uint64_t bytes : {40U, 300U, 5000U, 60U}) {
        const auto handle = heap.alloc(me, bytes);
        if (!handle) continue;
        const auto longer = heap.realloc(me, *handle, 2 * bytes);
        if (!last.is_null()) (void)heap.dealloc(me, last);
        last = longer.value_or(*handle);
    }
    (void)heap.recover(me);
    (void)heap.audit(me);
}

/// Only its journal and its audit: Boost.Interprocess believes what it finds.
void use(BestFitHeap& heap) {
    (void)heap.statistics(me);
    (void)heap.audit(me);
}

template <typename Opened>
bool opened_and_used(Opened opened) {
    if (opened) use(**opened);
    return opened.has_value();
}

/// A heap of each kind, made and used once, and written back before each input.
class Patient {
public:
    Patient() : memory_(static_cast<std::byte*>(std::aligned_alloc(page_bytes, memory_bytes))) {
        for (const HeapKind kind : heap_kinds) {
            if (!is_built(kind)) continue;
            for (const bool owned : {false, true}) {
                std::memset(memory_.get(), 0, memory_bytes);
                if (!format_heap(view(), kind, options_for(kind, owned)))
                    continue;  // Of a kind without owners.
                demand(is_opened_and_used(), "a new heap is refused");
                demand(audit_heap(view(), me)->empty(), "a used heap is not whole");
                healthy_.push_back(
                    {kind, number_of(kind, owned), {memory_.get(), memory_.get() + memory_bytes}});
            }
        }
        demand(!healthy_.empty(), "no kind of heap is built");
    }

    /// Of which kind it is now: the one of that number, else any.
    HeapKind heal(std::uint8_t number) {
        auto found = std::ranges::find(healthy_, number, &Healthy::number);
        if (found == healthy_.end()) found = healthy_.begin() + number % std::ssize(healthy_);
        std::memcpy(memory_.get(), found->bytes.data(), found->bytes.size());
        return found->kind;
    }
    void damage(std::span<const std::byte> record) {
        std::uint32_t place = 0;
        std::memcpy(&place, record.data(), sizeof(place));
        const std::size_t room = memory_bytes - sizeof(std::uint64_t);
        std::memcpy(memory_.get() + place % room, record.data() + sizeof(place),
                    sizeof(std::uint64_t));
    }

    /// Of a kind that can.
    bool grow() { return grow_heap(view(), me, memory_bytes, no_patience).has_value(); }

    bool is_opened_and_used() {
        (void)glance_at_heap(view());
        (void)end_of_regions(view());
        return opened_and_used(open_byte_heap(view(), no_patience)) ||
               opened_and_used(open_page_heap(view(), no_patience)) ||
               opened_and_used(open_id_heap(view(), no_patience)) ||
               opened_and_used(open_object_heap(view(), no_patience)) ||
               opened_and_used(open_page_chain(view(), no_patience)) ||
               opened_and_used(open_best_fit_heap_to_audit(view(), no_patience)) ||
               opened_and_used(open_stack_heap(view(), no_patience));
    }
    bool is_whole() {
        const auto findings = audit_heap(view(), me, no_patience);
        return findings && findings->empty();
    }

private:
    struct Free {
        void operator()(std::byte* memory) const { std::free(memory); }
    };
    [[nodiscard]] std::span<std::byte> view() const { return {memory_.get(), memory_bytes}; }

    std::unique_ptr<std::byte, Free> memory_;
    struct Healthy {
        HeapKind kind{};
        std::uint8_t number = 0;
        std::vector<std::byte> bytes;
    };

    std::vector<Healthy> healthy_;
};

}  // namespace

const Reach& reach() {
    return own_reach();
}

void try_input(std::span<const std::byte> input) {
    static Patient patient;
    if (input.empty()) return;
    const HeapKind kind = patient.heal(std::to_integer<std::uint8_t>(input[0]));
    for (auto rest = input.subspan(1); rest.size() >= record_bytes;
         rest = rest.subspan(record_bytes)) {
        patient.damage(rest.first(record_bytes));
    }
    const bool has_grown = patient.grow();
    const bool serves = patient.is_opened_and_used();
    const bool is_whole = patient.is_whole();
    if (input.size() <= record_bytes) {
        demand(serves && is_whole, "a sound heap is refused");
        return;
    }
    own_reach().note(serves ? used_place(kind) : refused_place(kind));
    own_reach().note_if(serves && !is_whole, found_place(kind));
    own_reach().note_if(has_grown && can_grow(kind), grown_place(kind));
}

}  // namespace shmpool::fuzz
