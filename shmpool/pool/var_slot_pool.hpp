// SPDX-License-Identifier: Apache-2.0
/// The variable-size slot pool: several size classes, each a detectable stack of fixed slots, and a
/// magazine per lane and class in front of it. Works over any mapped memory, with or without a
/// host.
///
/// A slot is owned either raw (`allocate`, named by a SlotRef, `free` by whoever gets the SlotRef;
/// of racing frees exactly one wins, by CAS) or by a handle (`loan`, ended exactly once by
/// construction, with plain stores). Each side refuses the other's slots.
///
///   Who may run beside whom   any thread with a lane of its own may run any verb beside any other.
///   One Lane object           one thread at a time.
///   init                      exclusive, on zeroed memory.
///
/// Cost: with a magazine a few plain loads and stores; every `magazine_capacity / 2` calls one CAS
/// on the class's stack, and ask the lane's gate, if it has one. Classes of fewer than 128 slots
/// always go to the stack.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "shmpool/platform/crash_point.hpp"
#include "shmpool/platform/monotonic_clock.hpp"
#include "shmpool/platform/result.hpp"
#include "shmpool/pool/detectable_stack.hpp"
#include "shmpool/pool/lane.hpp"
#include "shmpool/pool/magazine_path.hpp"
#include "shmpool/pool/pool_layout.hpp"

namespace shmpool {

/// Mapped memory of a pool: control and payload apart, as in a segment, or one after the other.
struct PoolRegion {
    std::span<std::byte> control;
    std::span<std::byte> payload;

    /// One plain region: control from `base_offset`, payload on the next page behind it.
    [[nodiscard]] static Result<PoolRegion> single(std::span<std::byte> region,
                                                   std::uint64_t base_offset,
                                                   const PoolLayout& layout);
};

class VarSlotPool {
public:
    [[nodiscard]] static Result<PoolLayout> layout(std::span<const SizeClassConfig> configs,
                                                   std::uint32_t lane_count) {
        return plan_pool(configs, lane_count);
    }
    [[nodiscard]] static Result<std::uint64_t> required_size(
        std::span<const SizeClassConfig> configs, std::uint32_t lane_count);

    /// The classes that a published pool was made with.
    [[nodiscard]] static Result<std::vector<SizeClassConfig>> discover_configs(
        std::span<const std::byte> control);

    /// Writes a new pool; `layout_version` last. The memory is zeroed and nobody else uses it.
    [[nodiscard]] static Result<VarSlotPool> init(const PoolRegion& region,
                                                  std::span<const SizeClassConfig> configs,
                                                  std::uint32_t lane_count);
    /// Opens a published pool; with `configs`, refuses one that was made of others.
    [[nodiscard]] static Result<VarSlotPool> attach(const PoolRegion& region,
                                                    std::span<const SizeClassConfig> configs = {});

    /// Opens a published pool to look at it only: no payload, the control part may be read-only.
    [[nodiscard]] static Result<VarSlotPool> observe(std::span<std::byte> control);

    /// A free lane of the range for `owner` (any number but 0), or Errc::no_lane.
    [[nodiscard]] Outcome<std::unique_ptr<Lane>> open_lane(std::uint64_t owner,
                                                           LaneRange range = {});

    // --- raw slots -----------------------------------------------------------------------------

    /// A slot of the smallest class that holds `size` bytes, else of the next larger ones.
    /// too_large: no class is that large. exhausted: back-pressure, try again. Content is not
    /// cleared. quota_exceeded: the lane's gate lets no more through.
    [[nodiscard]] Outcome<SlotRef> allocate(Lane& lane, std::uint64_t size) {
        const std::uint32_t index = view_->first_guess_for(size);
        const SlotKey key = take_cached_of(lane, index, size, SlotState::loaned_raw);
        if (key != no_key) [[likely]]
            return view_->ref_of(index, key);
        const Taken taken = take_slow(lane, size, SlotState::loaned_raw);
        if (taken.key == no_key) return fail(taken.error);
        return view_->ref_of(taken.class_index, taken.key);
    }

