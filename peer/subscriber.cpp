// SPDX-License-Identifier: Apache-2.0
#include "peer/subscriber.hpp"

#include <algorithm>
#include <string>
#include <system_error>

#include "peer/endpoint_state.hpp"
#include "peer/queue_totals.hpp"
#include "shmpool/platform/futex.hpp"

namespace shmpool {

Subscriber::Subscriber(std::unique_ptr<State> state) : state_(std::move(state)) {}
Subscriber::Subscriber(Subscriber&&) noexcept = default;

Subscriber& Subscriber::operator=(Subscriber&& other) noexcept {
    if (this != &other) {
        close();
        state_ = std::move(other.state_);
    }
    return *this;
}

Subscriber::~Subscriber() {
    close();
}

void Subscriber::close() noexcept {
    if (!state_) return;
    if (!state_->core->in_own_process()) {
        (void)state_.release();  // A forked child: it is the parent's.
        return;
    }
    if (state_->bridge) {
        state_->bridge->stop.store(true, std::memory_order_release);  // [R-bridge]
        // A hostile peer may put the doorbell back before the thread looks at it: ring until heard.
        while (!state_->bridge->ended.load(std::memory_order_acquire)) {        // [A-bridge]
            state_->taking.doorbell().fetch_add(1, std::memory_order_release);  // [R-doorbell]
            futex_wake(state_->taking.doorbell(), 0x7FFF'FFFF);
            std::this_thread::yield();
        }
        state_->bridge->thread.join();
    }
    state_->core->with_any_lane([this](ThreadLane& lane) { state_->taking.close(*lane.lane); });
    // Unanswered: the host will find out when the peer ends.
    (void)state_->core->control().request<wire::Closed>(
        wire::CloseSubscriber{state_->taking.index()}, Absence::give_up);
    state_.reset();
}

Errc Subscriber::take_into(Sample& into) {
    if (!state_) [[unlikely]]
        return Errc::moved_from;
    if (into) [[unlikely]]
        return Errc::invalid_argument;
    PeerCore& core = *state_->core;
    ThreadLane* const lane = core.lane_or_null();
    if (lane == nullptr) [[unlikely]]
        return core.why_no_lane();
    if (core.pool().view().damaged()) [[unlikely]]
        return core.why_not_serving().value();
    const TakeResult result = state_->taking.try_take(*lane->lane);
    if (result.error == Errc{}) {
        const ClassView& view = core.pool().view().classes[result.class_index];
        lane->count_handle(1);
        into.begin(core, state_->taking.taken(result), view, view.records[position_of(result.key)]);
        return Errc{};
    }
    if (result.error != Errc::empty) return result.error;
    if (auto serving = core.check_serving(); !serving) return serving.error();
    if (state_->bridge) {
        core.pool().flush(*lane->lane);  // The user is about to sleep in a loop of his own.
        // Cleared first, armed second: a message in between signals it again.
        state_->bridge->event.clear();
        if (state_->taking.arm()) state_->bridge->event.signal();
    }
    return Errc::empty;
}

Outcome<Sample> Subscriber::take(std::chrono::nanoseconds timeout) {
    auto sample = take();
    if (sample || sample.error() != Errc::empty) return sample;
    const Deadline deadline = Deadline::after(timeout);
    for (;;) {
        const auto waited = wait(deadline.remaining());
        sample = take();
        if (sample || sample.error() != Errc::empty) return sample;
        if (!waited) return tl::unexpected(waited.error());
        if (deadline.expired()) return fail(Errc::timed_out);
    }
}

Outcome<void> Subscriber::wait(std::chrono::nanoseconds timeout) {
    if (!state_) return fail(Errc::moved_from);
    if (!state_->core->in_own_process()) return fail(Errc::forked);
    if (!state_->may_sleep) return fail(Errc::invalid_argument);
    const Deadline deadline = Deadline::after(timeout);
    while (!state_->taking.ready()) {
        // The host rings every doorbell when it stops, or finds the pool damaged; `take` says so.
        if (!state_->core->check_serving()) return {};
        if (deadline.expired()) return fail(Errc::timed_out);
        // A lane that sleeps has nothing cached.
        if (const auto lane = state_->core->lane()) state_->core->pool().flush(*(*lane)->lane);
        state_->taking.wait(deadline);
    }
    return {};
}

std::uint64_t Subscriber::dropped_total() const {
    if (!state_ || !state_->core->in_own_process()) return 0;
    return read_queue_totals(state_->core->view(), state_->taking.index()).dropped;
}

Result<int> Subscriber::descriptor() {
    if (!state_) return tl::unexpected(to_error(Errc::moved_from));
    if (!state_->core->in_own_process()) return tl::unexpected(to_error(Errc::forked));
    if (!state_->may_sleep) {
        return fail(Errc::invalid_argument,
                    "the subscriber was opened with may_sleep = false and has no descriptor");
    }
    if (state_->bridge) return state_->bridge->event.descriptor();
    auto event = EventDescriptor::create();
    if (!event) return tl::unexpected(event.error());
    auto bridge = std::make_unique<DescriptorBridge>();
    bridge->event = std::move(*event);
    bridge->event.signal();  // Until the first `take` says empty.
    try {
        // Read before the thread begins: a ring that comes before its first sleep must be heard.
        Atomic<std::uint32_t>& doorbell = state_->taking.doorbell();
        std::uint32_t rung = doorbell.load(std::memory_order_acquire);  // [A-doorbell]
        bridge->thread = std::thread([bridge = bridge.get(), &doorbell, rung]() mutable {
            while (!bridge->stop.load(std::memory_order_acquire)) {  // [A-bridge]
                futex_wait(doorbell, rung, std::chrono::nanoseconds::max());
                const std::uint32_t now = doorbell.load(std::memory_order_acquire);  // [A-doorbell]
                if (now != rung) bridge->event.signal();
                rung = now;
            }
            bridge->ended.store(true, std::memory_order_release);  // [R-bridge]
        });
    } catch (const std::system_error& error) {
        return fail(Errc::system, std::string("the thread behind the descriptor cannot be "
                                              "started: ") +
                                      error.what() + "; raise the limit of threads");
    }
    state_->bridge = std::move(bridge);
    return state_->bridge->event.descriptor();
}

}  // namespace shmpool
