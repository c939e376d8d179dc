// SPDX-License-Identifier: Apache-2.0
/// What is asked about heaps: to create, grow and destroy them, which takes a right of its own and
/// more than one turn of the loop, and to open and close them. The rest of request_desk.hpp.
#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "host/access_rules.hpp"
#include "host/answers.hpp"
#include "host/request_desk.hpp"

namespace shmpool::host {
namespace {

HeapRequest heap_request_of(const wire::CreateHeap& request, uid_t user) {
    HeapRequest wanted;
    wanted.name = request.name.view();
    wanted.kind = static_cast<HeapKind>(request.kind);
    wanted.bytes = request.bytes;
    wanted.max_bytes = request.max_bytes;
    wanted.options.map_alignment = request.map_alignment;
    wanted.options.bytes_per_page = request.bytes_per_page;
    wanted.options.first_id = request.first_id;
    wanted.options.id_count = request.id_count;
    wanted.options.id_capacity = request.id_capacity;
    wanted.options.block_bytes = request.block_bytes;
    wanted.on_death = static_cast<OnDeath>(request.on_death);
    wanted.ticket = request.ticket;
    wanted.user = user;
    return wanted;
}

}  // namespace

RequestDesk::Granted RequestDesk::grant(Session& session, const wire::CreateHeap& request,
                                        std::uint32_t request_id) {
    if (auto allowed = check_may_change_memory(session, "create heaps of this pool"); !allowed) {
        return tl::unexpected(allowed.error());
    }
    const HeapRequest wanted = heap_request_of(request, session.credentials.uid);
    return wait_for(steward_.heaps().create(wanted),
                    {session.id, request_id, 0, wire::HeapCreated{},
                     "heap '" + wanted.name + "' of " + std::to_string(wanted.bytes) +
                         " bytes was created by pid " + std::to_string(session.credentials.pid)});
}

RequestDesk::Granted RequestDesk::grant(Session& session, const wire::DestroyHeap& request,
                                        std::uint32_t request_id) {
    if (auto allowed = check_may_change_memory(session, "destroy heaps of this pool"); !allowed) {
        return tl::unexpected(allowed.error());
    }
    return wait_for(steward_.heaps().destroy({request.heap_index, request.incarnation}),
                    {session.id, request_id, 0, wire::HeapDestroyed{},
                     "heap number " + std::to_string(request.heap_index) +
                         " was destroyed by pid " + std::to_string(session.credentials.pid)});
}

RequestDesk::Granted RequestDesk::grant(Session& session, const wire::GrowHeap& request,
                                        std::uint32_t request_id) {
    if (auto allowed = check_may_change_memory(session, "grow heaps of this pool"); !allowed) {
        return tl::unexpected(allowed.error());
    }
    const HeapId heap{request.heap_index, request.incarnation};
    return wait_for(steward_.heaps().grow(heap, request.bytes),
                    {session.id, request_id, 0, wire::HeapGrown{},
                     "heap number " + std::to_string(request.heap_index) + " has " +
                         std::to_string(request.bytes) + " bytes now, as pid " +
                         std::to_string(session.credentials.pid) + " wished"});
}

// --- what takes longer ---------------------------------------------------------------------------

RequestDesk::Granted RequestDesk::wait_for(const Result<HeapWorkId>& work, Waiter waiter) {
    if (!work) return refuse(work.error());
    waiter.work = *work;
    waiters_.push_back(std::move(waiter));
    Answer answer;
    answer.later = true;
    return answer;
}

void RequestDesk::answer_heaps(std::vector<LateAnswer>& answers) {
    for (const HeapDone& done : steward_.heaps().do_a_piece()) {
        for (const Waiter& waiter : waiters_) {
            if (waiter.work == done.work) answers.push_back(answer_late(waiter, done));
        }
        std::erase_if(waiters_, [&](const Waiter& one) { return one.work == done.work; });
    }
}

LateAnswer RequestDesk::answer_late(const Waiter& waiter, const HeapDone& done) const {
    LateAnswer answer{waiter.session_id, waiter.request_id, waiter.granted};
    if (auto* const opened = std::get_if<wire::HeapOpened>(&answer.body)) {
        const auto heap = steward_.heaps().open(waiter.opens, waiter.peer_index);
        if (!heap) {
            answer.body = wire::refusal_of(heap.error());
        } else {
            *opened = {heap->index, heap->incarnation};
        }
        return answer;
    }
    if (!done.result) {
        log_.debug("a request about a heap has failed: " + printable(done.result.error().message));
        answer.body = wire::refusal_of(done.result.error());
        return answer;
    }
    if (auto* const created = std::get_if<wire::HeapCreated>(&answer.body)) {
        *created = {done.result->index, done.result->incarnation};
    }
    log_.info(waiter.news);
    return answer;
}

/// What is done for nobody else either is given up.
void RequestDesk::session_ended(const Session& session) {
    give_up_growths_of(session);
    std::vector<HeapWorkId> works;
    for (const Waiter& one : waiters_) {
        if (one.session_id == session.id) works.push_back(one.work);
    }
    if (works.empty()) return;
    log_.debug("pid " + std::to_string(session.credentials.pid) + " has hung up on " +
               std::to_string(works.size()) + " requests about heaps that were under way");
    std::erase_if(waiters_, [&](const Waiter& one) { return one.session_id == session.id; });
    for (const HeapWorkId work : works) {
        if (std::ranges::count(waiters_, work, &Waiter::work) == 0) steward_.heaps().give_up(work);
    }
}

// --- open and close ------------------------------------------------------------------------------

/// One that is being created is waited for: who was told that the name is taken may open it.
RequestDesk::Granted RequestDesk::grant(Session& session, const wire::OpenHeap& request,
                                        std::uint32_t request_id) {
    if (const auto making = steward_.heaps().making(request.name.view())) {
        if (auto allowed = check_may_wait(session); !allowed) {
            return tl::unexpected(allowed.error());
        }
        return wait_for(*making, {session.id, request_id, 0, wire::HeapOpened{}, "",
                                  std::string(request.name.view()), session.peer.index});
    }
    const auto opened = steward_.heaps().open(request.name.view(), session.peer.index);
    if (!opened) return refuse(opened.error());
    return plain(wire::HeapOpened{opened->index, opened->incarnation});
}

RequestDesk::Granted RequestDesk::grant(Session& session, const wire::CloseHeap& request) {
    if (!steward_.heaps().close(request.heap_index, session.peer.index)) {
        return refuse(Errc::protocol_violation, "this peer does not have heap number " +
                                                    std::to_string(request.heap_index) + " open");
    }
    return plain(wire::Closed{});
}

}  // namespace shmpool::host
