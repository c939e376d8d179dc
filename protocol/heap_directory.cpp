// SPDX-License-Identifier: Apache-2.0
#include "protocol/heap_directory.hpp"

#include <algorithm>
#include <bit>
#include <vector>

#include "protocol/committed_memory.hpp"
#include "protocol/heap_row.hpp"
#include "protocol/wire/names.hpp"
#include "shmpool/heap/heap_audit.hpp"
#include "shmpool/layout/abi_constants.hpp"
#include "shmpool/platform/crash_point.hpp"
#include "shmpool/platform/monotonic_clock.hpp"

namespace shmpool {

using namespace heap_row;

namespace {

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

static_assert(may_be_owner(owner_of_peer(0, 1)) &&
              may_be_owner(owner_of_peer(peer_count_max - 1, ~0U)));

tl::unexpected<Error> fail_name_taken(std::string_view name) {
    return fail(Errc::name_taken, "there is a heap '" + std::string(name) +
                                      "' already; open it, or destroy it first");
}

/// Somebody is in the heap just now, or this process has no memory for the list of what is left.
bool is_to_be_asked_again(Errc code) {
    return code == Errc::would_block || code == Errc::out_of_memory;
}

/// Who has asked for it asks again.
bool is_ticket_of(const HeapRequest& request, std::uint64_t ticket) {
    return request.ticket != 0 && request.ticket == ticket;
}

}  // namespace

// --- create --------------------------------------------------------------------------------------

Result<HeapWorkId> HeapDirectory::create(const HeapRequest& request) {
    if (auto sound = check_request(request); !sound) return tl::unexpected(sound.error());
    if (const auto there = find_heap(view_, request.name)) {
        const HeapImage& heap = view_.heaps.at(there->id.index);
        if (is_ticket_of(request, load(heap.ticket))) return note_done(there->id);
        return fail_name_taken(request.name);
    }
    if (const HeapWork* const under_way = find_making(request.name)) {
        if (is_ticket_of(request, under_way->request.ticket)) return under_way->id;
        return fail_name_taken(request.name);
    }
    HeapWork work{.task = HeapTask::make, .request = request};
    if (auto placed = place(work); !placed && !is_giving_back()) {
        return tl::unexpected(placed.error());
    }
    return add(std::move(work));
}

/// In a new segment a number that one before it did not have, most likely: offsets of heaps that
/// were there are not to be taken for those of the new ones (heap_origin.hpp).
std::uint32_t HeapDirectory::find_last_incarnation() const {
    std::uint32_t last = 0;
    for (std::uint32_t i = 0; i < view_.heaps.count; ++i) {
        last = std::max(last, load(view_.heaps.at(i).incarnation));
    }
    return last != 0 ? last : static_cast<std::uint32_t>(monotonic_ns() >> 16);
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
        // Of a heap whose state somebody else has written, the work goes on.
        if (state_of(view_.heaps.at(i)) == HeapState::empty && find_work(i) == nullptr) return i;
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
    const auto take = [&](std::span<const std::byte> memory) {
        if (memory.empty()) return;  // Nonsense in the table is nowhere.
        const auto offset = memory.data() - memory_.bytes.data();
        taken.push_back({static_cast<std::uint64_t>(offset), memory.size()});
    };
    for (const HeapWork& one : works_) take(one.memory);  // Whatever the table says by now.
    for (std::uint32_t i = 0; i < view_.heaps.count; ++i) {
        const HeapImage& heap = view_.heaps.at(i);
        if (state_of(heap) != HeapState::empty) take(memory_of(heap));
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

// --- grow ----------------------------------------------------------------------------------------

Result<HeapWorkId> HeapDirectory::grow(HeapId id, std::uint64_t to_bytes) {
    const auto entry = read_heap(view_, id.index);
    if (!entry || entry->id != id) {
        return fail(Errc::no_heap, "there is no such heap any more; look with 'shmpool heap list'");
    }
    HeapImage& heap = view_.heaps.at(id.index);
    if (to_bytes <= load(heap.committed_bytes)) return note_done(id);
    if (const HeapWork* const under_way = find_work(id.index)) {
        const bool is_the_same =
            under_way->task == HeapTask::grow && whole_pages(to_bytes) == under_way->end;
        if (is_the_same) return under_way->id;
        return fail(Errc::would_block, "heap '" + entry->name +
                                           "' is just being given memory, or gives some back; ask "
                                           "again in a moment");
    }
    // No memory is taken for a heap that somebody does not leave.
    if (!note_growth(heap)) return fail_to_enter(entry->name);
    HeapWork work = work_on(HeapTask::grow, id);
    work.request.name = entry->name;
    work.at = load(heap.committed_bytes);
    if (to_bytes <= work.at) return note_done(id);
    if (to_bytes > work.memory.size()) {
        return fail(Errc::no_heap_room, "heap '" + entry->name + "' may have " +
                                            std::to_string(work.memory.size()) + " bytes, not " +
                                            std::to_string(to_bytes) +
                                            "; that is said by max_size when it is created");
    }
    work.end = whole_pages(to_bytes);
    if (auto enough = pieces_.check(segment_.payload(), left_of(work)); !enough) {
        return of_heap(entry->name, enough.error());
    }
    return add(std::move(work));
}

tl::unexpected<Error> HeapDirectory::fail_to_enter(std::string_view name) {
    return fail(Errc::would_block,
                "somebody is in heap '" + std::string(name) + "' just now; ask again in a moment");
}

void HeapDirectory::show_committed() const {
    shmpool::show_committed(segment_, pool_, view_);
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

Result<HeapWorkId> HeapDirectory::destroy(HeapId id) {
    if (view_.heaps.find(id.index) == nullptr) {
        return fail(Errc::no_heap, "there is no heap number " + std::to_string(id.index));
    }
    const auto heap = read_heap(view_, id.index);
    if (!heap || heap->id != id) {
        const HeapWork* const going = find_work(id.index);
        if (going == nullptr || going->heap != id) return note_done(id);
        if (going->task == HeapTask::take_back && !going->failure) return going->id;
        return fail(Errc::would_block, "heap '" + going->request.name +
                                           "' is just being created; ask again in a "
                                           "moment");
    }
    if (!heap->users.empty()) {
        return fail(Errc::heap_in_use, "heap '" + heap->name + "' is in use by " +
                                           text_of_peers(heap->users) +
                                           "; let them close it first");
    }
    return take_back_instead(id);
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

void HeapDirectory::pass_on_locks_of_nobody(const IsGone& is_gone) {
    for (std::uint32_t i = 0; i < view_.heaps.count; ++i) {
        const HeapImage& heap = view_.heaps.at(i);
        const auto memory = memory_of(heap);
        if (state_of(heap) != HeapState::open || memory.empty()) continue;
        auto& header = *reinterpret_cast<HeapHeader*>(memory.data());
        HeapLock lock(header.lock);
        if (!pass_on_lock_of_nobody(lock, is_gone)) continue;
        header.damaged.store(1, std::memory_order_relaxed);
    }
}

/// The host's own, and that of its thread for heaps, is somebody's. What `peer_gone` has passed on
/// is no more looked at; so a lane of who is gone is met here if its number was written over it.
bool HeapDirectory::pass_on_lock_of_nobody(HeapLock& lock, const IsGone& is_gone) const {
    const HeapHolder holder = lock.living_holder();
    if (holder == 0 || holder == holder_of_host) return false;
    if (holder > pool_.lane_count) return lock.orphan(holder);
    Atomic<std::uint64_t>& owner = pool_.lanes[holder - 1].owner;
    std::uint64_t found = 0;
    const bool is_claimed = owner.compare_exchange_strong(
        found, taken_by_host, std::memory_order_acq_rel, std::memory_order_acquire);  // [AR-lane]
    if (!is_claimed && !is_gone(found)) return false;
    SHMPOOL_CRASH_POINT(heap_lane_claimed);
    const bool was_nobodys = lock.orphan(holder);
    SHMPOOL_CRASH_POINT(heap_lock_of_nobody_orphaned);
    if (is_claimed) owner.store(0, std::memory_order_release);  // [R-lane]
    return was_nobodys;
}

/// Those that another host had in its hands when it ended. Nobody else writes that owner.
void HeapDirectory::let_go_of_lanes() const {
    for (std::uint32_t i = 0; i < pool_.lane_count; ++i) {
        Atomic<std::uint64_t>& owner = pool_.lanes[i].owner;
        if (load(owner) == taken_by_host) owner.store(0, std::memory_order_release);  // [R-lane]
    }
}

std::uint64_t HeapDirectory::reclaim(const IsGone& is_gone) {
    pass_on_locks_of_nobody(is_gone);
    std::uint64_t freed = 0;
    std::erase_if(to_reclaim_, [&](std::uint32_t index) {
        const HeapImage& heap = view_.heaps.at(index);
        const auto memory = memory_of(heap);
        if (state_of(heap) != HeapState::open || memory.empty()) return true;
        const auto done =
            reclaim_in_heap(memory, holder_of_host, is_gone, std::chrono::nanoseconds::zero());
        freed += done.value_or(0);
        return done || !is_to_be_asked_again(done.error().code);
    });
    std::erase_if(to_give_back_, [&](std::uint32_t index) { return give_back_by_now(index); });
    return freed;
}

void HeapDirectory::take_over() {
    let_go_of_lanes();
    for (std::uint32_t i = 0; i < view_.heaps.count; ++i) {
        HeapImage& heap = view_.heaps.at(i);
        const HeapState state = state_of(heap);
        const HeapId id{i, load(heap.incarnation)};
        backed_to_[i] = memory_of(heap).size();  // How far that host had come, nobody knows.
        if (state == HeapState::creating || state == HeapState::destroying) (void)take_back(id);
        if (state != HeapState::open) continue;  // Where it lay may be another one's by now.
        orphan_lock_of_heap(memory_of(heap), holder_of_host);
        give_back_unused(id);
        note_to_reclaim(i);
    }
    show_committed();
}

// --- look-ups ------------------------------------------------------------------------------------

std::span<std::byte> HeapDirectory::memory_of(const HeapImage& heap) const {
    return heap_memory(memory_, heap);
}

}  // namespace shmpool