    /// Ends a raw slot, whoever allocated it. double_free: stale or repeated; invalid_ref: no such
    /// slot; handle_owned: a Loan or Sample has it. Nothing changes on error.
    Outcome<void> free(Lane& lane, const SlotRef& ref) {
        if (freed_to_own_magazine(lane, ref)) [[likely]]
            return {};
        const Errc error = free_checked(lane, ref, Whose::anyones);
        if (error != Errc{}) return fail(error);
        return {};
    }

    /// Ends a raw slot only if this lane allocated it (the sender changes its mind); else
    /// raw_owned.
    Outcome<void> cancel(Lane& lane, const SlotRef& ref);

    /// The whole slot, whatever size was asked. Stale or foreign names are refused (I5).
    [[nodiscard]] Outcome<std::span<const std::byte>> slot_data(const SlotRef& ref) const;
    [[nodiscard]] Outcome<std::span<std::byte>> slot_data_mut(const SlotRef& ref);

    // --- slots owned by a handle ---------------------------------------------------------------

    /// Has payload fetched that a later loan of the class will be written to: its last reader has
    /// it in its cache.
    void fetch_later_payload(const Lane& lane, std::uint32_t class_index) const {
        constexpr std::ptrdiff_t loans_ahead = 4;
        const Magazine& magazine = lane.magazine(class_index);
        if (magazine.top - magazine.base < loans_ahead) return;
        const std::uint32_t position = position_of(magazine.top[-loans_ahead]);
        fetch_to_write(view_->classes[class_index].data(position));
    }

    struct Loaned {
        Loaned() = default;
        constexpr Loaned(std::uint32_t of_class, SlotKey slot) : class_index(of_class), key(slot) {}

        std::uint32_t class_index = 0;
        SlotKey key = 0;
    };
    [[nodiscard]] Outcome<Loaned> loan(Lane& lane, std::uint64_t size) {
        const std::uint32_t index = view_->first_guess_for(size);
        const SlotKey key = take_cached_of(lane, index, size, SlotState::loaned);
        if (key != no_key) [[likely]]
            return Outcome<Loaned>(tl::in_place, index, key);  // A copy would be a detour.
        const Taken taken = take_slow(lane, size, SlotState::loaned);
        if (taken.key == no_key) return fail(taken.error);
        return Outcome<Loaned>(tl::in_place, taken.class_index, taken.key);
    }

    /// As `loan`, but waits for a free slot until the deadline: timed_out when none came,
    /// quota_exceeded when the lane's gate let none through. A lane that sleeps has nothing cached.
    [[nodiscard]] Outcome<Loaned> loan(Lane& lane, std::uint64_t size, const Deadline& deadline);

    /// Ends a loan of this process, by any of its lanes. Never fails for an honest handle.
    Outcome<void> end_loan(Lane& lane, Loaned loaned) {
        // A lane remembers the block of each slot before its word names the lane: see mark_touched.
        if (loaned.class_index < class_count_max) [[likely]] {
            Magazine& magazine = lane.magazine(loaned.class_index);
            if (is_held(magazine, loaned.key, lane.holder(SlotState::loaned)) &&
                put_cached(magazine, lane.pressure(), loaned.key, lane.holder(SlotState::cached)))
                [[likely]] {
                return {};
            }
        }
        const Errc error = end_loan_slow(lane, loaned);
        if (error != Errc{}) return fail(error);
        return {};
    }

    /// The lane owns the slot and its word says so in any state but `listed`: put it back.
    void put_owned(Lane& lane, std::uint32_t class_index, SlotKey key);

    /// Gives every cached slot of the lane back to the stacks, and rings who waits for one. For a
    /// lane that is left to others, or whose thread is about to sleep. False: it had none.
    bool flush(Lane& lane);

    // --- queries -------------------------------------------------------------------------------

