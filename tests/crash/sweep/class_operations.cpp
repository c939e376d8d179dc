// SPDX-License-Identifier: Apache-2.0
/// A class that grows and shrinks, and slots of what it has grown by: taken, given back and sent to
/// readers who may not know yet that there is more of it.
#include "operation.hpp"

namespace shmpool::sweep {
namespace {

void let_grow(Victim& victim) {
    const auto grown = victim.peer->grow_class(large_bytes, large_limit - large_count);
    victim.result = grown == large_limit ? 1 : 0;
}

/// A slot of the extent may be a rival's.
void let_shrink(Victim& victim) {
    const auto left = victim.peer->shrink_class(large_bytes);
    victim.result = left || left.error().code == Errc::extent_in_use ? 1 : 0;
}

void grow(Victim& victim) {
    let_grow(victim);
    must(victim.result == 1, "the victim's class grows");
}

/// The last of the kept slots is one of the extent, and more are free there.
void attach_to_extent(Victim& victim) {
    victim.attach_with_lane();
    victim.publisher.emplace(
        must(victim.peer->publisher(to_three(ChannelPolicy::block)), "the victim's publisher"));
    victim.raw.reserve(large_limit);
    grow(victim);
    do {
        victim.keep(must(victim.peer->allocate(large_bytes), "the victim's slot"));
    } while (victim.raw.back().extent_index == 0);
}

void allocate(Victim& victim) {
    const auto ref = victim.peer->allocate(large_bytes);
    victim.result = ref && ref->extent_index == 1 ? 1 : 0;
}

void free(Victim& victim) {
    victim.result = victim.peer->free(victim.raw.back()).has_value() ? 1 : 0;
}

void publish(Victim& victim) {
    const auto readers = victim.publisher->publish(std::move(*victim.loan), {});
    victim.result = readers ? 1 : 0;
}

Operation in_extent(const std::string& name, Lists lists, std::function<void(Victim&)> prepare,
                    std::function<void(Victim&)> act) {
    return {"class/" + name, lists,
            [prepare = std::move(prepare)](Victim& victim) {
                attach_to_extent(victim);
                prepare(victim);
            },
            std::move(act), [](const Victim& victim) { return victim.result == 1; }};
}

}  // namespace

std::vector<Operation> class_operations() {
    const auto is_one = [](const Victim& victim) { return victim.result == 1; };
    const auto nothing_more = [](Victim&) {};
    return {
        {"class/grow", Lists::either, [](Victim& victim) { victim.attach(); }, let_grow, is_one},
        {"class/shrink", Lists::either,
         [](Victim& victim) {
             victim.attach();
             grow(victim);
         },
         let_shrink, is_one},
        in_extent("allocate", Lists::changed, nothing_more, allocate),
        in_extent("free", Lists::changed, nothing_more, free),
        in_extent(
            "publish", Lists::untouched,
            [](Victim& victim) { victim.hold_marked_loan(large_bytes); }, publish),
        in_extent(
            "end_loan", Lists::changed,
            [](Victim& victim) { victim.loans.push_back(victim.marked_loan(large_bytes)); },
            [](Victim& victim) {
                victim.loans.pop_back();
                victim.result = 1;
            }),
    };
}

}  // namespace shmpool::sweep
