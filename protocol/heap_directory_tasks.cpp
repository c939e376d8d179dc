// SPDX-License-Identifier: Apache-2.0
/// What works on heaps do: take memory and give it back, piece by piece, and have heaps made and
/// grown. Whose turn it is: heap_directory_works.cpp.
#include <algorithm>
#include <iterator>
#include <utility>

#include "protocol/heap_directory.hpp"
#include "protocol/heap_row.hpp"
#include "shmpool/heap/heap_audit.hpp"
#include "shmpool/platform/crash_point.hpp"
#include "shmpool/platform/monotonic_clock.hpp"

namespace shmpool {

using namespace heap_row;

namespace {

/// For a heap that grows: longer than most changes, shorter than anybody notices. Who is in it for
/// longer is not waited for; whoever asks asks again.
constexpr std::chrono::microseconds patience_to_grow{100};

}  // namespace

// --- make ----------------------------------------------------------------------------------------

/// Nothing has happened when it fails.
Result<void> HeapDirectory::place(HeapWork& work) {
    const HeapRequest& request = work.request;
    const auto index = free_place();
    if (!index) return tl::unexpected(index.error());
    const std::uint64_t bytes = whole_pages(std::max(request.bytes, request.max_bytes));
    const auto offset = find_room(bytes, request.options.map_alignment);
    if (!offset) {
        return of_heap(request.name,
                       {Errc::no_heap_room, "no " + std::to_string(bytes) +
                                                " bytes lie together between the heaps; destroy "
                                                "some, or raise [limits] heap_bytes in the host's "
                                                "configuration"});
    }
    const std::uint64_t backed_bytes = whole_pages(request.bytes);
    if (auto enough =
            pieces_.check(segment_.payload(), {memory_.image.offset_bytes + *offset, backed_bytes});
        !enough) {
        return of_heap(request.name, enough.error());
    }
    work.heap.index = *index;
    work.memory = memory_.bytes.subspan(*offset, bytes);
    work.end = backed_bytes;
    announce(work, *offset);
    return {};
}

void HeapDirectory::announce(HeapWork& work, std::uint64_t offset) {
    const HeapRequest& request = work.request;
    HeapImage& heap = image_of(work);
    if (++last_incarnation_ == 0) ++last_incarnation_;  // Which would be none.
    work.heap.incarnation = last_incarnation_;
    heap.incarnation.store(last_incarnation_, std::memory_order_relaxed);
    heap.kind.store(static_cast<std::uint32_t>(request.kind), std::memory_order_relaxed);
    heap.on_death.store(static_cast<std::uint32_t>(request.on_death), std::memory_order_relaxed);
    heap.offset.store(offset, std::memory_order_relaxed);
    heap.bytes.store(work.memory.size(), std::memory_order_relaxed);
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
}

void HeapDirectory::go_on_making(HeapWork& work) {
    if (!work.has_place()) {
        auto placed = place(work);
        if (placed || is_giving_back()) return;
        return end(work, tl::unexpected(placed.error()));
    }
    if (!work.has_pieces()) return make_of_memory(work);
    if (auto done = commit_piece(work); !done) fail_making(work, done.error());
}

/// All of its memory is there.
void HeapDirectory::make_of_memory(HeapWork& work) {
    HeapImage& heap = image_of(work);
    heap.committed_bytes.store(work.end, std::memory_order_relaxed);
    show_committed();
    SHMPOOL_CRASH_POINT(heap_committed);
    HeapOptions options = work.request.options;
    options.backed_bytes = work.end;
    options.owned = work.request.on_death == OnDeath::reclaim;
    have_built(work, [memory = work.memory, kind = work.request.kind, options] {
        return format_heap(memory, kind, options);
    });
}

void HeapDirectory::note_made(HeapWork& work, const Result<void>& made) {
    if (!made) return fail_making(work, made.error());
    SHMPOOL_CRASH_POINT(heap_formatted);
    set_state(image_of(work), HeapState::open);
    end(work, work.heap);
}

void HeapDirectory::fail_making(HeapWork& work, const Error& error) {
    work.failure = of_heap(work.request.name, error).value();
    begin_to_take_back(work);
}

// --- grow ----------------------------------------------------------------------------------------

void HeapDirectory::go_on_growing(HeapWork& work) {
    if (work.has_pieces()) {
        if (auto done = commit_piece(work); !done) fail_growing(work, done.error());
        return;
    }
    SHMPOOL_CRASH_POINT(heap_has_more_memory);
    have_built(work, [memory = work.memory, bytes = work.end] {
        return grow_heap(memory, holder_of_host, bytes, patience_to_grow);
    });
}

void HeapDirectory::note_grown(HeapWork& work, const Result<void>& grown) {
    if (!grown) {
        const bool may_try_again = grown.error().code == Errc::would_block && !work.is_given_up &&
                                   ++work.tries < heap_growth_tries;
        if (!may_try_again) fail_growing(work, grown.error());
        return;
    }
    SHMPOOL_CRASH_POINT(heap_has_grown);
    image_of(work).committed_bytes.store(work.end, std::memory_order_relaxed);
    show_committed();
    end(work, work.heap);
}

void HeapDirectory::fail_growing(HeapWork& work, const Error& error) {
    const std::string& name = work.request.name;
    const bool is_entered = error.code == Errc::would_block;
    work.failure = is_entered ? fail_to_enter(name).value() : of_heap(name, error).value();
    begin_to_give_back(work);
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

// --- give back, take back ------------------------------------------------------------------------

void HeapDirectory::give_back_unused(HeapId heap) {
    HeapWork work = work_on(HeapTask::give_back, heap);
    begin_to_give_back(work);
    if (work.has_pieces()) (void)add(std::move(work));
}

/// True: there is nothing more to be done for it. Of a heap with another work the end of that says
/// what it has.
bool HeapDirectory::give_back_by_now(std::uint32_t index) {
    HeapImage& heap = view_.heaps.at(index);
    if (state_of(heap) != HeapState::open) return true;
    if (find_work(index) != nullptr || !note_growth(heap)) return false;
    give_back_unused({index, load(heap.incarnation)});
    return true;
}

/// What was committed behind what the heap has. While somebody is in it, nobody knows how much that
/// is: then later.
void HeapDirectory::begin_to_give_back(HeapWork& work) {
    HeapImage& heap = image_of(work);
    work.task = HeapTask::give_back;
    work.end = std::min<std::uint64_t>(backed_to_[work.heap.index], work.memory.size());
    work.at = work.end;
    if (!note_growth(heap)) {
        to_give_back_.insert(work.heap.index);
        return;
    }
    const std::uint64_t has = load(heap.committed_bytes);
    if (has < work.end) work.at = whole_pages(has);
    work.begin = work.at;
}

void HeapDirectory::go_on_giving_back(HeapWork& work) {
    if (work.has_pieces()) {
        punch_piece(work);
        if (work.has_pieces()) return;
        backed_to_[work.heap.index] = work.begin;
    }
    end_after_giving_back(work);
}

HeapWorkId HeapDirectory::take_back(HeapId heap) {
    HeapWork work = work_on(HeapTask::take_back, heap);
    begin_to_take_back(work);
    return add(std::move(work));
}

/// A growth of it, if there is one, ends here; what the builder has in hand is waited for.
HeapWorkId HeapDirectory::take_back_instead(HeapId heap) {
    const auto before =
        std::ranges::find(works_, heap.index, [](const HeapWork& one) { return one.heap.index; });
    if (before == works_.end()) return take_back(heap);
    withdraw(*before);
    HeapWork work{.built_as = before->built_as, .heap = before->heap, .memory = before->memory};
    const std::string& name = before->request.name;
    done_.push_back({before->id, fail(Errc::no_heap, "heap '" + name + "' was destroyed")});
    works_.erase(before);
    begin_to_take_back(work);
    return add(std::move(work));
}

void HeapDirectory::begin_to_take_back(HeapWork& work) {
    set_state(image_of(work), HeapState::destroying);
    SHMPOOL_CRASH_POINT(heap_condemned);
    work.task = HeapTask::take_back;
    work.at = 0;
    work.end = work.memory.size();  // Who only looks behind what the heap has takes memory there.
}

void HeapDirectory::go_on_taking_back(HeapWork& work) {
    if (work.has_pieces()) punch_piece(work);
    if (work.has_pieces()) return;
    HeapImage& heap = image_of(work);
    heap.committed_bytes.store(0, std::memory_order_relaxed);
    backed_to_[work.heap.index] = 0;
    SHMPOOL_CRASH_POINT(heap_given_back);
    set_state(heap, HeapState::empty);
    end_after_giving_back(work);
}

// --- pieces --------------------------------------------------------------------------------------

Result<void> HeapDirectory::commit_piece(HeapWork& work) {
    ByteRange left = left_of(work);
    std::uint64_t& backed_to = backed_to_[work.heap.index];
    backed_to = std::max(backed_to, work.at + pieces_.next_bytes(left));
    auto done = pieces_.commit_next(segment_.payload(), left);
    work.at = work.end - left.bytes;
    return done;
}

void HeapDirectory::punch_piece(HeapWork& work) {
    ByteRange left = left_of(work);
    pieces_.punch_next(segment_.payload(), left);
    work.at = work.end - left.bytes;
}

/// In the payload's memory.
ByteRange HeapDirectory::left_of(const HeapWork& work) const {
    return {in_payload(work) + work.at, work.end - work.at};
}

/// Where the heap begins there.
std::uint64_t HeapDirectory::in_payload(const HeapWork& work) const {
    const auto offset = work.memory.data() - memory_.bytes.data();
    return memory_.image.offset_bytes + static_cast<std::uint64_t>(offset);
}

HeapImage& HeapDirectory::image_of(const HeapWork& work) const {
    return view_.heaps.at(work.heap.index);
}

}  // namespace shmpool
