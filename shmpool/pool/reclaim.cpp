// SPDX-License-Identifier: Apache-2.0
#include "shmpool/pool/reclaim.hpp"

#include <algorithm>
#include <vector>

#include "shmpool/pool/detectable_stack.hpp"
#include "shmpool/pool/pressure.hpp"

namespace shmpool {

namespace {

/// An honest intent names slots that are marked free or that its own lane has. Any other word is
/// nonsense (or a sibling's loan that this lane was about to end, which the sibling's sweep finds):
/// a hostile intent must not take slots away from the living.
bool may_be_named_by_intent(SlotWord word, std::uint32_t lane_index) {
    if (word_state(word) == SlotState::listed) return true;
    return word_state(word) != SlotState::published && word_owner(word) == lane_index;
}

/// All slots of the extent are in the list that is written down there, so none is the lane's: the
/// host was about to withdraw it and has done so, or to bring it back and has not; or what another
/// lane was about to do has failed, or was done before.
bool is_withdrawn(const PoolView& pool, const Intent& intent) {
    if (intent.extent_index == 0) return false;  // Never is.
    const ExtentImage& extent = pool.classes[intent.class_index].extents[intent.extent_index];
    return extent.withdrawn.load(std::memory_order_acquire) != 0;  // [A-withdrawn]
}

}  // namespace

void recover_intent(const PoolView& pool, std::uint32_t lane_index) {
    LaneCell& cell = pool.lanes[lane_index];
    const Intent intent = unpack_intent(cell.intent.load(std::memory_order_acquire));  // [A-intent]
    if (intent.class_index < pool.class_count) pool.classes[intent.class_index].look_for_growth();
    const bool sound = is_sound(pool, lane_index, intent);
    if (intent.kind != IntentKind::idle && sound && !is_withdrawn(pool, intent)) {
        DetectableStack stack(pool, intent.class_index, intent.extent_index);
        const bool happened =
            stack.happened(lane_index, cell.sequence.load(std::memory_order_relaxed));
        if (happened == (intent.kind == IntentKind::pop)) {
            // Only the owner writes links, and the owner is dead: the chain is as it was announced.
            std::vector<std::uint32_t> slots(intent.count);
            slots.resize(stack.chain(intent.first, slots));
            for (const std::uint32_t slot : slots) {
                const std::uint32_t block = pool.block_of(intent.class_index, slot);
                cell.touched_blocks[(block / 64) % block_words].fetch_or(
                    std::uint64_t{1} << (block % 64), std::memory_order_relaxed);
                Atomic<std::uint64_t>& word = pool.classes[intent.class_index].records[slot].word;
                const SlotWord old = word.load(std::memory_order_relaxed);
                if (!may_be_named_by_intent(old, lane_index)) continue;
                word.store(make_word(word_generation(old), SlotState::cached, lane_index),
                           std::memory_order_relaxed);
                SHMPOOL_CRASH_POINT(recover_stamped);
            }
        }
    }
    SHMPOOL_CRASH_POINT(recover_decided);
    cell.intent.store(0, std::memory_order_release);  // [R-intent]
}

namespace {

/// Collects slots of one extent and returns them to the list in chains. The first is short, so that
/// who waits for a slot gets one soon; each next is twice as long, because every change of the top
/// gives the living slots that are cold to them.
class ReturnChain {
public:
    ReturnChain(const PoolView& pool, Lane& host) : pool_(pool), host_(host) {}
    ~ReturnChain() { flush(); }
    ReturnChain(const ReturnChain&) = delete;
    ReturnChain& operator=(const ReturnChain&) = delete;

    void add(std::uint32_t class_index, std::uint32_t slot) {
        const std::uint32_t extent_index = pool_.classes[class_index].extent_of(slot);
        if (class_index != class_index_ || extent_index != extent_index_ ||
            slots_.size() == chain_slots_) {
            flush();
        }
        class_index_ = class_index;
        extent_index_ = extent_index;
        slots_.push_back(slot);
    }
    void flush() {
        if (slots_.empty()) return;
        DetectableStack(pool_, class_index_, extent_index_).give(host_, slots_);
        relieve_pressure(pool_, classes_served(class_index_));
        slots_.clear();
        chain_slots_ = std::min(2 * chain_slots_, chain_slots_max);
    }

private:
    std::uint32_t chain_slots_ = 256;
    const PoolView& pool_;
    Lane& host_;
    std::uint32_t class_index_ = 0;
    std::uint32_t extent_index_ = 0;
    std::vector<std::uint32_t> slots_;
};

}  // namespace

Sweep sweep_lane(VarSlotPool& pool, Lane& host, std::uint32_t lane_index,
                 const InTransit& in_transit) {
    Sweep sweep;
    const PoolView& view = pool.view();
    ReturnChain chain(view, host);
    for_each_touched(
        view, lane_index, [&](std::uint32_t class_index, std::uint32_t slot, SlotRecord& record) {
            SlotWord word = record.word.load(std::memory_order_acquire);  // [A-word]
            if (word_owner(word) != lane_index) return;
            const SlotState state = word_state(word);
            if (static_cast<std::uint32_t>(state) >= slot_state_count) return view.mark_damaged();
            if (state == SlotState::listed || state == SlotState::published) return;
            const SlotKey key = make_key(word_generation(word), slot);
            if (state == SlotState::in_transit && in_transit(class_index, key)) {
                ++sweep.left_in_transit;
                return;
            }
            // A living peer may free a raw slot of the dead, or take a moved one, at this very
            // moment.
            host.mark_touched(class_index, slot);
            const SlotWord mine = make_word(word_generation(word), SlotState::loaned, host.index());
            if (record.word.compare_exchange_strong(word, mine,
                                                    std::memory_order_acq_rel,  // [AR-word]
                                                    std::memory_order_relaxed)) {
                SHMPOOL_CRASH_POINT(sweep_stamped);
                chain.add(class_index, slot);
                ++sweep.taken_back;
            }
        });
    return sweep;
}

void retire_lane(const PoolView& pool, std::uint32_t lane_index) {
    LaneCell& cell = pool.lanes[lane_index];
    for (auto& bits : cell.touched_blocks) bits.store(0, std::memory_order_relaxed);
    SHMPOOL_CRASH_POINT(retire_forgot_blocks);
    cell.magazines.store(0, std::memory_order_relaxed);
    cell.owner.store(0, std::memory_order_release);  // [R-lane] -> [AR-lane] in claim_lane
}

}  // namespace shmpool
