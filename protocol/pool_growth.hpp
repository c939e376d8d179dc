// SPDX-License-Identifier: Apache-2.0
/// The host's verbs on size classes: more slots while everybody works on, and the payload of those
/// that nobody needs back to the machine. What a class is made of, and which single store decides,
/// is in shmpool/pool/growth.hpp; here is when its memory comes and goes.
///
///   grow     take records and payload ──▶ open_extent ──▶ enough? over : the next extent
///              └─ no memory, given up ──▶ give back what was taken ──▶ over
///   shrink   withdraw_extent of one, if it is unused ──▶ give its payload back ──▶ the next one
///
/// Memory takes its time (memory_pieces.hpp), and so does the look whether an extent is unused; so
/// each verb only begins its work, and `do_a_piece` does one piece of it. A class has one work;
/// memory on its way back is gone before the class takes some again, and it does not grow before it
/// has shrunk. Works of several classes take turns.
///
/// A growth says how many slots there are to be, not how many more: asked again by somebody who did
/// not hear the answer, it changes nothing.
///
/// Host only, one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "protocol/memory_pieces.hpp"
#include "protocol/protocol_view.hpp"
#include "shmpool/pool/growth.hpp"
#include "shmpool/segment/segment.hpp"

namespace shmpool {

using GrowthId = std::uint64_t;

/// A verb is over: how many slots of the class have memory now, or why it has come to nothing.
struct GrowthDone {
    GrowthId id = 0;
    Result<std::uint32_t> result;
};

/// Where the pool lies in the segment's two objects.
struct PoolRegions {
    Segment::Region control;
    Segment::Region payload;

    /// damaged_header: there is no pool.
    [[nodiscard]] static Result<PoolRegions> of(const Segment& segment);
};

/// How many slots of a free list are looked at in one go; nobody else is served meanwhile. Of 3
/// million in a random order, whose records are cold: 1 us for each, two virtual cores.
inline constexpr std::uint32_t links_per_piece = 512;

class PoolGrowth {
public:
    /// All outlive this; `host` is the host's own lane. Tests look at fewer slots in one go.
    PoolGrowth(const Segment& segment, VarSlotPool& pool, const ProtocolView& view, Lane& host,
               const PoolRegions& regions, PieceRules pieces = {},
               std::uint32_t links = links_per_piece);

    /// At the end at least `to_slots` slots have memory; so many already: nothing happens. A step
    /// has no fewer slots than the class needs in each of the extents that it has left, so that it
    /// can always reach its limit. invalid_argument (no such class), slot_limit_reached,
    /// out_of_memory (extents that came before that stay), and pool_damaged.
    [[nodiscard]] Result<GrowthId> grow(std::uint64_t slot_bytes, std::uint32_t to_slots);
    /// As `grow` to twice as many, at most as many as there may be, for somebody who has found
    /// none of `slots_seen`: there are more by now, so nothing happens.
    [[nodiscard]] Result<GrowthId> relieve(std::uint64_t slot_bytes, std::uint32_t slots_seen);
    /// Withdraws each extent in which no slot is in use, the last first, as long as `keep_slots`
    /// are left; the first stays. There is none to withdraw: nothing happens. invalid_argument (no
    /// such class), would_block (it grows or shrinks just now), extent_in_use (all that could be
    /// withdrawn).
    [[nodiscard]] Result<GrowthId> shrink(std::uint64_t slot_bytes, std::uint32_t keep_slots);

    [[nodiscard]] bool has_work() const { return !works_.empty() || !done_.empty(); }
    /// Of the work whose turn it is. Returns what is over.
    [[nodiscard]] std::vector<GrowthDone> do_a_piece();
    /// Nobody waits for it any more: what was taken for nobody else is given back, and no further
    /// extent is withdrawn.
    void give_up(GrowthId id);

    /// After another host: begins to give back what that one has taken, or withdrawn, in vain.
    void take_over();

    /// What this host itself has done to the extents of a class.
    struct Changes {
        std::uint64_t count = 0;   ///< One more with each extent that comes or goes.
        std::uint32_t opened = 0;  ///< Extents that were not there before.
    };
    [[nodiscard]] Changes changes_of(std::uint32_t class_index) const {
        return changes_[class_index];
    }

private:
    /// Of one of the segment's objects.
    struct Part {
        Part(const Descriptor* of, const ByteRange& range)
            : object(of), whole(range), left(range) {}

        const Descriptor* object;
        ByteRange whole;
        ByteRange left;

        [[nodiscard]] bool is_done() const { return left.bytes == 0; }
        /// The pages that are done by now.
        [[nodiscard]] ByteRange done() const {
            const std::uint64_t bytes = whole.bytes - left.bytes;
            return bytes == 0 ? ByteRange{} : all_pages_of({whole.offset, bytes});
        }
    };
    /// Somebody waits until so many slots have memory; 0: until what was withdrawn is given back.
    struct Wish {
        GrowthId id = 0;
        std::uint32_t to_slots = 0;
    };
    /// Extents are looked through, one after the other; its wish is among the others.
    struct Shrinking {
        GrowthId id = 0;
        std::uint32_t keep_slots = 0;
        Withdrawal next;  ///< Of extent 0: all have been.
        bool any_gone = false;
        bool any_in_use = false;
    };
    struct Work {
        std::uint32_t class_index = 0;
        std::vector<Wish> wishes;
        std::optional<Shrinking> shrinking;
        std::optional<Growth> growth;  ///< Its memory is being taken.
        std::vector<Part> to_take;     ///< Of `growth`.
        std::deque<Part> to_give_back;
        std::optional<Error> failure;  ///< What those hear who wished for so many, or more.
        std::uint32_t failed_to_slots = 0;

        [[nodiscard]] bool is_at_rest() const {
            return !shrinking && !growth && to_give_back.empty();
        }
    };

    [[nodiscard]] Result<std::uint32_t> find_class(std::uint64_t slot_bytes) const;
    [[nodiscard]] std::uint32_t slots_of(std::uint32_t class_index) const;
    [[nodiscard]] std::uint32_t least_step_of(std::uint32_t class_index) const;
    [[nodiscard]] Work& work_on(std::uint32_t class_index);
    [[nodiscard]] const Work* find_work(std::uint32_t class_index) const;
    [[nodiscard]] GrowthId note_done(std::uint32_t class_index);

    void go_on(Work& work);
    void shrink_on(Work& work);
    void end_shrinking(Work& work);
    void plan(Work& work);
    void take_piece(Work& work);
    void give_back_piece(Work& work);
    void open(Work& work);
    void give_back_growth(Work& work);
    void give_back_unused(Work& work, const ByteRange& pages);
    void fail(Work& work, const Error& error);
    void answer(Work& work);
    [[nodiscard]] Part in_control(const ByteRange& records) const;
    [[nodiscard]] Part in_payload(const ByteRange& payload) const;

    const Segment& segment_;
    VarSlotPool& pool_;
    const ProtocolView& view_;
    Lane& host_;
    PoolRegions regions_;
    MemoryPieces pieces_;
    const std::uint32_t links_;
    std::deque<Work> works_;  ///< The first is the next.
    std::vector<GrowthDone> done_;
    GrowthId last_id_ = 0;
    std::vector<Changes> changes_;  ///< By class.
};

}  // namespace shmpool
