// SPDX-License-Identifier: Apache-2.0
/// What takes the host longer than a request may, in turns: which work is the next, what it waits
/// for, and when it is over. What works do: heap_directory_tasks.cpp.
#include <algorithm>
#include <iterator>
#include <utility>

#include "protocol/heap_directory.hpp"

namespace shmpool {

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

bool HeapDirectory::has_work() const {
    return !done_.empty() || !std::ranges::all_of(works_, &HeapWork::is_in_hand);
}

std::vector<HeapDone> HeapDirectory::do_a_piece() {
    const auto next = std::ranges::find_if_not(works_, &HeapWork::is_in_hand);
    if (next != works_.end()) step(next, [this](HeapWork& work) { go_on(work); });
    collect_built();
    if (works_.empty()) pieces_.forget_checks();
    return std::exchange(done_, {});
}

/// Behind all others, if it is not over then.
template <typename Step>
void HeapDirectory::step(std::deque<HeapWork>::iterator of_work, Step&& what) {
    HeapWork work = std::move(*of_work);
    works_.erase(of_work);
    const bool was_giving_back = work.gives_back();
    what(work);
    if (was_giving_back && work.task == HeapTask::over) let_those_try_who_wait();
    if (work.task == HeapTask::over) return;
    const bool waits = work.task == HeapTask::make && !work.has_place();
    (waits ? waiting_ : works_).push_back(std::move(work));
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

void HeapDirectory::have_built(HeapWork& work, HeapBuilder::Task task) {
    work.built_as = work.id;
    builder_->begin(work.id, std::move(task));
}

/// From the builder, if he has not begun.
void HeapDirectory::withdraw(HeapWork& work) {
    if (work.is_in_hand() && builder_->withdraw(work.built_as)) work.built_as = 0;
}

void HeapDirectory::collect_built() {
    if (std::ranges::none_of(works_, &HeapWork::is_in_hand)) return;
    for (const HeapBuilder::Built& built : builder_->collect()) {
        const auto of_work = std::ranges::find(works_, built.work, &HeapWork::built_as);
        if (of_work == works_.end()) continue;
        step(of_work, [&](HeapWork& work) { go_on_built(work, built.result); });
    }
}

/// What has been condemned meanwhile only goes on.
void HeapDirectory::go_on_built(HeapWork& work, const Result<void>& built) {
    work.built_as = 0;
    if (work.task == HeapTask::make) note_made(work, built);
    if (work.task == HeapTask::grow) note_grown(work, built);
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
    withdraw(*work);
    if (work->task == HeapTask::make && !work->has_place()) {
        works_.erase(work);
    } else if (work->task == HeapTask::make) {
        begin_to_take_back(*work);
    } else if (work->task == HeapTask::grow && work->is_in_hand()) {
        work->is_given_up = true;
    } else if (work->task == HeapTask::grow) {
        begin_to_give_back(*work);
    }
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

}  // namespace shmpool
