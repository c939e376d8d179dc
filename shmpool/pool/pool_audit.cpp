// SPDX-License-Identifier: Apache-2.0
#include "shmpool/pool/pool_audit.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

#include "shmpool/pool/detectable_stack.hpp"

namespace shmpool {
namespace {

class ClassAudit {
public:
    ClassAudit(const PoolView& pool, std::uint32_t class_index, std::vector<AuditFinding>& findings,
               std::size_t limit)
        : pool_(pool), class_index_(class_index), findings_(findings), limit_(limit) {}

    void run() {
        check_extents();
        slot_count_ = view().slot_count();
        reached_.assign(slot_count_, unreached);
        for (std::uint32_t extent = 0; extent < view().extent_count(); ++extent) {
            check_last_change(extent);
            walk_list(extent);
        }
        mark_intents();
        for (std::uint32_t slot = 0; slot < slot_count_; ++slot) check_slot(slot);
    }

private:
    enum Reach : std::uint8_t { unreached = 0, in_list = 1, in_intent = 2, withdrawn = 3 };

    [[nodiscard]] const ClassView& view() const { return pool_.classes[class_index_]; }
    [[nodiscard]] std::string list_of(std::uint32_t extent) const {
        return "the free list of class " + std::to_string(class_index_) +
               (extent == 0 ? "" : ", extent " + std::to_string(extent));
    }

    void report(const char* invariant, std::uint32_t slot, std::string text) {
        if (findings_.size() >= limit_) return;
        const SlotWord word =
            slot < slot_count_ ? view().records[slot].word.load(std::memory_order_relaxed) : 0;
        findings_.push_back({invariant, class_index_, slot, word, std::move(text)});
    }

    void check_extents() {
        view().look_for_growth();
        const std::uint32_t known = view().extent_count();
        const std::uint32_t published =
            view().image->extent_count.load(std::memory_order_acquire);  // [A-extent]
        if (published == known) return;
        report("I6", no_slot,
               "class " + std::to_string(class_index_) + " says that it has " +
                   std::to_string(published) + " extents, of which " + std::to_string(known) +
                   " can be");
    }

    /// The head first: a sequence only grows.
    void check_last_change(std::uint32_t extent) {
        const std::uint64_t change = load_halves(view().extents[extent].head).high;  // [A-head]
        const std::uint32_t lane = change_lane(change);
        if (lane < pool_.lane_count &&
            change_sequence(change) <=
                (pool_.lanes[lane].sequence.load(std::memory_order_acquire) &  // [A-intent]
                 lane_sequence_mask)) {
            return;
        }
        report("I6", no_slot,
               list_of(extent) + " was last changed by lane " + std::to_string(lane) +
                   " in its step " + std::to_string(change_sequence(change)) +
                   ", which it has not made");
    }

    /// Bounded: no index is visited twice. The list of an extent that is withdrawn is written down,
    /// and nothing hangs on its head.
    void walk_list(std::uint32_t number) {
        const ExtentView extent = view().extent(number);
        const DetectableStack stack(pool_, class_index_, number);
        const std::uint32_t taken_off =
            extent.image->withdrawn.load(std::memory_order_acquire);  // [A-withdrawn]
        if (taken_off != 0 && stack.top() != no_slot) {
            return report("I1", no_slot, list_of(number) + " is in use though it is withdrawn");
        }
        std::uint32_t index = taken_off != 0 ? taken_off - 1 : stack.top();
        while (index != no_slot) {
            if (index >= extent.slot_count) {
                return report("I6", no_slot,
                              list_of(number) + " leads to slot " + std::to_string(index) +
                                  ", which does not exist");
            }
            Reach& reached = reached_[extent.first + index];
            if (reached != unreached) {
                return report("I1", extent.first + index, "the free list reaches this slot twice");
            }
            reached = taken_off != 0 ? withdrawn : in_list;
            index = stack.next(index);
        }
    }

    void mark_intents() {
        for (std::uint32_t lane = 0; lane < pool_.lane_count; ++lane) {
            const Intent intent =
                unpack_intent(pool_.lanes[lane].intent.load(std::memory_order_relaxed));
            if (!is_sound(pool_, lane, intent) || intent.class_index != class_index_) continue;
            std::vector<std::uint32_t> slots(intent.count);
            const DetectableStack stack(pool_, class_index_, intent.extent_index);
            slots.resize(stack.chain(intent.first, slots));
            for (const std::uint32_t slot : slots) {
                if (reached_[slot] == unreached) reached_[slot] = in_intent;
            }
        }
    }

