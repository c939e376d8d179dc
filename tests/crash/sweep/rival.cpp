// SPDX-License-Identifier: Apache-2.0
#include "rival.hpp"

#include <unistd.h>

#include <algorithm>
#include <limits>
#include <set>
#include <tuple>

#include "must.hpp"
#include "shmpool/platform/futex.hpp"

namespace shmpool::sweep {
namespace {

using namespace std::chrono_literals;

constexpr std::array policies{ChannelPolicy::block, ChannelPolicy::drop_newest,
                              ChannelPolicy::drop_oldest};
constexpr std::array sizes{small_bytes, middle_bytes, small_bytes, middle_bytes, large_bytes};
constexpr std::uint64_t rounds_kept = 2;
/// Beyond the moment at which the host takes back what the writer held.
constexpr std::uint64_t rounds_kept_of_the_dead = 50;
constexpr std::size_t kept_raw = 3;
/// For what must not block at all any more.
constexpr std::chrono::nanoseconds too_long = 10s;

}  // namespace

Rival::Rival(Board& board, const std::string& pool, std::uint32_t number)
    : board_(board),
      number_(number),
      peer_(must(Peer::attach(pool), "a rival attaches")),
      silence_(must(peer_.subscriber("silence"), "a rival's reader")),
      heaps_(board_, peer_, number_) {
    must(silence_.descriptor().has_value(), "a rival's descriptor");
    for (const ChannelPolicy policy : policies) {
        if (number_ == 1) {
            write_to(to_one(policy), policy);
            write_to(to_victim(policy), policy);
            write_to(to_victim_too(policy), policy);
        }
        if (number_ == 2) write_to(to_three(policy), policy);
        if (number_ == 0) {
            read_from(to_one(policy), policy);
            read_from(to_victim_too(policy), policy);
        }
        read_from(to_three(policy), policy);
    }
}

void Rival::write_to(const std::string& channel, ChannelPolicy policy) {
    const std::uint64_t writer = 100 * (number_ + 1) + writings_.size();
    writings_.push_back(
        {must(peer_.publisher(channel, {.policy = policy}), "a rival's publisher"), writer});
}

void Rival::read_from(const std::string& channel, ChannelPolicy policy) {
    readings_.push_back(
        {channel,
         must(peer_.subscriber(channel, {.depth = depth, .policy = policy}), "a rival's reader"),
         policy == ChannelPolicy::block});
}

void Rival::play() {
    for (std::uint32_t played = board_.played[number_];;) {
        while (board_.turn == played) futex_wait(board_.turn, played, 1s);
        ++played;
        while (board_.planted_lock) ::usleep(1000);
        switch (board_.order) {
            case Order::work: work(); break;
            case Order::rest: rest(); break;
            case Order::count:
                if (number_ == 0) count();
                break;
            case Order::wait: wait(); break;
            case Order::wait_together: wait_together(); break;
        }
        board_.played[number_] = played;
    }
}

void Rival::work() {
    ++rounds_;
    for (int i = 0; i < 3; ++i) take_raw();
    heaps_.work();
    const bool patient = board_.nothing_may_block;
    for (Writing& writing : writings_) {
        if (!send(writing, patient ? too_long : 0ns) && patient) ++board_.blocked;
    }
    if (board_.readers_take) {
        for (Reading& reading : readings_) {
            while (receive(reading)) {
            }
            let_go(reading, rounds_);
        }
    }
    give_raw(kept_raw);
}

void Rival::rest() {
    for (Reading& reading : readings_) {
        while (receive(reading)) {
        }
        let_go(reading, std::numeric_limits<std::uint64_t>::max());
    }
    give_raw(0);
    heaps_.rest();
    give_cached();
}

/// Whoever has a descriptor and finds nothing may be about to sleep: the lane keeps nothing.
void Rival::give_cached() {
    (void)silence_.take();
}

void Rival::take_raw() {
    const auto ref = peer_.allocate(sizes[raw_taken_ % sizes.size()]);
    if (!ref) return;  // The victim may have them all.
    const Mark mark{number_ + 1, ++raw_taken_};
    write_mark(must(peer_.slot_data(*ref), "a rival's slot"), mark);
    const bool offered = number_ == 0 && ref->class_index == middle_class && board_.gift == 0;
    if (offered) board_.gift = *peer_.pool().view().key_of(*ref);
    raw_.push_back({*ref, mark, offered});
}

void Rival::give_raw(std::size_t keep) {
    for (; raw_.size() > keep; raw_.erase(raw_.begin())) {
        const Raw& one = raw_.front();
        SlotKey offered = *peer_.pool().view().key_of(one.ref);
        const bool is_ours = !one.offered || board_.gift.compare_exchange_strong(offered, 0);
        const bool as_left = is_as_left(one);
        const bool freed = peer_.free(one.ref).has_value();
        // A gift that was taken may have been freed, and be somebody else's by now.
        if (is_ours && !(as_left && freed)) ++board_.changed;
    }
}

bool Rival::is_as_left(const Raw& raw) {
    const auto data = peer_.slot_data(raw.ref);
    if (!data) return false;
    return read_mark(*data) == raw.mark;
}

/// Nothing to send, because the victim may have all slots, is no failure.
bool Rival::send(Writing& writing, std::chrono::nanoseconds timeout) {
    auto loan = writing.publisher.loan(writing.sent % 2 == 0 ? small_bytes : middle_bytes);
    if (!loan) return true;
    write_mark(loan->bytes(), {writing.writer, writing.sent + 1});
    if (!writing.publisher.publish(std::move(*loan), timeout)) return false;
    ++writing.sent;
    return true;
}

bool Rival::receive(Reading& reading) {
    auto sample = reading.subscriber.take();
    if (!sample) return false;
    const auto mark = read_mark(sample->bytes());
    if (!mark) {
        ++board_.changed;
        return true;
    }
    expect_in_order(board_, reading, *mark);
    const bool of_rival = mark->writer < first_victim;
    reading.kept.push_back(
        {std::move(*sample), *mark, rounds_ + (of_rival ? rounds_kept : rounds_kept_of_the_dead)});
    return true;
}

void Rival::expect_in_order(Board& board, Reading& reading, const Mark& mark) {
    std::uint64_t& last = reading.last[mark.writer];
    const bool comes =
        reading.all_must_come ? last == 0 || mark.number == last + 1 : mark.number > last;
    if (!comes) ++board.missed;
    last = mark.number;
}

/// What was kept until this round must be as it came.
void Rival::let_go(Reading& reading, std::uint64_t round) {
    std::erase_if(reading.kept, [&](const Kept& one) {
        if (one.until_round > round) return false;
        if (read_mark(one.sample.bytes()) != one.mark) ++board_.changed;
        return true;
    });
}

/// A message may never come. Who publishes beside it should find it asleep: not for too short a
/// time.
void Rival::sleep_until_message(Reading& reading) {
    const auto sleep = [this] { return std::chrono::milliseconds(board_.sleep_ms / 20); };
    while (board_.may_wait && !reading.subscriber.wait(sleep())) {
    }
}

void Rival::wait_together() {
    board_.waiting[number_] = ::getpid();
    const std::string channel = to_three(ChannelPolicy::block);
    sleep_until_message(*std::ranges::find(readings_, channel, &Reading::channel));
    board_.waiting[number_] = 0;
}

/// Room must come: the victim takes, or is dead.
void Rival::wait() {
    board_.waiting[number_] = ::getpid();
    if (number_ == 0) sleep_until_message(readings_[0]);
    if (number_ == 1 && !send(writings_[1], too_long)) ++board_.blocked;
    board_.waiting[number_] = 0;
}

/// Growth that the dead asked for may go on.
Result<std::uint32_t> Rival::ask_patiently(
    const std::function<Result<std::uint32_t>()>& ask) const {
    const Deadline deadline = Deadline::after(std::chrono::seconds(board_.patience_s) / 2);
    for (;;) {
        auto slots = ask();
        const bool waits = !slots && slots.error().code == Errc::would_block;
        if (!waits || deadline.expired()) return slots;
    }
}

/// It does so only if nobody has a slot of an extent.
void Rival::let_class_shrink() {
    const auto left = ask_patiently([this] { return peer_.shrink_class(large_bytes); });
    board_.stays_grown = left ? *left - large_count : large_limit;
}

/// It would do so by itself, but not if its host was too busy just now.
void Rival::let_class_grow() {
    (void)ask_patiently(
        [this] { return peer_.grow_class(large_bytes, large_limit - large_count); });
}

void Rival::count() {
    let_class_shrink();
    if (board_.limits != Limits::none) let_class_grow();
    std::set<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>> places;
    std::vector<SlotRef> all;
    while (const auto ref = peer_.allocate(1)) {
        const bool is_new =
            places.emplace(ref->class_index, ref->extent_index, ref->slot_index).second;
        if (!is_new) ++board_.counted_twice;
        // Who still has it will see that somebody else does.
        write_mark(must(peer_.slot_data(*ref), "a counted slot"), {number_ + 1, ++raw_taken_});
        all.push_back(*ref);
        if (all.size() > 2 * (small_count + middle_count + large_count)) break;
    }
    board_.counted = static_cast<std::uint32_t>(places.size());
    for (const SlotRef& ref : all) (void)peer_.free(ref);
    give_cached();
    if (board_.limits != Limits::none) let_class_shrink();
    heaps_.count();
}

}  // namespace shmpool::sweep
