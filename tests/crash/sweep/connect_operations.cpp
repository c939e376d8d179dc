// SPDX-License-Identifier: Apache-2.0
/// What goes over the host, and lanes: attach and detach, endpoints that are opened and closed
/// beside running ones, threads that come and end.
#include "operation.hpp"

#include <unistd.h>

namespace shmpool::sweep {
namespace {

using P = ChannelPolicy;

void subscribe(Victim& victim, const std::string& channel) {
    victim.subscriber.emplace(
        must(victim.peer->subscriber(channel, {.depth = depth}), "the victim's reader"));
}

void advertise(Victim& victim, const std::string& channel) {
    victim.publisher.emplace(must(victim.peer->publisher(channel), "the victim's publisher"));
}

void let_some_come(Victim& victim) {
    for (int turns = 0; turns < 3; ++turns) victim.let_rivals(Order::work);
}

Operation subscribing(const std::string& name, const std::string& channel) {
    return {"subscribe/" + name, Lists::either, [](Victim& victim) { victim.attach(); },
            [channel](Victim& victim) { subscribe(victim, channel); },
            [](Victim& victim) { return victim.subscriber.has_value(); }};
}

/// With messages in the queue that nobody has taken.
Operation unsubscribing(const std::string& name, const std::string& channel) {
    return {"unsubscribe/" + name, Lists::either,
            [channel](Victim& victim) {
                victim.attach();
                subscribe(victim, channel);
                let_some_come(victim);
            },
            [](Victim& victim) { victim.subscriber.reset(); },
            [](Victim& victim) { return victim.peer->host_state() == HostState::running; }};
}

Operation advertising(const std::string& name, const std::string& channel) {
    return {"advertise/" + name, Lists::either, [](Victim& victim) { victim.attach(); },
            [channel](Victim& victim) { advertise(victim, channel); },
            [](Victim& victim) { return victim.publisher->reader_count() > 0; }};
}

/// With messages on their way.
Operation closing(const std::string& name, const std::string& channel) {
    return {"close_publisher/" + name, Lists::either,
            [channel](Victim& victim) {
                victim.attach();
                advertise(victim, channel);
                victim.board.readers_take = false;
                for (int i = 0; i < 2; ++i) {
                    must(victim.publisher->publish(victim.marked_loan(middle_bytes), {}),
                         "publishing before");
                }
            },
            [](Victim& victim) { victim.publisher.reset(); },
            [](Victim& victim) { return victim.peer->host_state() == HostState::running; }};
}

void use_pool(Victim& victim) {
    const auto ref = victim.peer->allocate(middle_bytes);
    victim.result = ref && victim.peer->free(*ref) ? 1 : 0;
}

/// Without a thread that does it aside.
Operation coming_back() {
    Operation one{
        "come_back", Lists::either,
        [](Victim& victim) {
            PeerOptions options;
            options.control_thread = false;
            victim.peer.emplace(must(Peer::attach(victim.pool, options), "the victim attaches"));
            use_pool(victim);
            advertise(victim, to_one(P::block));
            victim.hold_marked_loan(middle_bytes);
        },
        [](Victim& victim) {
            while (!victim.peer->host_gone()) (void)victim.peer->drive();
            while (!victim.peer->drive()) ::usleep(1000);
        },
        [](Victim& victim) { return !victim.peer->host_gone(); }};
    one.under_next_host = true;
    return one;
}

bool is_one(const Victim& victim) {
    return victim.result == 1;
}

}  // namespace

std::vector<Operation> connect_operations() {
    return {
        {"attach", Lists::untouched, [](Victim&) {}, [](Victim& victim) { victim.attach(); },
         [](Victim& victim) { return victim.peer.has_value(); }},
        {"detach", Lists::either,
         [](Victim& victim) {
             victim.attach();
             use_pool(victim);
         },
         [](Victim& victim) { victim.peer.reset(); }, is_one},
        subscribing("moved", to_victim(P::block)),
        subscribing("leased", to_victim_too(P::block)),
        unsubscribing("moved", to_victim(P::block)),
        unsubscribing("leased", to_victim_too(P::block)),
        unsubscribing("drop_oldest", to_victim_too(P::drop_oldest)),
        advertising("to_one", to_one(P::block)),
        advertising("to_three", to_three(P::block)),
        closing("to_one", to_one(P::block)),
        closing("to_three", to_three(P::block)),
        coming_back(),
        {"thread/begin", Lists::changed, [](Victim& victim) { victim.attach(); }, use_pool, is_one,
         Where::new_thread},
        {"thread/end", Lists::changed, [](Victim& victim) { victim.attach(); }, [](Victim&) {},
         is_one, Where::new_thread, use_pool},
    };
}

}  // namespace shmpool::sweep
