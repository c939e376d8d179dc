// SPDX-License-Identifier: Apache-2.0
/// What asks before it draws a slot, because the peer has a quota; and what finds no slot in a
/// class that grows by itself, and has its host add some.
#include "operation.hpp"

namespace shmpool::sweep {
namespace {

void attach(Victim& victim) {
    victim.attach_with_lane();
    victim.raw.reserve(small_count + middle_count + large_limit);
    victim.publisher.emplace(must(victim.peer->publisher("loans"), "the victim's publisher"));
}

/// The rivals are at rest until the operation.
void take_all_small(Victim& victim) {
    victim.let_rivals(Order::rest);
    victim.keep_new(small_bytes, small_count);
}

void take_all_large(Victim& victim) {
    victim.let_rivals(Order::rest);
    victim.keep_new(large_bytes, large_count);
}

Operation with_limits(std::string name, Lists lists, std::function<void(Victim&)> prepare,
                      std::function<void(Victim&)> act,
                      std::function<bool(Victim&)> went_as_named) {
    return {.name = std::move(name),
            .lists = lists,
            .prepare =
                [prepare = std::move(prepare)](Victim& victim) {
                    attach(victim);
                    prepare(victim);
                },
            .act = std::move(act),
            .went_as_named = std::move(went_as_named),
            .limits = Limits::some};
}

Operation allocating(std::string name, Lists lists, std::function<void(Victim&)> prepare,
                     std::uint64_t bytes, std::int64_t gives) {
    return with_limits(
        std::move(name), lists, std::move(prepare),
        [bytes](Victim& victim) {
            const auto ref = victim.peer->allocate(bytes);
            victim.result = ref ? ref->class_index : -2;
        },
        [gives](Victim& victim) { return victim.result == gives; });
}

Operation loaning(std::string name, std::function<void(Victim&)> prepare, std::uint64_t bytes,
                  std::uint32_t extent) {
    return with_limits(
        std::move(name), Lists::changed, std::move(prepare),
        [bytes](Victim& victim) {
            auto loan = victim.publisher->loan(bytes);
            if (loan) victim.loan.emplace(std::move(*loan));
        },
        [extent](Victim& victim) {
            return victim.loan && victim.loan->slot().extent_index == extent;
        });
}

}  // namespace

std::vector<Operation> limits_operations() {
    const auto nothing_more = [](Victim&) {};
    const auto empty_magazine = [](Victim& victim) {
        victim.keep_new(middle_bytes, magazine_slots / 2);
    };
    std::vector<Operation> all{
        allocating("quota/direct", Lists::changed, nothing_more, small_bytes, 0),
        allocating("quota/refill", Lists::changed, empty_magazine, middle_bytes, 1),
        allocating("quota/next_class", Lists::changed, take_all_small, small_bytes, 1),
        loaning("quota/loan", empty_magazine, middle_bytes, 0),
        allocating("grows_by_itself/allocate", Lists::changed, take_all_large, large_bytes, 2),
        loaning("grows_by_itself/loan", take_all_large, large_bytes, 1),
    };
    for (Operation& one : all) one.calls_kernel = one.name.starts_with("grows");
    return all;
}

}  // namespace shmpool::sweep
