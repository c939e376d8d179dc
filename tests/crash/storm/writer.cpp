// SPDX-License-Identifier: Apache-2.0
#include "actor.hpp"

namespace shmpool::storm {

namespace {

/// As often as it takes: the message is neither lost nor published twice when a queue is full.
bool publish(Actor& me, Publisher& publisher, Loan loan) {
    for (;;) {
        const auto published = publisher.publish(std::move(loan), me.draw_timeout());
        if (published) return true;
        if (published.error() != Errc::timed_out) {
            me.complain("publish", published.error());
            return false;
        }
        me.board()->totals.full += 1;
        (void)me.goes_on();
    }
}

}  // namespace

bool publish_one(Actor& me, Publisher& publisher, const Message& message) {
    auto loan = publisher.loan(me.draw_bytes(), me.draw_timeout());
    if (!loan) {
        if (loan.error() != Errc::timed_out && loan.error() != Errc::exhausted) {
            me.complain("loan", loan.error());
        }
        me.board()->totals.full += 1;
        return false;
    }
    write_payload(loan->bytes(), message);
    if (me.once_in(16)) return false;  // The loan ends here.
    if (!read_payload(loan->bytes())) me.complain("somebody has written into its loan");
    if (!publish(me, publisher, std::move(*loan))) return false;
    me.board()->totals.published += 1;
    return true;
}

/// Whoever waits for the last message is told also if the storm ends before the first.
void play_writer(Actor& me) {
    auto peer = me.attach();
    auto publisher = peer ? me.open_publisher(*peer) : std::nullopt;
    std::uint64_t number = 0;
    while (publisher && me.goes_on()) {
        number += publish_one(me, *publisher, {me.name(), number + 1}) ? 1U : 0U;
    }
    if (me.seat().killed) return;
    me.board()->last_number = number;
    me.board()->last_is_published = true;
}

}  // namespace shmpool::storm
