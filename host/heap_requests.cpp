// SPDX-License-Identifier: Apache-2.0
/// What is asked about heaps: to create, grow and destroy them, which takes a right of its own, and
/// to open and close them. The rest of request_desk.hpp.
#include <string>

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

RequestDesk::Granted RequestDesk::grant(Session& session, const wire::CreateHeap& request) {
    const auto allowed =
        check_right(config_.access, Right::grow, session.credentials, own_user_id());
    if (!allowed) return refuse(allowed.error());
    const HeapRequest wanted = heap_request_of(request, session.credentials.uid);
    const auto created = steward_.heaps().create(wanted);
    if (!created) return refuse(created.error());
    log_.info("heap '" + wanted.name + "' of " + std::to_string(wanted.bytes) +
              " bytes was created by pid " + std::to_string(session.credentials.pid));
    return plain(wire::HeapCreated{created->index, created->incarnation});
}

RequestDesk::Granted RequestDesk::grant(Session& session, const wire::DestroyHeap& request) {
    const auto allowed =
        check_right(config_.access, Right::grow, session.credentials, own_user_id());
    if (!allowed) return refuse(allowed.error());
    if (auto done = steward_.heaps().destroy({request.heap_index, request.incarnation}); !done) {
        return refuse(done.error());
    }
    log_.info("heap number " + std::to_string(request.heap_index) + " was destroyed by pid " +
              std::to_string(session.credentials.pid));
    return plain(wire::HeapDestroyed{});
}

RequestDesk::Granted RequestDesk::grant(Session& session, const wire::GrowHeap& request) {
    const auto allowed =
        check_right(config_.access, Right::grow, session.credentials, own_user_id());
    if (!allowed) return refuse(allowed.error());
    const HeapId heap{request.heap_index, request.incarnation};
    if (auto done = steward_.heaps().grow(heap, request.bytes); !done) {
        return refuse(done.error());
    }
    log_.info("heap number " + std::to_string(request.heap_index) + " has " +
              std::to_string(request.bytes) + " bytes now, as pid " +
              std::to_string(session.credentials.pid) + " wished");
    return plain(wire::HeapGrown{});
}

RequestDesk::Granted RequestDesk::grant(Session& session, const wire::OpenHeap& request) {
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
