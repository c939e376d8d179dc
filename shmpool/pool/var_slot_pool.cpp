// SPDX-License-Identifier: Apache-2.0
/// The verbs of the pool. Each slow path announces, changes the stack, stamps, settles: see
/// `detectable_stack.hpp` for why a kill anywhere in between loses nothing.
#include "shmpool/pool/var_slot_pool.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "shmpool/platform/futex.hpp"
#include "shmpool/pool/detectable_stack.hpp"
#include "shmpool/pool/magazine_path.hpp"
#include "shmpool/pool/pressure.hpp"

namespace shmpool {
namespace {

void count_up(Atomic<std::uint64_t>& counter) {  // Written by one lane only.
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

std::uint32_t next_generation(std::uint32_t generation) {
    return generation + 1 == 0 ? 1 : generation + 1;
}

}  // namespace

Outcome<std::unique_ptr<Lane>> VarSlotPool::open_lane(std::uint64_t owner, LaneRange range) {
    const std::uint32_t index =
        claim_lane(*view_, owner, static_cast<std::uint32_t>(owner) * 8, range);
    if (index == no_lane_index) return fail(Errc::no_lane);
    return std::make_unique<Lane>(*view_, index);
}

Outcome<VarSlotPool::Loaned> VarSlotPool::loan(Lane& lane, std::uint64_t size,
                                               const Deadline& deadline) {
    // A free that slips between the look and the sleep is seen at the next look: sleeps are short.
    constexpr std::chrono::nanoseconds longest_sleep = std::chrono::milliseconds(10);
    for (;;) {
        const std::uint32_t rung =
            view_->header->free_doorbell.load(std::memory_order_acquire);  // [A-free]
        const Taken taken = take(lane, size, SlotState::loaned);
        if (taken.key != no_key) return Loaned{taken.class_index, taken.key};
        const bool refused = taken.error == Errc::quota_exceeded;
        if (taken.error != Errc::exhausted && !refused) return fail(taken.error);
        if (deadline.expired()) return fail(refused ? Errc::quota_exceeded : Errc::timed_out);
        flush(lane);
        futex_wait(view_->header->free_doorbell, rung,
                   std::min(longest_sleep, deadline.remaining()));
    }
}

VarSlotPool::Taken VarSlotPool::take(Lane& lane, std::uint64_t size, SlotState state) {
    const std::uint32_t first = view_->class_for(size);
    if (first >= view_->class_count) return {no_key, 0, Errc::too_large};
    for (std::uint32_t index = first; index < view_->class_count; ++index) {
        if (const SlotKey key =
                take_cached(lane.magazine(index), lane.holder(state), lane.allocations(index));
            key != no_key) {
            return {key, index, {}};
        }
        const Taken taken = lane.open_magazine(index) ? take_refilled(lane, index, state)
                                                      : take_direct(lane, index, state);
        if (taken.error != Errc::exhausted) return taken;
    }
    raise_pressure(*view_, first);
    return {no_key, first, Errc::exhausted};
}

VarSlotPool::Taken VarSlotPool::take_slow(Lane& lane, std::uint64_t size, SlotState state) {
    const Taken taken = take(lane, size, state);
    if (taken.error == Errc::exhausted) count_up(lane.cell().exhausted[taken.class_index]);
    return taken;
}

VarSlotPool::Taken VarSlotPool::take_refilled(Lane& lane, std::uint32_t class_index,
                                              SlotState state) {
    const Errc error = refill(lane, class_index);
    if (error != Errc{}) return {no_key, 0, error};
    const SlotKey key =
        take_cached(lane.magazine(class_index), lane.holder(state), lane.allocations(class_index));
    return {key, class_index, key == no_key ? Errc::exhausted : Errc{}};
}

/// 0: quota_exceeded. What the lane has cached counts as its own, and might be what it may not
/// draw.
std::uint32_t VarSlotPool::may_draw(Lane& lane, std::uint32_t class_index, std::uint32_t wanted) {
    DrawGate* const gate = lane.gate();
    if (gate == nullptr) return wanted;
    const std::uint32_t allowed = gate->may_draw(class_index, wanted);
    return allowed == 0 && flush(lane) ? gate->may_draw(class_index, wanted) : allowed;
}

/// From the first extent that has some: what lies behind it may come to be empty, and be given
/// back.
Drawn VarSlotPool::draw(Lane& lane, std::uint32_t class_index, std::span<std::uint32_t> out) {
    const ClassView& view = view_->classes[class_index];
    for (std::uint32_t extent = 0;; ++extent) {
        if (extent == view.extent_count() && !view.look_for_growth()) return {};
        const Drawn drawn = DetectableStack(*view_, class_index, extent).take(lane, out);
        if (drawn.count != 0 || drawn.error != Errc{}) return drawn;
    }
}

VarSlotPool::Taken VarSlotPool::take_direct(Lane& lane, std::uint32_t class_index,
                                            SlotState state) {
    if (may_draw(lane, class_index, 1) == 0) return {no_key, 0, Errc::quota_exceeded};
    std::array<std::uint32_t, 1> slot{};
    const Drawn drawn = draw(lane, class_index, slot);
    if (drawn.error != Errc{}) return {no_key, 0, drawn.error};
    if (drawn.count == 0) return {no_key, 0, Errc::exhausted};
    lane.mark_touched(class_index, slot[0]);
    Atomic<std::uint64_t>& word = view_->classes[class_index].records[slot[0]].word;
    const SlotWord old = word.load(std::memory_order_relaxed);
    if (word_state(old) != SlotState::listed) {
        view_->mark_damaged();
        lane.settle();
        return {no_key, 0, Errc::pool_damaged};
    }
    const std::uint32_t generation = next_generation(word_generation(old));
    word.store(make_word(generation, state, lane.index()), std::memory_order_relaxed);
    SHMPOOL_CRASH_POINT(direct_take_stamped);
    lane.settle();
    if (lane.gate() != nullptr) lane.gate()->drawn(class_index, 1);
    count_up(lane.allocations(class_index));
    return {make_key(generation, slot[0]), class_index, {}};
}

Errc VarSlotPool::refill(Lane& lane, std::uint32_t class_index) {
    const ClassView& view = view_->classes[class_index];
    Magazine& magazine = lane.magazine(class_index);
    magazine.slot_count = view.slot_count();
    const std::uint32_t allowed = may_draw(lane, class_index, magazine.capacity() / 2);
    if (allowed == 0) return Errc::quota_exceeded;
    std::array<std::uint32_t, magazine_capacity_max> slots;  // Only what is drawn is looked at.
    const Drawn drawn = draw(lane, class_index, std::span(slots).first(allowed));
    if (drawn.error != Errc{}) return drawn.error;
    // Stacked in reverse, so that the list's top, the hottest slot, leaves the magazine first.
    for (std::uint32_t i = drawn.count; i-- > 0;) {
        const std::uint32_t slot = slots[i];
        lane.mark_touched(class_index, slot);
        Atomic<std::uint64_t>& word = view.records[slot].word;
        const SlotWord old = word.load(std::memory_order_relaxed);
        if (word_state(old) != SlotState::listed) {  // In the list twice: somebody forged a link.
            view_->mark_damaged();
            continue;
        }
        word.store(make_word(word_generation(old), SlotState::cached, lane.index()),
                   std::memory_order_relaxed);
        *magazine.top++ = make_key(word_generation(old), slot);
    }
    SHMPOOL_CRASH_POINT(refill_stamped);
    if (drawn.count != 0) lane.settle();
    if (lane.gate() != nullptr) lane.gate()->drawn(class_index, drawn.count);
    return {};
}

Errc VarSlotPool::end_loan_slow(Lane& lane, Loaned loaned) {
    if (loaned.class_index >= view_->class_count) return Errc::invalid_ref;
    SlotRecord* const record = view_->classes[loaned.class_index].record(position_of(loaned.key));
    if (record == nullptr) return Errc::invalid_ref;
    const SlotWord word = record->word.load(std::memory_order_relaxed);
    if (word != make_key(generation_of(loaned.key), lane.holder(SlotState::loaned))) {
        // Another lane of this process took the loan, or the segment was damaged.
        if (word_generation(word) != generation_of(loaned.key)) return Errc::double_free;
        if (word_state(word) == SlotState::loaned_raw) return Errc::raw_owned;
        if (word_state(word) != SlotState::loaned) return Errc::double_free;
    }
    put_owned(lane, loaned.class_index, loaned.key);
    return {};
}

void VarSlotPool::put_owned(Lane& lane, std::uint32_t class_index, SlotKey key) {
    lane.mark_touched(class_index, position_of(key));
    Magazine& magazine = lane.magazine(class_index);
    if (magazine.is_open() &&
        put_cached(magazine, lane.pressure(), key, lane.holder(SlotState::cached))) {
        return;
    }
    put_slow(lane, class_index, key);
}

void VarSlotPool::put_slow(Lane& lane, std::uint32_t class_index, SlotKey key) {
    Magazine& magazine = lane.magazine(class_index);
    if (!lane.open_magazine(class_index)) {
        std::uint32_t slot = position_of(key);
        give_back(lane, class_index, std::span(&slot, 1));
    } else {
        if (!has_room(magazine, 0)) flush_class(lane, class_index, magazine.capacity() / 2);
        // The pressure is relieved below, after the slot is in the magazine too.
        (void)put_cached(magazine, 0, key, lane.holder(SlotState::cached));
    }
    flush_under_pressure(lane, class_index);
}

void VarSlotPool::flush_under_pressure(Lane& lane, std::uint32_t class_index) {
    const std::uint64_t served = classes_served(class_index);
    if (!under_pressure(*view_, served)) return;
    flush_class(lane, class_index, lane.magazine(class_index).cached());
    relieve_pressure(*view_, served);
}

void VarSlotPool::flush_class(Lane& lane, std::uint32_t class_index, std::uint32_t count) {
    Magazine& magazine = lane.magazine(class_index);
    std::array<std::uint32_t, magazine_capacity_max> slots;  // Only the first `count` are used.
    if (count > magazine.stacked()) {
        *magazine.top++ = std::exchange(magazine.last_given, no_key);
    }
    for (std::uint32_t i = 0; i < count; ++i) slots[i] = position_of(magazine.base[i]);
    // The oldest go, the hottest stay.
    std::move(magazine.base + count, magazine.top, magazine.base);
    magazine.top -= count;
    give_back(lane, class_index, std::span(slots).first(count));
}

/// Each to the list of its extent. Until then its word says that the lane has it.
void VarSlotPool::give_back(Lane& lane, std::uint32_t class_index, std::span<std::uint32_t> slots) {
    const ClassView& view = view_->classes[class_index];
    if (view.extent_count() == 1) return DetectableStack(*view_, class_index).give(lane, slots);
    while (!slots.empty()) {
        const std::uint32_t extent = view.extent_of(slots.front());
        const auto others = std::partition(slots.begin(), slots.end(), [&](std::uint32_t slot) {
            return view.extent_of(slot) == extent;
        });
        const auto count = static_cast<std::size_t>(others - slots.begin());
        DetectableStack(*view_, class_index, extent).give(lane, slots.first(count));
        slots = slots.subspan(count);
    }
}

bool VarSlotPool::flush(Lane& lane) {
    bool any = false;
    for (std::uint32_t i = 0; i < view_->class_count; ++i) {
        const std::uint32_t cached = lane.magazine(i).cached();
        if (cached == 0) continue;
        flush_class(lane, i, cached);
        relieve_pressure(*view_, classes_served(i));
        any = true;
    }
    return any;
}

Outcome<void> VarSlotPool::cancel(Lane& lane, const SlotRef& ref) {
    const Errc error = free_checked(lane, ref, Whose::own);
    if (error != Errc{}) return fail(error);
    return {};
}

Errc VarSlotPool::free_checked(Lane& lane, SlotRef ref, Whose whose) {
    const auto key = view_->key_of(ref);
    if (!key) return Errc::invalid_ref;
    Atomic<std::uint64_t>& word = view_->classes[ref.class_index].records[position_of(*key)].word;
    SlotWord old = word.load(std::memory_order_relaxed);
    if (word_generation(old) != ref.generation) return Errc::double_free;
    switch (word_state(old)) {
        case SlotState::loaned_raw: break;
        case SlotState::loaned:
        case SlotState::in_transit:
        case SlotState::published: return Errc::handle_owned;
        default: return Errc::double_free;
    }
    const bool is_own = word_owner(old) == lane.index();
    if (whose == Whose::own && !is_own) return Errc::raw_owned;
    if (!is_own) lane.mark_touched(ref.class_index, position_of(*key));
    SHMPOOL_CRASH_POINT(raw_free_checked);
    // Of racing frees, and of a free and the reclaim of the dead owner, exactly one wins here.
    if (!word.compare_exchange_strong(
            old, make_word(ref.generation, SlotState::cached, lane.index()),
            std::memory_order_acq_rel, std::memory_order_relaxed)) {  // [AR-free] with itself
        return Errc::double_free;
    }
    SHMPOOL_CRASH_POINT(raw_free_won);
    Magazine& magazine = lane.magazine(ref.class_index);
    if (magazine.is_open() && has_room(magazine, lane.pressure())) {
        push_cached(magazine, *key);
    } else {
        put_slow(lane, ref.class_index, *key);
    }
    return {};
}

}  // namespace shmpool
