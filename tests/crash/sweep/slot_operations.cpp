// SPDX-License-Identifier: Apache-2.0
/// Allocate and free, raw and by handles, by each path through the pool.
#include "operation.hpp"

namespace shmpool::sweep {
namespace {

void take_loans(Victim& victim, std::uint64_t bytes, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) victim.loans.push_back(victim.marked_loan(bytes));
}

void attach(Victim& victim) {
    victim.attach_with_lane();
    victim.raw.reserve(small_count + middle_count + large_count);
}

void attach_to_publish(Victim& victim) {
    attach(victim);
    victim.publisher.emplace(must(victim.peer->publisher("loans"), "the victim's publisher"));
}

void warm_magazine(Victim& victim) {
    victim.warm_magazine();
}

/// The magazine of the middle class is there, but empty.
void empty_magazine(Victim& victim) {
    victim.keep_new(middle_bytes, magazine_slots / 2);
}

/// Three refills, of half a magazine each, and nothing of them is left.
constexpr std::uint32_t three_refills = magazine_slots / 2 * 3;

/// The magazine of the middle class is full, and more slots are on loan.
void fill_magazine(Victim& victim) {
    victim.keep_new(middle_bytes, three_refills);
    for (std::uint32_t i = 0; i < magazine_slots; ++i) {
        must(victim.peer->free(victim.raw.back()), "the victim frees");
        victim.raw.pop_back();
    }
}

/// Every slot of the classes up to the one of `bytes`. The rivals are at rest until the operation.
void exhaust(Victim& victim, std::uint64_t bytes) {
    victim.let_rivals(Order::rest);
    for (const std::uint64_t size : {small_bytes, middle_bytes, large_bytes}) {
        if (size > bytes) return;
        for (;;) {
            const auto ref = victim.peer->allocate(size);
            if (!ref) break;
            if (victim.peer->pool().slot_size(ref->class_index) != size) {
                must(victim.peer->free(*ref), "the victim frees");
                break;
            }
            victim.keep(*ref);
        }
    }
}

void allocate(Victim& victim, std::uint64_t bytes) {
    const auto ref = victim.peer->allocate(bytes);
    victim.result = ref ? ref->class_index : -2;
}

void free_last(Victim& victim) {
    victim.result = victim.peer->free(victim.raw.back()).has_value() ? 1 : 0;
}

void loan(Victim& victim, std::uint64_t bytes) {
    auto loan = victim.publisher->loan(bytes);
    if (loan) victim.loan.emplace(std::move(*loan));
}

void end_last_loan(Victim& victim) {
    victim.loans.pop_back();
    victim.result = 1;
}

bool is_one(const Victim& victim) {
    return victim.result == 1;
}

Operation allocating(std::string name, Lists lists, std::function<void(Victim&)> prepare,
                     std::uint64_t bytes, std::int64_t gives) {
    return {"allocate/" + std::move(name), lists,
            [prepare = std::move(prepare)](Victim& victim) {
                attach(victim);
                prepare(victim);
            },
            [bytes](Victim& victim) { allocate(victim, bytes); },
            [gives](Victim& victim) { return victim.result == gives; }};
}

Operation freeing(std::string name, Lists lists, std::function<void(Victim&)> prepare) {
    return {"free/" + std::move(name), lists,
            [prepare = std::move(prepare)](Victim& victim) {
                attach(victim);
                prepare(victim);
            },
            free_last, is_one};
}

Operation loaning(std::string name, Lists lists, std::function<void(Victim&)> prepare,
                  std::uint64_t bytes, std::uint32_t gives) {
    return {"loan/" + std::move(name), lists,
            [prepare = std::move(prepare)](Victim& victim) {
                attach_to_publish(victim);
                prepare(victim);
            },
            [bytes](Victim& victim) { loan(victim, bytes); },
            [gives](Victim& victim) {
                return victim.loan && victim.loan->slot().class_index == gives;
            }};
}

Operation ending(std::string name, Lists lists, std::function<void(Victim&)> prepare) {
    return {"end_loan/" + std::move(name), lists,
            [prepare = std::move(prepare)](Victim& victim) {
                attach_to_publish(victim);
                prepare(victim);
            },
            end_last_loan, is_one};
}

void take_gift(Victim& victim) {
    SlotKey gift = 0;
    for (int turns = 0; gift == 0; ++turns) {
        must(turns < 100, "a rival offers a slot");
        victim.let_rivals(Order::work);
        gift = victim.board.gift.exchange(0);
    }
    victim.raw.push_back(victim.peer->pool().view().ref_of(middle_class, gift));
}

/// Nothing is left, somebody has asked for it, and a slot of the middle class is about to come
/// back.
void starve(Victim& victim) {
    warm_magazine(victim);
    exhaust(victim, large_bytes);
    must(!victim.peer->allocate(middle_bytes), "the victim finds nothing");
    std::swap(victim.raw[small_count], victim.raw.back());
}

}  // namespace