    void check_slot(std::uint32_t slot) {
        const SlotRecord& record = view().records[slot];
        const SlotWord word = record.word.load(std::memory_order_relaxed);
        const std::uint32_t owner = word_owner(word);
        if (static_cast<std::uint32_t>(word_state(word)) >= slot_state_count) {
            return report("I6", slot, "the slot's word holds no known state");
        }
        if (word_state(word) == SlotState::listed) {
            if (reached_[slot] == unreached) {
                report("I1", slot, "the slot is marked free but no free list or intent reaches it");
            }
            return;
        }
        if (reached_[slot] == in_list || reached_[slot] == withdrawn) {
            report("I1", slot, "the slot is in use and also in the free list");
        }
        if (word_state(word) == SlotState::published) {
            if (record.lease_mask.load(std::memory_order_relaxed) == 0) {
                report("I1", slot, "the slot is published but nobody has a lease on it");
            }
            return;
        }
        if (owner >= pool_.lane_count) {
            return report(
                "I6", slot,
                "the slot names lane " + std::to_string(owner) + ", which does not exist");
        }
        if (owner != host_lane && pool_.lanes[owner].owner.load(std::memory_order_relaxed) == 0) {
            report("I2", slot,
                   "the slot names lane " + std::to_string(owner) + ", which belongs to nobody");
        }
    }

    const PoolView& pool_;
    const std::uint32_t class_index_;
    std::vector<AuditFinding>& findings_;
    const std::size_t limit_;
    std::uint32_t slot_count_ = 0;
    std::vector<Reach> reached_;
};

/// What each lane alone writes: nonsense there is its owner's.
class LaneAudit {
public:
    LaneAudit(const PoolView& pool, std::vector<AuditFinding>& findings, std::size_t limit)
        : pool_(pool), findings_(findings), limit_(limit) {
        for (const ClassView& one : pool.all_classes()) {
            blocks_ = one.first_block + ((one.slot_limit - 1) >> pool.block_shift) + 1;
        }
    }

    void run() {
        for (std::uint32_t lane = 0; lane < pool_.lane_count; ++lane) {
            check_intent(lane);
            check_bits(lane);
        }
    }

private:
    void report(std::uint32_t lane, const std::string& text) {
        if (findings_.size() >= limit_) return;
        findings_.push_back({"I6", 0, no_slot, 0, "lane " + std::to_string(lane) + " " + text,
                             pool_.lanes[lane].owner.load(std::memory_order_relaxed)});
    }

    void check_intent(std::uint32_t lane) {
        const std::uint64_t bits = pool_.lanes[lane].intent.load(std::memory_order_relaxed);
        const Intent intent = unpack_intent(bits);
        if (intent.kind == IntentKind::idle || is_sound(pool_, lane, intent)) return;
        report(lane,
               "announces a change of a free list that cannot be: intent " + std::to_string(bits));
    }

    void check_bits(std::uint32_t lane) {
        const LaneCell& cell = pool_.lanes[lane];
        const std::uint64_t classes = (std::uint64_t{2} << (pool_.class_count - 1)) - 1;
        if ((cell.magazines.load(std::memory_order_relaxed) & ~classes) != 0) {
            report(lane, "has magazines of classes that do not exist");
        }
        for (std::uint32_t word = blocks_ / 64; word < block_words; ++word) {
            const std::uint64_t real =
                word == blocks_ / 64 ? (std::uint64_t{1} << (blocks_ % 64)) - 1 : 0;
            if ((cell.touched_blocks[word].load(std::memory_order_relaxed) & ~real) != 0) {
                return report(lane, "has touched blocks of slots that do not exist");
            }
        }
    }

    const PoolView& pool_;
    std::vector<AuditFinding>& findings_;
    const std::size_t limit_;
    std::uint32_t blocks_ = 0;
};

}  // namespace

std::vector<AuditFinding> audit(const PoolView& pool, std::size_t limit) {
    std::vector<AuditFinding> findings;
    if (pool.damaged()) {
        findings.push_back({"I6", 0, no_slot, 0, "the pool is marked as damaged"});
    }
    LaneAudit(pool, findings, limit).run();
    for (std::uint32_t i = 0; i < pool.class_count; ++i) {
        ClassAudit(pool, i, findings, limit).run();
    }
    return findings;
}

AuditFindings found_at_every_look(const std::function<AuditFindings()>& look) {
    constexpr int looks = 5;
    AuditFindings stable = look();
    for (int i = 1; i < looks && !stable.empty(); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        const AuditFindings again = look();
        std::erase_if(stable, [&](const AuditFinding& finding) {
            return std::ranges::find(again, finding) == again.end();
        });
    }
    return stable;
}

AuditFindings audit_moving(const PoolView& pool, std::size_t limit) {
    return found_at_every_look([&] { return audit(pool, limit); });
}

}  // namespace shmpool
