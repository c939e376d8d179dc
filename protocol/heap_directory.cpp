// SPDX-License-Identifier: Apache-2.0
#include "protocol/heap_directory.hpp"

#include <algorithm>
#include <bit>
#include <vector>

#include "protocol/wire/names.hpp"
#include "shmpool/heap/heap_audit.hpp"
#include "shmpool/layout/abi_constants.hpp"
#include "shmpool/platform/alignment.hpp"
#include "shmpool/platform/crash_point.hpp"
#include "shmpool/platform/memory_object.hpp"
#include "shmpool/platform/monotonic_clock.hpp"

namespace shmpool {
namespace {

std::uint64_t load(const Atomic<std::uint64_t>& word) {
    return word.load(std::memory_order_relaxed);  // The host alone writes the table.
}
std::uint32_t load(const Atomic<std::uint32_t>& word) {
    return word.load(std::memory_order_relaxed);
}

HeapState state_of(const HeapImage& heap) {
    return static_cast<HeapState>(load(heap.state));
}

void set_state(HeapImage& heap, HeapState state) {
    heap.state.store(static_cast<std::uint32_t>(state), std::memory_order_release);  // [R-heaps]
}

Atomic<std::uint64_t>& users_word(HeapImage& heap, std::uint32_t peer_index) {
    return heap.users[peer_index / 64];
}
std::uint64_t user_bit(std::uint32_t peer_index) {
    return std::uint64_t{1} << (peer_index % 64);
}
bool is_user(const HeapImage& heap, std::uint32_t peer_index) {
    return (load(heap.users[peer_index / 64]) & user_bit(peer_index)) != 0;
}
void remove_user(HeapImage& heap, std::uint32_t peer_index) {
    users_word(heap, peer_index).fetch_and(~user_bit(peer_index), std::memory_order_relaxed);
}

std::string text_of_peers(const std::vector<std::uint32_t>& peers) {
    std::string text;
    for (const std::uint32_t peer : peers) {
        text += (text.empty() ? "peer " : ", peer ") + std::to_string(peer);
    }
    return text;
}

constexpr HeapHolder holder_of_host = host_lane + 1;
static_assert(may_be_owner(owner_of_peer(0, 1)) &&
              may_be_owner(owner_of_peer(peer_count_max - 1, ~0U)));

/// For a heap that grows: longer than most changes, shorter than anybody notices. Who is in it for
/// longer is not waited for; whoever asks asks again.
constexpr std::chrono::microseconds patience_to_grow{100};

std::uint64_t whole_pages(std::uint64_t bytes) {
    return align_up(bytes, page_bytes);
}

}  // namespace

// --- create --------------------------------------------------------------------------------------

Result<HeapId> HeapDirectory::create(const HeapRequest& request) {
    if (auto sound = check_request(request); !sound) return tl::unexpected(sound.error());
    if (const auto there = find_heap(view_, request.name)) {
        const HeapImage& heap = view_.heaps.at(there->id.index);
        if (request.ticket != 0 && load(heap.ticket) == request.ticket) return there->id;
        return fail(Errc::name_taken,
                    "there is a heap '" + request.name + "' already; open it, or destroy it first");
    }
    const auto place = free_place();
    if (!place) return tl::unexpected(place.error());
    HeapImage& heap = view_.heaps.at(*place);
    if (auto made = make(heap, request); !made) {
        take_back(heap);
        return of_heap(request.name, made.error());
    }
    return HeapId{*place, load(heap.incarnation)};
}

Result<void> HeapDirectory::check_request(const HeapRequest& request) const {
    if (auto sound = check_heap_name(request.name); !sound) return sound;
    const std::uint64_t alignment = request.options.map_alignment;
    if (!std::has_single_bit(alignment) || alignment < page_bytes || alignment > large_page_bytes) {
        return fail(Errc::invalid_argument,
                    "the alignment of heap '" + request.name + "' is " + std::to_string(alignment) +
                        "; it must be a power of two from " + std::to_string(page_bytes) + " to " +
                        std::to_string(large_page_bytes));
    }
    const std::uint64_t bytes = std::max(request.bytes, request.max_bytes);
    if (request.bytes == 0 || bytes > memory_.bytes.size()) {
        return fail(Errc::invalid_argument,
                    "heap '" + request.name + "' is to have " +
                        std::to_string(request.bytes == 0 ? 0 : bytes) +
                        " bytes; it must be from 1 to " + std::to_string(memory_.bytes.size()) +
                        ", which is what [limits] heap_bytes of the host's configuration grants "
                        "to all heaps together");
    }
    if (auto sound = check_sense(request); !sound) return sound;
    if (bytes > request.bytes && !can_grow(request.kind)) {
        return fail(Errc::unsupported, "heaps of kind " + std::string(name_of(request.kind)) +
                                           " can not grow; give '" + request.name +
                                           "' all of its memory at once");
    }
    return {};
}

Result<std::uint32_t> HeapDirectory::free_place() const {
    for (std::uint32_t i = 0; i < view_.heaps.count; ++i) {
        if (state_of(view_.heaps.at(i)) == HeapState::empty) return i;
    }
    return fail(Errc::too_many_heaps,
                "there are " + std::to_string(view_.heaps.count) +
                    " heaps already; destroy one, or raise [limits] heaps in the "
                    "host's configuration");
}

/// The lowest gap between the heaps that there are.
std::optional<std::uint64_t> HeapDirectory::find_room(std::uint64_t bytes,
                                                      std::uint64_t alignment) const {
    std::vector<HeapExtent> taken;
    for (std::uint32_t i = 0; i < view_.heaps.count; ++i) {
        const HeapImage& heap = view_.heaps.at(i);
        if (state_of(heap) != HeapState::empty)
            taken.push_back({load(heap.offset), load(heap.bytes)});
    }
    std::ranges::sort(taken, {}, &HeapExtent::offset);
    taken.push_back({memory_.bytes.size(), 0});
    std::uint64_t at = 0;
    for (const HeapExtent& next : taken) {
        if (at <= next.offset && bytes <= next.offset - at) return at;
        at = align_up(std::max(at, next.offset + next.bytes), alignment);
    }
    return std::nullopt;
}

/// On failure the caller takes back what was done.
Result<void> HeapDirectory::make(HeapImage& heap, const HeapRequest& request) {
    const std::uint64_t bytes = whole_pages(std::max(request.bytes, request.max_bytes));
    const auto offset = find_room(bytes, request.options.map_alignment);
    if (!offset) {
        return fail(Errc::no_heap_room,
                    "no " + std::to_string(bytes) +
                        " bytes lie together between "
                        "the heaps; destroy some, or raise [limits] heap_bytes in "
                        "the host's configuration");
    }
    heap.incarnation.fetch_add(1, std::memory_order_relaxed);
    heap.kind.store(static_cast<std::uint32_t>(request.kind), std::memory_order_relaxed);
    heap.on_death.store(static_cast<std::uint32_t>(request.on_death), std::memory_order_relaxed);
    heap.offset.store(*offset, std::memory_order_relaxed);
    heap.bytes.store(bytes, std::memory_order_relaxed);
    heap.committed_bytes.store(0, std::memory_order_relaxed);
    heap.ticket.store(request.ticket, std::memory_order_relaxed);
    heap.created_by.store(request.user, std::memory_order_relaxed);
    heap.created_ns.store(monotonic_ns(), std::memory_order_relaxed);
    std::ranges::fill(heap.name, '\0');
    std::ranges::copy(request.name, heap.name);
    for (auto& word : heap.users) word.store(0, std::memory_order_relaxed);
    SHMPOOL_CRASH_POINT(heap_described);
    set_state(heap, HeapState::creating);
    SHMPOOL_CRASH_POINT(heap_announced);

    HeapOptions options = request.options;
    options.backed_bytes = whole_pages(request.bytes);
    if (auto done = commit_memory(heap, 0, options.backed_bytes); !done) return done;
    heap.committed_bytes.store(options.backed_bytes, std::memory_order_relaxed);
    show_committed();
    SHMPOOL_CRASH_POINT(heap_committed);
    options.owned = request.on_death == OnDeath::reclaim;
    if (auto done = format_heap(memory_of(heap), request.kind, options); !done) return done;
    SHMPOOL_CRASH_POINT(heap_formatted);
    set_state(heap, HeapState::open);
    return {};
}

// --- grow ----------------------------------------------------------------------------------------

Result<void> HeapDirectory::grow(HeapId id, std::uint64_t to_bytes) {
    const auto entry = read_heap(view_, id.index);
    if (!entry || entry->id != id) {
        return fail(Errc::no_heap, "there is no such heap any more; look with 'shmpool heap list'");
    }
    HeapImage& heap = view_.heaps.at(id.index);
    // No memory is taken for a heap that somebody does not leave.
    if (!note_growth(heap)) return fail_to_enter(*entry);
    const std::uint64_t has = load(heap.committed_bytes);
    if (to_bytes <= has) return {};
    if (to_bytes > entry->bytes) {
        return fail(Errc::no_heap_room, "heap '" + entry->name + "' may have " +
                                            std::to_string(entry->bytes) + " bytes, not " +
                                            std::to_string(to_bytes) +
                                            "; that is said by max_size when it is created");
    }
    auto grown = make_larger(heap, has, whole_pages(to_bytes));
    if (!grown && note_growth(heap)) give_back_unused(heap);
    show_committed();
    if (!grown && grown.error().code == Errc::would_block) return fail_to_enter(*entry);
    return grown;
}

Result<void> HeapDirectory::make_larger(HeapImage& heap, std::uint64_t has_bytes,
                                        std::uint64_t to_bytes) {
    if (auto done = commit_memory(heap, has_bytes, to_bytes); !done) return done;
    SHMPOOL_CRASH_POINT(heap_has_more_memory);
    if (auto done = grow_heap(memory_of(heap), holder_of_host, to_bytes, patience_to_grow); !done) {
        return done;
    }
    SHMPOOL_CRASH_POINT(heap_has_grown);
    heap.committed_bytes.store(to_bytes, std::memory_order_relaxed);
    return {};
}

tl::unexpected<Error> HeapDirectory::fail_to_enter(const HeapEntry& heap) const {
    return fail(Errc::would_block,
                "somebody is in heap '" + heap.name + "' just now; ask again in a moment");
}

/// Behind what the heap has, and was committed for it all the same.
void HeapDirectory::give_back_unused(const HeapImage& heap) const {
    const std::uint64_t has = load(heap.committed_bytes);
    if (const auto memory = memory_of(heap); has < memory.size()) {
        const std::uint64_t begin = memory_.image.offset_bytes + load(heap.offset) + has;
        // Nothing is lost if it fails: the heap has it when it grows, or when it is destroyed.
        (void)punch(segment_.payload(), begin, memory.size() - has);
    }
}

/// Another host may have ended before it could say so. What it had only begun is undone first, or
/// the table of regions would name one that never was. False: somebody is in the heap for longer,
/// and nothing is known.
bool HeapDirectory::note_growth(HeapImage& heap) {
    const auto memory = memory_of(heap);
    const auto settled = settle_heap(memory, holder_of_host, patience_to_grow);
    if (!settled && settled.error().code == Errc::would_block) return false;
    const std::uint64_t end = whole_pages(end_of_regions(memory));
    if (end > load(heap.committed_bytes)) {
        heap.committed_bytes.store(end, std::memory_order_relaxed);
    }
    return true;
}

/// Memory that is there already stays as it is.
Result<void> HeapDirectory::commit_memory(HeapImage& heap, std::uint64_t from_bytes,
                                          std::uint64_t to_bytes) {
    const std::uint64_t in_payload = memory_.image.offset_bytes + load(heap.offset) + from_bytes;
    return commit(segment_.payload(), in_payload, to_bytes - from_bytes);
}

/// From the table, so that a host that dies in between is not missed.
void HeapDirectory::show_committed() const {
    const auto pool = segment_.region(RegionKind::pool_payload);
    std::uint64_t bytes = segment_.control_bytes() + (pool ? pool->bytes.size() : 0);
    for (std::uint32_t i = 0; i < view_.heaps.count; ++i) {
        bytes += load(view_.heaps.at(i).committed_bytes);
    }
    segment_.header().committed_bytes.store(bytes, std::memory_order_relaxed);
}

// --- open, close, destroy ------------------------------------------------------------------------

Result<HeapId> HeapDirectory::open(std::string_view name, std::uint32_t peer_index) {
    if (auto sound = check_heap_name(name); !sound) return tl::unexpected(sound.error());
    const auto found = find_heap(view_, name);
    if (!found) return tl::unexpected(found.error());
    HeapImage& heap = view_.heaps.at(found->id.index);
    users_word(heap, peer_index).fetch_or(user_bit(peer_index), std::memory_order_relaxed);
    return found->id;
}

bool HeapDirectory::close(std::uint32_t heap_index, std::uint32_t peer_index) {
    HeapImage* const heap = view_.heaps.find(heap_index);
    if (heap == nullptr || state_of(*heap) != HeapState::open || !is_user(*heap, peer_index)) {
        return false;
    }
    remove_user(*heap, peer_index);
    return true;
}

Result<void> HeapDirectory::destroy(HeapId id) {
    if (view_.heaps.find(id.index) == nullptr) {
        return fail(Errc::no_heap, "there is no heap number " + std::to_string(id.index));
    }
    const auto heap = read_heap(view_, id.index);
    if (!heap || heap->id != id) return {};
    if (!heap->users.empty()) {
        return fail(Errc::heap_in_use, "heap '" + heap->name + "' is in use by " +
                                           text_of_peers(heap->users) +
                                           "; let them close it first");
    }
    take_back(view_.heaps.at(id.index));
    return {};
}

void HeapDirectory::take_back(HeapImage& heap) {
    if (state_of(heap) == HeapState::empty) return;
    set_state(heap, HeapState::destroying);
    SHMPOOL_CRASH_POINT(heap_condemned);
    if (const auto memory = memory_of(heap); !memory.empty()) {
        const std::uint64_t in_payload = memory_.image.offset_bytes + load(heap.offset);
        // Nothing is lost if it fails: whoever gets this place next has the memory.
        (void)punch(segment_.payload(), in_payload, memory.size());
    }
    heap.committed_bytes.store(0, std::memory_order_relaxed);
    show_committed();
    SHMPOOL_CRASH_POINT(heap_given_back);
    set_state(heap, HeapState::empty);
}

// --- deaths --------------------------------------------------------------------------------------

void HeapDirectory::peer_gone(std::uint32_t peer_index) {
    const std::uint64_t owner =
        owner_of_peer(peer_index, load(view_.peers.at(peer_index).incarnation));
    for (std::uint32_t i = 0; i < view_.heaps.count; ++i) {
        HeapImage& heap = view_.heaps.at(i);
        const auto memory = memory_of(heap);
        if (state_of(heap) != HeapState::open || memory.empty()) continue;
        HeapLock lock(reinterpret_cast<HeapHeader*>(memory.data())->lock);
        const HeapHolder holder = lock.holder();
        const bool was_its =
            holder != 0 && holder <= pool_.lane_count &&
            pool_.lanes[holder - 1].owner.load(std::memory_order_acquire) == owner;  // [A-lane]
        if (was_its) lock.orphan(holder);
        lock.wake();  // It may have unlocked, and not lived to say so.
        SHMPOOL_CRASH_POINT(heap_lock_orphaned);
        remove_user(heap, peer_index);
        note_to_reclaim(i);
    }
}

void HeapDirectory::note_to_reclaim(std::uint32_t index) {
    const HeapImage& heap = view_.heaps.at(index);
    if (load(heap.on_death) == static_cast<std::uint32_t>(OnDeath::reclaim)) {
        to_reclaim_.insert(index);
    }
}

std::uint64_t HeapDirectory::reclaim(const IsGone& is_gone) {
    std::uint64_t freed = 0;
    std::erase_if(to_reclaim_, [&](std::uint32_t index) {
        const HeapImage& heap = view_.heaps.at(index);
        const auto memory = memory_of(heap);
        if (state_of(heap) != HeapState::open || memory.empty()) return true;
        const auto done =
            reclaim_in_heap(memory, holder_of_host, is_gone, std::chrono::nanoseconds::zero());
        freed += done.value_or(0);
        return done || done.error().code != Errc::would_block;
    });
    return freed;
}

void HeapDirectory::take_over() {
    for (std::uint32_t i = 0; i < view_.heaps.count; ++i) {
        HeapImage& heap = view_.heaps.at(i);
        const HeapState state = state_of(heap);
        if (state == HeapState::creating || state == HeapState::destroying) take_back(heap);
        if (state != HeapState::open) continue;  // Where it lay may be another one's by now.
        orphan_lock_of_heap(memory_of(heap), holder_of_host);
        if (note_growth(heap)) give_back_unused(heap);
        note_to_reclaim(i);
    }
    show_committed();
}

// --- look-ups ------------------------------------------------------------------------------------

std::span<std::byte> HeapDirectory::memory_of(const HeapImage& heap) const {
    return heap_memory(memory_, heap);
}

}  // namespace shmpool
