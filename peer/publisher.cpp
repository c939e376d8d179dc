// SPDX-License-Identifier: Apache-2.0
#include "peer/publisher.hpp"

#include <algorithm>
#include <bit>
#include <thread>

#include "peer/endpoint_state.hpp"
#include "peer/slot_relief.hpp"

namespace shmpool {
namespace {

/// Waits of a user end with host_stopped after an orderly stop, so they come up for air this often.
constexpr std::chrono::nanoseconds breath = std::chrono::milliseconds(100);

bool is_worth_waiting(Errc code) {
    return code == Errc::exhausted || code == Errc::quota_exceeded;
}

Deadline next_breath(const Deadline& deadline) {
    return Deadline::after(std::min(breath, deadline.remaining()));
}

}  // namespace

Publisher::Publisher(std::unique_ptr<State> state) : state_(std::move(state)) {}
Publisher::Publisher(Publisher&&) noexcept = default;

Publisher& Publisher::operator=(Publisher&& other) noexcept {
    if (this != &other) {
        close();
        state_ = std::move(other.state_);
    }
    return *this;
}

Publisher::~Publisher() {
    close();
}

void Publisher::close() noexcept {
    if (!state_) return;
    if (!state_->core->in_own_process()) {
        (void)state_.release();  // A forked child: it is the parent's.
        return;
    }
    // Unanswered: the host will find out when the peer ends.
    (void)state_->core->control().request<wire::Closed>(
        wire::ClosePublisher{state_->publishing.index()}, Absence::give_up);
    state_.reset();
}

Errc Publisher::loan_into(Loan& into, std::size_t bytes, std::chrono::nanoseconds timeout,
                          std::size_t alignment) {
    if (!state_) return Errc::moved_from;
    if (into || !std::has_single_bit(alignment) || alignment > page_bytes) {
        return Errc::invalid_argument;
    }
    PeerCore& core = *state_->core;
    ThreadLane* const lane = core.lane_or_null();
    if (lane == nullptr) [[unlikely]]
        return core.why_no_lane();
    if (auto serving = core.check_serving(); !serving) return serving.error();
    // Slots begin on multiples of 64; the rest of a larger alignment is found inside the slot.
    const std::size_t slack = alignment > cache_line_bytes ? alignment - cache_line_bytes : 0;
    if (bytes > slot_bytes_max) return Errc::too_large;

    auto slot = take_with_relief(core, bytes + slack,
                                 [&] { return core.pool().loan(*lane->lane, bytes + slack); });
    // Who has one does not look at the clock, which takes longer than all the rest.
    const Deadline deadline = slot ? Deadline::passed() : Deadline::after(timeout);
    while (!slot && is_worth_waiting(slot.error()) && !deadline.expired()) {
        if (auto serving = core.check_serving(); !serving) return serving.error();
        slot = take_with_relief(core, bytes + slack, [&] {
            auto one = core.pool().loan(*lane->lane, bytes + slack, next_breath(deadline));
            if (!one && one.error() == Errc::timed_out && !deadline.expired()) {
                one = tl::unexpected(Errc::exhausted);
            }
            return one;
        });
    }
    if (!slot) return slot.error();

    const ClassView& view = core.pool().view().classes[slot->class_index];
    const auto start = reinterpret_cast<std::uintptr_t>(view.data(position_of(slot->key)));
    const std::uintptr_t misfit = start % alignment;
    const auto offset = static_cast<std::uint32_t>(misfit == 0 ? 0 : alignment - misfit);
    core.pool().fetch_later_payload(*lane->lane, slot->class_index);
    lane->count_handle(1);
    into.begin(core, *slot, view, offset, bytes);
    return Errc{};
}

Delivery Publisher::try_publish(Loan& loan, std::chrono::nanoseconds timeout) {
    if (!state_ || !loan) return {0, Errc::moved_from};
    PeerCore& core = *state_->core;
    if (loan.core_ != &core) return {0, Errc::invalid_argument};
    ThreadLane* const lane = core.lane_or_null();
    if (lane == nullptr) [[unlikely]]
        return {0, core.why_no_lane()};
    if (auto serving = core.check_serving(); !serving) return {0, serving.error()};

    const ClassView& view = core.pool().view().classes[loan.slot_.class_index];
    SlotRecord& record = view.records[position_of(loan.slot_.key)];
    record.payload_bytes.store(static_cast<std::uint32_t>(loan.size_), std::memory_order_relaxed);
    record.payload_offset.store(loan.offset_, std::memory_order_relaxed);
    record.user_word.store(loan.user_word_, std::memory_order_relaxed);
    record.publish_time_ns.store(state_->stamp_time ? monotonic_ns() : 0,
                                 std::memory_order_relaxed);

    Delivery delivery = state_->publishing.try_publish(*lane->lane, loan.slot_, Deadline::passed());
    if (delivery.error == Errc::timed_out) {
        const Deadline deadline = Deadline::after(timeout);
        while (delivery.error == Errc::timed_out && !deadline.expired()) {
            if (auto serving = core.check_serving(); !serving) return {0, serving.error()};
            delivery =
                state_->publishing.try_publish(*lane->lane, loan.slot_, next_breath(deadline));
        }
    }
    if (delivery.error != Errc{}) return delivery;
    loan.core_ = nullptr;  // The slot is the readers' now.
    lane->count_handle(-1);
    return delivery;
}

std::uint32_t Publisher::reader_count() {
    if (!state_ || !state_->core->in_own_process()) return 0;
    return state_->publishing.reader_count();
}

Outcome<void> Publisher::wait_for_readers(std::uint32_t count, std::chrono::nanoseconds timeout) {
    if (!state_) return fail(Errc::moved_from);
    const Deadline deadline = Deadline::after(timeout);
    while (reader_count() < count) {
        if (!state_->core->in_own_process()) return fail(Errc::forked);
        if (auto serving = state_->core->check_serving(); !serving) return serving;
        if (deadline.expired()) return fail(Errc::timed_out);
        std::this_thread::sleep_for(
            std::min<std::chrono::nanoseconds>(std::chrono::milliseconds(2), deadline.remaining()));
    }
    return {};
}

std::uint64_t Publisher::published_total() const {
    return state_ ? state_->publishing.published_total() : 0;
}

}  // namespace shmpool
