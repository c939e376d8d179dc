// SPDX-License-Identifier: Apache-2.0
#include "survivor.hpp"

#include <sched.h>

#include <algorithm>

namespace shmpool::sweep {
namespace {

/// For a slot, while others may have them all for a moment.
constexpr int tries_max = 1'000'000;

bool is_ours(const Victim& victim, std::span<const std::byte> payload) {
    const auto mark = read_mark(payload);
    return mark && mark->writer == victim.writer;
}

/// The operation itself may have freed the last one.
std::string look_at_raw(Victim& victim) {
    const std::size_t count = std::min(victim.marked, victim.raw.size());
    for (std::size_t i = 0; i < count; ++i) {
        const auto data = victim.peer->slot_data(victim.raw[i]);
        if (data && !is_ours(victim, *data)) return "somebody wrote into its slot";
        if (!data && i + 1 != victim.raw.size()) return "its slot is somebody else's";
    }
    return {};
}

std::string look_at_loans(const Victim& victim) {
    for (const Loan& one : victim.loans) {
        if (!is_ours(victim, one.bytes())) return "somebody wrote into its loan";
    }
    const bool has_one = victim.loan && *victim.loan && victim.loan_is_marked;
    if (has_one && !is_ours(victim, victim.loan->bytes())) return "somebody wrote into its loan";
    return {};
}

std::string look_at_samples(Victim& victim) {
    for (const Sample& one : victim.samples) {
        if (!one) continue;
        if (!victim.peer->pool().slot_state(one.slot())) return "what it reads is somebody else's";
        if (!read_mark(one.bytes())) return "somebody wrote into what it reads";
    }
    return {};
}

void give_everything_back(Victim& victim) {
    victim.samples.clear();
    victim.loans.clear();
    victim.loan.reset();
    const std::size_t count = std::min(victim.marked, victim.raw.size());
    for (std::size_t i = 0; i < count; ++i) (void)victim.peer->free(victim.raw[i]);
}

std::string read_what_waits(Victim& victim) {
    while (victim.subscriber) {
        const auto sample = victim.subscriber->take();
        if (!sample) break;
        if (!read_mark(sample->bytes())) return "somebody wrote into what waited for it";
    }
    return {};
}

std::string read_on(Victim& victim) {
    const auto subscriber = victim.peer->subscriber("afterwards");
    return subscriber ? "" : "it can not open a channel: " + subscriber.error().message;
}

/// The slot pool, the protocol and the host, one after the other.
std::string work_on(Victim& victim) {
    if (victim.reads_only) return read_on(victim);
    auto publisher = victim.peer->publisher("afterwards");
    if (!publisher) return "it can not open a channel: " + publisher.error().message;
    for (int tries = 0; tries < tries_max; ++tries, ::sched_yield()) {
        auto loan = publisher->loan(small_bytes);
        if (!loan && loan.error() == Errc::exhausted) continue;
        if (!loan) return "it can not loan a slot: " + text_of(loan.error());
        if (publisher->publish(std::move(*loan), {})) return {};
        return "it can not publish";
    }
    return "it finds no slot any more";
}

}  // namespace

std::string live_on(Victim& victim) {
    if (!victim.peer) return {};
    for (const auto& look : {look_at_raw(victim), look_at_loans(victim), look_at_samples(victim)}) {
        if (!look.empty()) return look;
    }
    give_everything_back(victim);
    for (const auto& step : {read_what_waits(victim), work_on(victim)}) {
        if (!step.empty()) return step;
    }
    victim.publisher.reset();
    victim.subscriber.reset();
    victim.heap_of_bytes.reset();
    victim.heap_of_pages.reset();
    victim.chain_of_pages.reset();
    victim.heap_of_ids.reset();
    victim.heap_of_objects.reset();
    victim.stack.reset();
    victim.buffer.reset();
    victim.peer.reset();
    return {};
}

}  // namespace shmpool::sweep
