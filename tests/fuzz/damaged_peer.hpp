// SPDX-License-Identifier: Apache-2.0
/// A peer that works in a segment with damage: whatever it is told, the slots that it gets lie
/// where slots lie.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "protocol/protocol_view.hpp"
#include "segment_places.hpp"
#include "shmpool/pool/pool_audit.hpp"
#include "shmpool/pool/var_slot_pool.hpp"
#include "shmpool/segment/segment.hpp"

namespace shmpool::fuzz {

class DamagedPeer {
public:
    /// Null: refused.
    static std::unique_ptr<DamagedPeer> attach(Segment segment, std::uint32_t slots_in_service) {
        const auto control = segment.region(RegionKind::pool_control);
        const auto payload = segment.region(RegionKind::pool_payload);
        if (!control || !payload || !ProtocolView::of(segment)) return nullptr;
        auto pool = VarSlotPool::attach({control->bytes, payload->bytes});
        if (!pool) return nullptr;
        auto lane = pool->open_lane(1);
        if (!lane) return nullptr;
        return std::unique_ptr<DamagedPeer>(new DamagedPeer(std::move(segment), payload->bytes,
                                                            std::move(*pool), std::move(*lane),
                                                            slots_in_service));
    }

    /// Before more damage comes.
    void hold_some() { held_ = take(slots_in_service_ / 2); }

    /// All went as it goes in a sound segment.
    bool work() {
        learn();
        const bool freed_held = free(held_);
        const std::vector<SlotRef> taken = take(far_too_many);
        demand(taken.size() < far_too_many, "slots without end");
        const bool found_all = taken.size() == slots_in_service_;
        segment_reach().note_if(!found_all, Place::less_found);
        try_wrong_names(taken);
        const bool freed_all = free(taken) && freed_held;
        segment_reach().note_if(!freed_all, Place::free_refused);
        lend();
        return audit(pool_.view()).empty() && found_all && freed_all;
    }

private:
    /// Beyond what there can be: a damaged list is a ring.
    static constexpr std::size_t far_too_many = 1000;

    DamagedPeer(Segment segment, std::span<std::byte> payload, VarSlotPool pool,
                std::unique_ptr<Lane> lane, std::uint32_t slots_in_service)
        : segment_(std::move(segment)),
          payload_(payload),
          pool_(std::move(pool)),
          lane_(std::move(lane)),
          slots_in_service_(slots_in_service) {}

    void learn() {
        for (const ClassView& view : pool_.view().all_classes()) {
            segment_reach().note_if(view.look_for_growth(), Place::growth_learned);
            demand(view.slot_count() <= view.slot_limit, "more slots than there is room for");
        }
    }

    std::vector<SlotRef> take(std::size_t count) {
        std::vector<SlotRef> taken;
        while (taken.size() < count) {
            const auto slot = pool_.allocate(*lane_, 64);
            if (!slot) break;
            segment_reach().note_if(slot->extent_index != 0, Place::later_slot_taken);
            touch(*slot);
            taken.push_back(*slot);
        }
        return taken;
    }

    void touch(const SlotRef& slot) {
        const auto data = pool_.slot_data_mut(slot);
        if (!data) return;
        const std::byte* const end = payload_.data() + payload_.size();
        demand(data->data() >= payload_.data() && data->data() + data->size() <= end,
               "a slot outside of the payload");
        data->front() = std::byte{1};
        data->back() = std::byte{1};
    }

    /// Of classes, extents and slots where there are none, and of lives that none has had.
    void try_wrong_names(const std::vector<SlotRef>& taken) {
        if (taken.empty()) return;
        constexpr std::array<std::uint8_t, 5> extents{0, 1, 2, 3, 255};
        constexpr std::array<std::uint8_t, 3> classes{0, 1, 2};
        for (const std::uint8_t extent : extents) {
            for (const std::uint32_t slot : {0U, 15U, 16U, 127U, 128U, 192U, ~0U}) {
                for (const std::uint8_t of_class : classes) {
                    const SlotRef wrong{of_class, extent, 0, slot, taken.back().generation + 1000};
                    touch(wrong);
                    (void)pool_.free(*lane_, wrong);
                }
            }
        }
    }

    bool free(const std::vector<SlotRef>& taken) {
        bool well = true;
        for (const SlotRef& slot : taken) well = pool_.free(*lane_, slot).has_value() && well;
        if (!taken.empty()) (void)pool_.free(*lane_, taken.front());  // Once more.
        return well;
    }

    void lend() {
        std::array<VarSlotPool::Loaned, 3> loans{};
        for (auto& loan : loans) {
            const auto lent = pool_.loan(*lane_, 200);
            if (!lent) return;
            loan = *lent;
        }
        for (const auto& loan : loans) (void)pool_.end_loan(*lane_, loan);
        pool_.flush(*lane_);
    }

    Segment segment_;
    std::span<std::byte> payload_;
    VarSlotPool pool_;
    std::unique_ptr<Lane> lane_;
    std::uint32_t slots_in_service_;
    std::vector<SlotRef> held_;
};

}  // namespace shmpool::fuzz
