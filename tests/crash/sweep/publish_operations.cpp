// SPDX-License-Identifier: Apache-2.0
/// Publishing to one reader and to three, moved and leased, with each policy, into queues with room
/// and into full ones.
#include "operation.hpp"

namespace shmpool::sweep {
namespace {

void open(Victim& victim, const std::string& channel, ChannelPolicy policy) {
    victim.attach_with_lane();
    victim.publisher.emplace(
        must(victim.peer->publisher(channel, {.policy = policy}), "the victim's publisher"));
}

void publish_before(Victim& victim, std::uint32_t messages) {
    for (std::uint32_t i = 0; i < messages; ++i) {
        must(victim.publisher->publish(victim.marked_loan(middle_bytes), {}), "publishing before");
    }
}

/// Full queues, of readers that read nothing until the victim is dead.
void fill_queues(Victim& victim) {
    victim.board.readers_take = false;
    publish_before(victim, depth);
}

void publish(Victim& victim) {
    const auto readers = victim.publisher->publish(std::move(*victim.loan), {});
    victim.result = readers ? std::int64_t{*readers} : -2;
}

Operation publishing(const std::string& name, Lists lists, const std::string& channel,
                     ChannelPolicy policy, std::function<void(Victim&)> before,
                     std::int64_t reaches) {
    return {"publish/" + name, lists,
            [=](Victim& victim) {
                open(victim, channel, policy);
                publish_before(victim, 1);
                victim.let_rivals(Order::rest);
                before(victim);
                victim.hold_marked_loan(middle_bytes);
            },
            publish, [reaches](Victim& victim) { return victim.result == reaches; }};
}

/// The publishing lane has never had a slot of the block.
Operation publishing_of_sibling(const std::string& name, const std::string& channel,
                                std::int64_t reaches) {
    Operation one = publishing(name, Lists::untouched, channel, ChannelPolicy::block, {}, reaches);
    one.prepare = [channel](Victim& victim) {
        open(victim, channel, ChannelPolicy::block);
        Victim::on_sibling([&] { victim.hold_marked_loan(middle_bytes); });
    };
    return one;
}

/// Who waits changes free lists, perhaps.
Operation waking(const std::string& name, const std::string& channel,
                 std::function<void(Victim&)> let_wait, std::int64_t reaches) {
    Operation one = publishing(name, Lists::either, channel, ChannelPolicy::block,
                               std::move(let_wait), reaches);
    one.calls_kernel = true;
    return one;
}

}  // namespace

std::vector<Operation> publish_operations() {
    using P = ChannelPolicy;
    const auto nothing_more = [](Victim&) {};
    constexpr Lists untouched = Lists::untouched;
    return {
        publishing("1_moved_block", untouched, to_one(P::block), P::block, nothing_more, 1),
        publishing("1_moved_drop_newest", untouched, to_one(P::drop_newest), P::drop_newest,
                   nothing_more, 1),
        publishing("1_leased_drop_oldest", untouched, to_one(P::drop_oldest), P::drop_oldest,
                   nothing_more, 1),
        publishing("3_leased_block", untouched, to_three(P::block), P::block, nothing_more, 3),
        publishing("3_leased_drop_newest", untouched, to_three(P::drop_newest), P::drop_newest,
                   nothing_more, 3),
        publishing("3_leased_drop_oldest", untouched, to_three(P::drop_oldest), P::drop_oldest,
                   nothing_more, 3),
        publishing("1_full_block", Lists::either, to_one(P::block), P::block, fill_queues, -2),
        publishing("1_full_drop_newest", untouched, to_one(P::drop_newest), P::drop_newest,
                   fill_queues, 0),
        publishing("1_full_drop_oldest", Lists::either, to_one(P::drop_oldest), P::drop_oldest,
                   fill_queues, 1),
        publishing("3_full_block", Lists::either, to_three(P::block), P::block, fill_queues, -2),
        publishing("3_full_drop_newest", untouched, to_three(P::drop_newest), P::drop_newest,
                   fill_queues, 0),
        publishing("3_full_drop_oldest", Lists::either, to_three(P::drop_oldest), P::drop_oldest,
                   fill_queues, 3),
        publishing_of_sibling("1_moved_of_sibling", to_one(P::block), 1),
        publishing_of_sibling("3_leased_of_sibling", to_three(P::block), 3),
        waking(
            "1_moved_wakes_reader", to_one(P::block),
            [](Victim& victim) { victim.let_rivals_wait(Order::wait, {0}); }, 1),
        waking(
            "3_leased_wakes_readers", to_three(P::block),
            [](Victim& victim) {
                victim.let_rivals_wait(Order::wait_together, {0, 1, 2});
            },
            3),
        publishing("to_nobody", untouched, "nobody", P::block, nothing_more, 0),
    };
}

}  // namespace shmpool::sweep