    [[nodiscard]] std::uint32_t class_count() const { return view().class_count; }
    /// 0: no such class.
    [[nodiscard]] std::uint32_t extent_count(std::uint32_t class_index) const;
    [[nodiscard]] std::optional<std::uint64_t> slot_size(std::uint32_t class_index) const;
    [[nodiscard]] std::vector<SizeClassConfig> classes() const;
    /// State of the slot in the life that `ref` names; none when that life is over.
    [[nodiscard]] std::optional<SlotState> slot_state(const SlotRef& ref) const;
    [[nodiscard]] bool is_slot_free(const SlotRef& ref) const;
    [[nodiscard]] const PoolView& view() const { return *view_; }

private:
    /// The hot path of taking, in the caller's own code: `no_key` leads to the slow one.
    [[nodiscard]] static SlotKey take_cached_of(Lane& lane, std::uint32_t class_index,
                                                std::uint64_t size, SlotState state) {
        Magazine& magazine = lane.magazine(class_index);
        if (size > magazine.slot_bytes) [[unlikely]]
            return no_key;
        return take_cached(magazine, lane.holder(state), lane.allocations(class_index));
    }
    /// What the slow paths return in two registers, so that the hot ones need no memory for it.
    struct Taken {
        SlotKey key = no_key;  ///< no_key: there is an error.
        std::uint32_t class_index = 0;
        Errc error{};
    };
    /// The hot path of `free`, for a slot that the lane has taken itself. False: nothing has
    /// changed, and the slow path decides.
    [[nodiscard]] static bool freed_to_own_magazine(Lane& lane, const SlotRef& ref) {
        if (ref.class_index >= class_count_max || ref.extent_index != 0 || ref.reserved != 0)
            [[unlikely]]
            return false;
        Magazine& magazine = lane.magazine(ref.class_index);
        const SlotKey key = make_key(ref.generation, ref.slot_index);
        SlotWord held = make_key(ref.generation, lane.holder(SlotState::loaned_raw));
        if (ref.slot_index >= magazine.slots_at_first || !magazine.is_open() ||
            !has_room(magazine, lane.pressure())) [[unlikely]]
            return false;
        SHMPOOL_CRASH_POINT(raw_free_checked);
        // Of racing frees, and of a free and the reclaim of the dead owner, exactly one wins here.
        if (!magazine.records[ref.slot_index].word.compare_exchange_strong(
                held, make_key(ref.generation, lane.holder(SlotState::cached)),
                std::memory_order_acq_rel, std::memory_order_relaxed)) [[unlikely]]  // [AR-free]
            return false;
        SHMPOOL_CRASH_POINT(raw_free_won);
        push_cached(magazine, key);
        return true;
    }
    [[nodiscard]] Taken take_slow(Lane& lane, std::uint64_t size, SlotState state);
    /// Errc{}: it has ended.
    Errc end_loan_slow(Lane& lane, Loaned loaned);
    explicit VarSlotPool(std::unique_ptr<PoolView> view) : view_(std::move(view)) {}

    [[nodiscard]] Taken take(Lane& lane, std::uint64_t size, SlotState state);
    [[nodiscard]] Taken take_refilled(Lane& lane, std::uint32_t class_index, SlotState state);
    [[nodiscard]] Taken take_direct(Lane& lane, std::uint32_t class_index, SlotState state);
    [[nodiscard]] std::uint32_t may_draw(Lane& lane, std::uint32_t class_index,
                                         std::uint32_t wanted);
    [[nodiscard]] Drawn draw(Lane& lane, std::uint32_t class_index, std::span<std::uint32_t> out);
    [[nodiscard]] Errc refill(Lane& lane, std::uint32_t class_index);
    void put_slow(Lane& lane, std::uint32_t class_index, SlotKey key);
    void flush_class(Lane& lane, std::uint32_t class_index, std::uint32_t count);
    void give_back(Lane& lane, std::uint32_t class_index, std::span<std::uint32_t> slots);
    void flush_under_pressure(Lane& lane, std::uint32_t class_index);
    enum class Whose : std::uint8_t { anyones, own };
    [[nodiscard]] Errc free_checked(Lane& lane, SlotRef ref, Whose whose);

    std::unique_ptr<PoolView> view_;  // Pinned, because lanes point to it.
};

}  // namespace shmpool
