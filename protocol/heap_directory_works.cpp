// SPDX-License-Identifier: Apache-2.0
/// What takes the host longer than a request may: the memory of heaps, piece by piece. The rest of
/// heap_directory.hpp.
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

// --- whose turn it is ----------------------------------------------------------------------------

HeapWork HeapDirectory::work_on(HeapTask task, HeapId heap) const {
    return {.task = task, .heap = heap, .memory = memory_of(view_.heaps.at(heap.index))};
}

HeapWorkId HeapDirectory::add(HeapWork work) {
    work.id = ++last_work_;
    works_.push_back(std::move(work));
    return last_work_;
}

HeapWorkId HeapDirectory::note_done(HeapId heap) {
    done_.push_back({++last_work_, heap});
    return last_work_;
}

std::vector<HeapDone> HeapDirectory::do_a_piece() {
    if (!works_.empty()) {
        HeapWork work = std::move(works_.front());
        works_.pop_front();
        const bool was_giving_back = work.gives_back();
        go_on(work);
        if (was_giving_back && work.task == HeapTask::over) let_those_try_who_wait();
        if (work.task != HeapTask::over) {
            const bool waits = work.task == HeapTask::make && !work.has_place();
            (waits ? waiting_ : works_).push_back(std::move(work));
        }
    }
    if (works_.empty()) checked_bytes_ = 0;  // Who comes later asks anew.
    return std::exchange(done_, {});
}

/// Before all others, so that nobody who came later gets the room.
void HeapDirectory::let_those_try_who_wait() {
    works_.insert(works_.begin(), std::make_move_iterator(waiting_.begin()),
                  std::make_move_iterator(waiting_.end()));
    waiting_.clear();
}

void HeapDirectory::go_on(HeapWork& work) {
    switch (work.task) {
        case HeapTask::make: return go_on_making(work);
        case HeapTask::grow: return go_on_growing(work);
        case HeapTask::give_back: return go_on_giving_back(work);
        case HeapTask::take_back: return go_on_taking_back(work);
        case HeapTask::over: return;
    }
}

Result<HeapId> HeapDirectory::finish(HeapWorkId work) {
    Result<HeapId> result = fail(Errc::internal_fault, "this was never begun, or is long over");
    while (has_work()) {
        for (HeapDone& done : do_a_piece()) {
            if (done.work == work) result = std::move(done.result);
        }
    }
    return result;
}

void HeapDirectory::end(HeapWork& work, Result<HeapId> result) {
    work.task = HeapTask::over;
    done_.push_back({work.id, std::move(result)});
}

void HeapDirectory::end_after_giving_back(HeapWork& work) {
    show_committed();
    if (work.failure) return end(work, tl::unexpected(*work.failure));
    end(work, work.heap);
}

void HeapDirectory::give_up(HeapWorkId id) {
    std::erase_if(waiting_, [&](const HeapWork& one) { return one.id == id; });
    const auto work = std::ranges::find(works_, id, &HeapWork::id);
    if (work == works_.end()) return;
    if (work->task == HeapTask::make && !work->has_place()) {
        works_.erase(work);
    } else if (work->task == HeapTask::make) {
        begin_to_take_back(*work);
    } else if (work->task == HeapTask::grow) {
        begin_to_give_back(*work);
    }
}

/// Its heap is to be destroyed.
void HeapDirectory::drop_work(std::uint32_t heap_index) {
    const auto work =
        std::ranges::find(works_, heap_index, [](const HeapWork& one) { return one.heap.index; });
    if (work == works_.end()) return;
    done_.push_back(
        {work->id, fail(Errc::no_heap, "heap '" + work->request.name + "' was destroyed")});
    works_.erase(work);
}

const HeapWork* HeapDirectory::find_work(std::uint32_t heap_index) const {
    const auto work =
        std::ranges::find(works_, heap_index, [](const HeapWork& one) { return one.heap.index; });
    return work == works_.end() ? nullptr : &*work;
}

const HeapWork* HeapDirectory::find_making(std::string_view name) const {
    const auto is_it = [&](const HeapWork& one) {
        return one.task == HeapTask::make && one.request.name == name;
    };
    for (const auto* const works : {&works_, &waiting_}) {
        const auto work = std::ranges::find_if(*works, is_it);
        if (work != works->end()) return &*work;
    }
    return nullptr;
}

std::optional<HeapWorkId> HeapDirectory::making(std::string_view name) const {
    const HeapWork* const work = find_making(name);
    return work == nullptr ? std::nullopt : std::optional(work->id);
}

bool HeapDirectory::is_giving_back() const {
    return std::ranges::any_of(works_, &HeapWork::gives_back);
}

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
            pieces_.check(segment_.payload(), memory_.image.offset_bytes + *offset, backed_bytes);
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
    auto done = work.has_pieces() ? commit_piece(work) : make_of_memory(work);
    if (!done) fail_making(work, done.error());
}

/// All of its memory is there.
Result<void> HeapDirectory::make_of_memory(HeapWork& work) {
    HeapImage& heap = image_of(work);
    heap.committed_bytes.store(work.end, std::memory_order_relaxed);
    show_committed();
    SHMPOOL_CRASH_POINT(heap_committed);
    HeapOptions options = work.request.options;
    options.backed_bytes = work.end;
    options.owned = work.request.on_death == OnDeath::reclaim;
    if (auto done = format_heap(work.memory, work.request.kind, options); !done) return done;
    SHMPOOL_CRASH_POINT(heap_formatted);
    set_state(heap, HeapState::open);
    end(work, work.heap);
    return {};
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
    if (auto done = grow_heap(work.memory, holder_of_host, work.end, patience_to_grow); !done) {
        const bool may_try_again =
            done.error().code == Errc::would_block && ++work.tries < heap_growth_tries;
        if (!may_try_again) fail_growing(work, done.error());
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

/// Memory that is there already stays as it is.
Result<void> HeapDirectory::commit_piece(HeapWork& work) {
    const std::uint64_t bytes = std::min(pieces_.bytes, work.end - work.at);
    if (checked_bytes_ < bytes) {
        const std::uint64_t many =
            std::min(heap_pieces_per_check * pieces_.bytes, work.end - work.at);
        if (auto enough = pieces_.check(segment_.payload(), in_payload(work) + work.at, many);
            !enough) {
            return enough;
        }
        checked_bytes_ = many;
    }
    checked_bytes_ -= bytes;
    std::uint64_t& backed_to = backed_to_[work.heap.index];
    backed_to = std::max(backed_to, work.at + bytes);
    auto done = pieces_.commit(segment_.payload(), in_payload(work) + work.at, bytes);
    SHMPOOL_CRASH_POINT(heap_piece_committed);
    if (done) work.at += bytes;
    return done;
}

/// How far the memory goes is not always known, so a turn ends with the first piece in which there
/// was some.
void HeapDirectory::punch_piece(HeapWork& work) {
    const std::uint64_t backed = backed_bytes(segment_.payload());
    for (unsigned i = 0; i < heap_empty_pieces_per_turn && work.has_pieces(); ++i) {
        const std::uint64_t bytes = std::min(pieces_.bytes, work.end - work.at);
        // Nothing is lost if it fails: whoever gets this place next has the memory.
        (void)punch(segment_.payload(), in_payload(work) + work.at, bytes);
        work.at += bytes;
        SHMPOOL_CRASH_POINT(heap_piece_given_back);
        if (backed_bytes(segment_.payload()) != backed) return;
    }
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
