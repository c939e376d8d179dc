// SPDX-License-Identifier: Apache-2.0
/// Taking what was moved and what was leased, and giving it back: as the only holder, as the last
/// one, and before the last one.
#include "operation.hpp"

namespace shmpool::sweep {
namespace {

void take(Victim& victim) {
    victim.take_message();
}

/// One of the class with magazines.
void take_one(Victim& victim) {
    for (int tries = 0; victim.samples.empty(); ++tries) {
        must(tries < 100, "the victim takes");
        victim.let_message_come();
        take(victim);
        if (victim.samples.front().slot().class_index != middle_class) victim.samples.clear();
    }
}

bool has_message_in(Victim& victim, SlotState state) {
    if (victim.samples.size() != 1) return false;
    const Sample& sample = victim.samples.front();
    return read_mark(sample.bytes()) && victim.peer->pool().slot_state(sample.slot()) == state;
}

Operation taking(const std::string& name, const std::string& channel, ChannelPolicy policy,
                 SlotState state) {
    return {"take/" + name, Lists::untouched,
            [=](Victim& victim) {
                victim.open_reader(channel, policy);
                victim.let_message_come();
            },
            take, [state](Victim& victim) { return has_message_in(victim, state); }};
}

/// The queue is full, and its publisher waits for room.
Operation waking() {
    constexpr ChannelPolicy policy = ChannelPolicy::block;
    Operation one = taking("moved_wakes_publisher", to_victim(policy), policy, SlotState::loaned);
    one.prepare = [](Victim& victim) {
        victim.open_reader(to_victim(policy), policy);
        for (std::uint32_t i = 0; i <= depth; ++i) victim.let_rivals(Order::work);
        victim.let_rivals_wait(Order::wait, {1});
    };
    one.lists = Lists::either;  // The one that waits changes some.
    one.calls_kernel = true;
    return one;
}

Operation taking_nothing() {
    return {"take/empty", Lists::untouched,
            [](Victim& victim) {
                victim.open_reader(to_victim(ChannelPolicy::block), ChannelPolicy::block);
            },
            take, [](Victim& victim) { return victim.samples.empty(); }};
}

enum class By : std::uint8_t { taker, sibling };

/// `state`: of the slot afterwards; none when this life of it is over. A sibling's lane has never
/// had a slot of the block.
Operation releasing(const std::string& name, By by, const std::string& channel,
                    std::function<void(Victim&)> before, std::optional<SlotState> state) {
    constexpr ChannelPolicy policy = ChannelPolicy::block;
    return {"release/" + name, Lists::untouched,
            [=](Victim& victim) {
                victim.open_reader(channel, policy);
                if (by == By::taker) {
                    victim.warm_magazine();
                    take_one(victim);
                } else {
                    Victim::on_sibling([&] { take_one(victim); });
                }
                before(victim);
                victim.raw.push_back(victim.samples.front().slot());
            },
            [](Victim& victim) { victim.samples.front().release(); },
            [state](Victim& victim) {
                return victim.peer->pool().slot_state(victim.raw.front()) == state;
            }};
}

}  // namespace

std::vector<Operation> take_operations() {
    using P = ChannelPolicy;
    const auto others_keep_it = [](Victim&) {};
    const auto others_let_go = [](Victim& victim) { victim.let_rivals(Order::rest); };
    return {
        taking("moved", to_victim(P::block), P::block, SlotState::loaned),
        taking("leased", to_victim_too(P::block), P::block, SlotState::published),
        taking("leased_drop_oldest", to_victim(P::drop_oldest), P::drop_oldest,
               SlotState::published),
        waking(),
        taking_nothing(),
        releasing("moved", By::taker, to_victim(P::block), others_keep_it, std::nullopt),
        releasing("moved_of_sibling", By::sibling, to_victim(P::block), others_keep_it,
                  std::nullopt),
        releasing("leased_not_last", By::taker, to_victim_too(P::block), others_keep_it,
                  SlotState::published),
        releasing("leased_last", By::taker, to_victim_too(P::block), others_let_go, std::nullopt),
        releasing("leased_last_of_sibling", By::sibling, to_victim_too(P::block), others_let_go,
                  std::nullopt),
    };
}

}  // namespace shmpool::sweep
