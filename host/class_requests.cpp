// SPDX-License-Identifier: Apache-2.0
/// What is asked about size classes: to grow and to shrink them, which takes a right of its own,
/// and to relieve one that is exhausted, which every peer may ask whom the configuration allows it.
/// All take more than one turn of the loop. The rest of request_desk.hpp.
#include <algorithm>
#include <string>
#include <utility>

#include "host/access_rules.hpp"
#include "host/answers.hpp"
#include "host/request_desk.hpp"

namespace shmpool::host {
namespace {

std::string class_text(std::uint64_t slot_bytes) {
    return "the class of " + std::to_string(slot_bytes) + " bytes";
}

}  // namespace

RequestDesk::Granted RequestDesk::grant(Session& session, const wire::GrowClass& request,
                                        std::uint32_t request_id) {
    if (auto allowed = check_may_change_memory(session, "grow classes of this pool"); !allowed) {
        return tl::unexpected(allowed.error());
    }
    return wait_for_growth(steward_.growth().grow(request.slot_bytes, request.to_slots),
                           {session.id, request_id, 0, wire::ClassGrown{},
                            class_text(request.slot_bytes) + " has grown, as pid " +
                                std::to_string(session.credentials.pid) + " wished"});
}

RequestDesk::Granted RequestDesk::grant(Session& session, const wire::ShrinkClass& request,
                                        std::uint32_t request_id) {
    if (auto allowed = check_may_change_memory(session, "shrink classes of this pool"); !allowed) {
        return tl::unexpected(allowed.error());
    }
    return wait_for_growth(steward_.growth().shrink(request.slot_bytes, request.keep_slots),
                           {session.id, request_id, 0, wire::ClassShrunk{},
                            class_text(request.slot_bytes) + " has shrunk, as pid " +
                                std::to_string(session.credentials.pid) + " wished"});
}

RequestDesk::Granted RequestDesk::grant(Session& session, const wire::RelieveClass& request,
                                        std::uint32_t request_id) {
    if (auto allowed = check_may_be_relieved(session, request.slot_bytes); !allowed) {
        return tl::unexpected(allowed.error());
    }
    return wait_for_growth(steward_.growth().relieve(request.slot_bytes, request.slots_seen),
                           {session.id, request_id, 0, wire::ClassGrown{},
                            class_text(request.slot_bytes) + " was exhausted, and has grown"});
}

RequestDesk::Allowed RequestDesk::check_may_be_relieved(const Session& session,
                                                        std::uint64_t slot_bytes) const {
    const Peer* const peer = registry_.find(session.peer);
    if (peer == nullptr || peer->read_only) {
        return refuse(Errc::read_only, "who takes no slots needs no more of them");
    }
    const bool is_relieved =
        std::ranges::any_of(config_.classes, [slot_bytes](const SizeClassConfig& one) {
            return one.slot_size == slot_bytes && one.grow_when_exhausted;
        });
    if (!is_relieved) {
        return refuse(Errc::no_permission,
                      class_text(slot_bytes) +
                          " does not grow by itself; set grow_when_exhausted of its [[class]], or "
                          "use 'shmpool grow'");
    }
    return check_may_wait(session);
}

// --- what takes longer ---------------------------------------------------------------------------

RequestDesk::Granted RequestDesk::wait_for_growth(const Result<GrowthId>& growth,
                                                  GrowthWaiter waiter) {
    if (!growth) return refuse(growth.error());
    waiter.growth = *growth;
    growth_waiters_.push_back(std::move(waiter));
    Answer answer;
    answer.later = true;
    return answer;
}

void RequestDesk::answer_grown(std::vector<LateAnswer>& answers) {
    for (const GrowthDone& done : steward_.growth().do_a_piece()) {
        const auto waiter = std::ranges::find(growth_waiters_, done.id, &GrowthWaiter::growth);
        if (waiter == growth_waiters_.end()) continue;
        LateAnswer answer{waiter->session_id, waiter->request_id, waiter->granted};
        if (!done.result) {
            log_.debug("a class stays as it is: " + done.result.error().message);
            answer.body = wire::refusal_of(done.result.error());
        } else {
            std::visit(
                [&](auto& body) {
                    if constexpr (requires { body.slots; }) body.slots = *done.result;
                },
                answer.body);
            log_.info(waiter->news + "; it has " + std::to_string(*done.result) + " slots");
        }
        answers.push_back(std::move(answer));
        growth_waiters_.erase(waiter);
    }
}

void RequestDesk::give_up_growths_of(const Session& session) {
    for (const GrowthWaiter& one : growth_waiters_) {
        if (one.session_id == session.id) steward_.growth().give_up(one.growth);
    }
    std::erase_if(growth_waiters_,
                  [&](const GrowthWaiter& one) { return one.session_id == session.id; });
}

}  // namespace shmpool::host