/// What comes from a sibling or a rival lies in blocks that the victim's lane may never have had:
/// then nothing but its own mark leads the host to them. A class of 128 slots has magazines for
/// four lanes, the rivals' and one of the victim's; who comes later goes to the list.
std::vector<Operation> slot_operations() {
    const auto nothing_more = [](Victim&) {};
    const auto exhaust_small = [](Victim& victim) {
        warm_magazine(victim);
        exhaust(victim, small_bytes);
    };
    return {
        allocating("magazine", Lists::untouched, warm_magazine, middle_bytes, 1),
        allocating("first_of_class", Lists::changed, nothing_more, middle_bytes, 1),
        allocating("refill", Lists::changed, empty_magazine, middle_bytes, 1),
        allocating("direct", Lists::changed, nothing_more, small_bytes, 0),
        allocating("next_class", Lists::untouched, exhaust_small, small_bytes, 1),
        allocating(
            "next_class_direct", Lists::changed,
            [](Victim& victim) { exhaust(victim, middle_bytes); }, middle_bytes, 2),
        allocating(
            "exhausted", Lists::untouched, [](Victim& victim) { exhaust(victim, large_bytes); },
            small_bytes, -2),
        freeing("magazine", Lists::untouched,
                [](Victim& victim) { victim.keep_new(middle_bytes, 1); }),
        freeing("flush", Lists::changed, fill_magazine),
        freeing("direct", Lists::changed, [](Victim& victim) { victim.keep_new(small_bytes, 1); }),
        freeing("under_pressure", Lists::changed, starve),
        freeing("of_sibling", Lists::untouched,
                [](Victim& victim) {
                    victim.warm_magazine();
                    Victim::on_sibling([&] { victim.keep_new(middle_bytes, 1); });
                }),
        freeing(
            "of_sibling_direct", Lists::changed,
            [](Victim& victim) { Victim::on_sibling([&] { victim.keep_new(middle_bytes, 1); }); }),
        freeing("of_another_peer", Lists::untouched, take_gift),
        loaning("magazine", Lists::untouched, warm_magazine, middle_bytes, 1),
        loaning("refill", Lists::changed, empty_magazine, middle_bytes, 1),
        loaning("direct", Lists::changed, nothing_more, small_bytes, 0),
        loaning("next_class", Lists::untouched, exhaust_small, small_bytes, 1),
        ending("magazine", Lists::untouched,
               [](Victim& victim) { take_loans(victim, middle_bytes, 1); }),
        ending("flush", Lists::changed,
               [](Victim& victim) {
                   take_loans(victim, middle_bytes, three_refills);
                   victim.loans.resize(three_refills - magazine_slots);
               }),
        ending("direct", Lists::changed,
               [](Victim& victim) { take_loans(victim, small_bytes, 1); }),
        ending("of_sibling", Lists::untouched,
               [](Victim& victim) {
                   victim.warm_magazine();
                   Victim::on_sibling([&] { take_loans(victim, middle_bytes, 1); });
               }),
        ending("of_sibling_direct", Lists::changed,
               [](Victim& victim) {
                   Victim::on_sibling([&] { take_loans(victim, middle_bytes, 1); });
               }),
    };
}

}  // namespace shmpool::sweep
