// SPDX-License-Identifier: Apache-2.0
/// What a peer does that may only read: payloads are mapped for it so that it can not change them.
#include "operation.hpp"

namespace shmpool::sweep {
namespace {

constexpr ChannelPolicy policy = ChannelPolicy::block;

void attach(Victim& victim) {
    victim.reads_only = true;
    victim.attach();
}

void subscribe(Victim& victim, const std::string& channel) {
    victim.reads_only = true;
    victim.open_reader(channel, policy);
}

void take(Victim& victim) {
    victim.take_message();
}

/// A thread gets its lane with the first message.
void take_first(Victim& victim) {
    victim.let_message_come();
    take(victim);
    must(!victim.samples.empty(), "the victim takes");
}

bool has_message(const Victim& victim) {
    return victim.samples.size() == 1 && read_mark(victim.samples.front().bytes()).has_value();
}

Operation reading(std::string name, Lists lists, std::function<void(Victim&)> prepare,
                  std::function<void(Victim&)> act, std::function<bool(Victim&)> went_as_named) {
    return {.name = "read_only/" + std::move(name),
            .lists = lists,
            .prepare = std::move(prepare),
            .act = std::move(act),
            .went_as_named = std::move(went_as_named)};
}

Operation taking(const std::string& name, const std::string& channel) {
    return reading(
        name, Lists::untouched,
        [channel](Victim& victim) {
            subscribe(victim, channel);
            take_first(victim);
            victim.samples.clear();
            victim.let_message_come();
        },
        take, has_message);
}

/// What ends goes into a magazine if there is one left for the lane of a reader, else to its list.
Operation releasing(const std::string& name, const std::string& channel) {
    return reading(
        name, Lists::either,
        [channel](Victim& victim) {
            subscribe(victim, channel);
            take_first(victim);
            victim.let_rivals(Order::rest);
            victim.raw.push_back(victim.samples.front().slot());
        },
        [](Victim& victim) { victim.samples.front().release(); },
        [](Victim& victim) { return !victim.peer->pool().slot_state(victim.raw.front()); });
}

}  // namespace

std::vector<Operation> reading_operations() {
    const std::string alone = to_victim(policy);
    const std::string beside_another = to_victim_too(policy);
    return {
        reading(
            "attach", Lists::untouched, [](Victim&) {}, attach,
            [](Victim& victim) { return victim.peer.has_value(); }),
        reading(
            "subscribe", Lists::either, attach,
            [beside_another](Victim& victim) {
                victim.subscriber.emplace(
                    must(victim.peer->subscriber(beside_another, {.depth = depth}), "a reader"));
            },
            [](Victim& victim) { return victim.subscriber.has_value(); }),
        taking("take_moved", alone),
        taking("take_leased", beside_another),
        releasing("release_moved", alone),
        releasing("release_leased_last", beside_another),
        reading(
            "detach", Lists::either,
            [alone](Victim& victim) {
                subscribe(victim, alone);
                take_first(victim);
            },
            [](Victim& victim) {
                victim.samples.clear();
                victim.subscriber.reset();
                victim.peer.reset();
            },
            [](Victim& victim) { return !victim.peer; }),
    };
}

}  // namespace shmpool::sweep
