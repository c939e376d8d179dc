// SPDX-License-Identifier: Apache-2.0
/// What sleeps until its time is up, beside the dead and the living: for a slot, for room in a
/// queue, for a message, for a reader; and the descriptor over which an event loop sleeps.
#include "operation.hpp"

namespace shmpool::sweep {
namespace {

using P = ChannelPolicy;

std::chrono::milliseconds short_sleep(const Victim& victim) {
    return std::chrono::milliseconds(victim.board.sleep_ms);
}

bool has_timed_out(const Victim& victim) {
    return victim.result == static_cast<std::int64_t>(Errc::timed_out);
}

void subscribe(Victim& victim) {
    victim.attach_with_lane();
    victim.samples.reserve(1);
    victim.subscriber.emplace(must(victim.peer->subscriber(to_victim(P::block), {.depth = depth}),
                                   "the victim's reader"));
}

Operation sleeping(const std::string& name, std::function<void(Victim&)> prepare,
                   std::function<Outcome<void>(Victim&)> act) {
    return {"sleep/" + name,
            Lists::either,
            std::move(prepare),
            [act = std::move(act)](Victim& victim) {
                const auto done = act(victim);
                victim.result = done ? 0 : static_cast<std::int64_t>(done.error());
            },
            has_timed_out,
            Where::main_thread,
            {},
            true};
}

/// Every slot is taken: its own cache, and then what others free, is no help.
Operation sleeping_for_slot() {
    return sleeping(
        "for_slot",
        [](Victim& victim) {
            victim.attach_with_lane();
            victim.raw.reserve(small_count + middle_count + large_count);
            victim.publisher.emplace(must(victim.peer->publisher("loans"), "a publisher"));
            victim.let_rivals(Order::rest);
            while (const auto ref = victim.peer->allocate(small_bytes)) victim.keep(*ref);
        },
        [](Victim& victim) {
            auto loan = victim.publisher->loan(middle_bytes, short_sleep(victim));
            return loan.map([&](Loan& one) { victim.loan.emplace(std::move(one)); });
        });
}

Operation sleeping_for_room(const std::string& name, const std::string& channel) {
    return sleeping(
        name,
        [channel](Victim& victim) {
            victim.attach_with_lane();
            victim.publisher.emplace(must(victim.peer->publisher(channel), "a publisher"));
            victim.let_rivals(Order::rest);
            victim.board.readers_take = false;
            for (std::uint32_t i = 0; i < depth; ++i) {
                must(victim.publisher->publish(victim.marked_loan(middle_bytes), {}), "filling");
            }
            victim.hold_marked_loan(middle_bytes);
        },
        [](Victim& victim) {
            return victim.publisher->publish(std::move(*victim.loan), short_sleep(victim))
                .map([](std::uint32_t) {});
        });
}

Operation sleeping_for_message() {
    return sleeping("for_message", subscribe, [](Victim& victim) {
        auto sample = victim.subscriber->take(short_sleep(victim));
        return sample.map([&](Sample& got) { victim.samples.push_back(std::move(got)); });
    });
}

Operation sleeping_for_reader() {
    return sleeping(
        "for_reader",
        [](Victim& victim) {
            victim.attach_with_lane();
            victim.publisher.emplace(must(victim.peer->publisher("nobody"), "a publisher"));
        },
        [](Victim& victim) { return victim.publisher->wait_for_readers(1, short_sleep(victim)); });
}

/// Its thread sleeps in the subscriber's place.
Operation making_descriptor() {
    return {"sleep/descriptor", Lists::either, subscribe,
            [](Victim& victim) {
                victim.result = must(victim.subscriber->descriptor(), "a descriptor");
            },
            [](Victim& victim) { return victim.result >= 0; }};
}

}  // namespace

std::vector<Operation> sleep_operations() {
    return {
        sleeping_for_slot(),
        sleeping_for_room("for_room_of_1", to_one(P::block)),
        sleeping_for_room("for_room_of_3", to_three(P::block)),
        sleeping_for_message(),
        sleeping_for_reader(),
        making_descriptor(),
    };
}

}  // namespace shmpool::sweep
