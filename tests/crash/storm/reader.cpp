// SPDX-License-Identifier: Apache-2.0
#include <deque>
#include <thread>

#include "actor.hpp"
#include "stream_check.hpp"

namespace shmpool::storm {

using namespace std::chrono_literals;

namespace {

class Reader {
public:
    Reader(Actor& me, Subscriber subscriber)
        : me_(me),
          subscriber_(std::move(subscriber)),
          may_drop_(me.seat().policy != ChannelPolicy::block),
          check_({.may_drop = may_drop_, .from_the_first = !me.seat().killed}),
          held_at_most_(me.below(5)) {}

    void read() {
        while (me_.goes_on() || !has_all()) take_one();
        while (!held_.empty()) release_oldest();
    }

private:
    /// The one that lives waits for the last message of the writer that lives.
    [[nodiscard]] bool has_all() const {
        if (me_.seat().killed) return true;
        return me_.board()->last_is_published &&
               check_.last_of(Actor::name_of_life(steady_writer, 0)) >= me_.board()->last_number;
    }

    void take_one() {
        auto sample = subscriber_.take(20ms);
        if (!sample) return excuse(sample.error());
        look_at(*sample);
        held_.push_back(std::move(*sample));
        if (held_.size() > held_at_most_) release_oldest();
    }

    void excuse(Errc why) {
        if (why == Errc::timed_out) return;
        if (why != Errc::ended && why != Errc::ended_by_death) return me_.complain("take", why);
        std::this_thread::sleep_for(1ms);  // Until the next writer comes.
    }

    void look_at(const Sample& sample) {
        me_.board()->totals.taken += 1;
        me_.board()->totals.bytes_taken += sample.size();
        const auto message = read_payload(sample.bytes());
        if (!message) return me_.complain("a message came damaged");
        if (const auto wrong = check_.next(*message)) me_.complain(*wrong);
        if (may_drop_ && check_.misses_more_than(subscriber_.dropped_total())) {
            me_.complain("more is missing than was counted as dropped");
        }
    }

    void release_oldest() {
        if (!read_payload(held_.front().bytes())) {
            me_.complain("somebody has written into its sample");
        }
        held_.pop_front();
    }

    Actor& me_;
    Subscriber subscriber_;
    bool may_drop_;
    StreamCheck check_;
    std::size_t held_at_most_;
    std::deque<Sample> held_;
};

}  // namespace

void play_reader(Actor& me) {
    auto peer = me.attach();
    if (!peer) return;
    auto subscriber = me.open_subscriber(*peer, 1U << me.below(5));
    if (!subscriber) return;
    Reader(me, std::move(*subscriber)).read();
}

}  // namespace shmpool::storm
