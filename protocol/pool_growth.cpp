// SPDX-License-Identifier: Apache-2.0
#include "protocol/pool_growth.hpp"

#include <algorithm>
#include <utility>

#include "protocol/committed_memory.hpp"
#include "shmpool/platform/crash_point.hpp"

namespace shmpool {
namespace {

std::string class_text(std::uint64_t slot_bytes) {
    return "the class of " + std::to_string(slot_bytes) + " bytes";
}

}  // namespace

Result<PoolRegions> PoolRegions::of(const Segment& segment) {
    const auto control = segment.region(RegionKind::pool_control);
    if (!control) return tl::unexpected(control.error());
    const auto payload = segment.region(RegionKind::pool_payload);
    if (!payload) return tl::unexpected(payload.error());
    return PoolRegions{*control, *payload};
}

PoolGrowth::PoolGrowth(const Segment& segment, VarSlotPool& pool, const ProtocolView& view,
                       Lane& host, const PoolRegions& regions, PieceRules pieces,
                       std::uint32_t links)
    : segment_(segment),
      pool_(pool),
      view_(view),
      host_(host),
      regions_(regions),
      pieces_(std::move(pieces)),
      links_(links),
      changes_(pool.class_count()) {}

// --- verbs ---------------------------------------------------------------------------------------

Result<GrowthId> PoolGrowth::grow(std::uint64_t slot_bytes, std::uint32_t to_slots) {
    const auto found = find_class(slot_bytes);
    if (!found) return tl::unexpected(found.error());
    const ClassView& view = pool_.view().classes[*found];
    if (to_slots > view.slot_limit) {
        return shmpool::fail(Errc::slot_limit_reached,
                             class_text(slot_bytes) + " has " + std::to_string(slots_of(*found)) +
                                 " slots and may have " + std::to_string(view.slot_limit) +
                                 ", not " + std::to_string(to_slots) +
                                 "; that is said by slot_limit of its [[class]] in the host's "
                                 "configuration, when the pool is made");
    }
    const Work* const before = find_work(*found);
    const bool shrinks = before != nullptr && before->shrinking;  // Afterwards there may be fewer.
    if (slots_of(*found) >= to_slots && !shrinks) return note_done(*found);
    work_on(*found).wishes.push_back({++last_id_, to_slots});
    return last_id_;
}

Result<GrowthId> PoolGrowth::relieve(std::uint64_t slot_bytes, std::uint32_t slots_seen) {
    const auto found = find_class(slot_bytes);
    if (!found) return tl::unexpected(found.error());
    const std::uint32_t slots = slots_of(*found);
    if (slots > slots_seen) return note_done(*found);
    const std::uint32_t limit = pool_.view().classes[*found].slot_limit;
    if (slots == limit) return grow(slot_bytes, limit + 1);  // Which says why not.
    return grow(slot_bytes, std::min(limit, 2 * slots));
}

Result<GrowthId> PoolGrowth::shrink(std::uint64_t slot_bytes, std::uint32_t keep_slots) {
    const auto found = find_class(slot_bytes);
    if (!found) return tl::unexpected(found.error());
    const Work* const before = find_work(*found);
    if (before != nullptr && (before->growth || !before->wishes.empty())) {
        return shmpool::fail(Errc::would_block, class_text(slot_bytes) +
                                                    " grows or shrinks just now; ask again in a "
                                                    "moment");
    }
    const std::uint32_t last = pool_.view().classes[*found].extent_count() - 1;
    Work& work = work_on(*found);
    work.wishes.push_back({++last_id_, 0});
    work.shrinking = Shrinking{last_id_, keep_slots, {*found, last}};
    return last_id_;
}

void PoolGrowth::give_up(GrowthId id) {
    for (Work& work : works_) {
        const auto wish = std::ranges::find(work.wishes, id, &Wish::id);
        if (wish == work.wishes.end()) continue;
        work.wishes.erase(wish);
        if (work.shrinking && work.shrinking->id == id) work.shrinking.reset();
        const std::uint32_t slots = slots_of(work.class_index);
        const bool somebody_waits = std::ranges::any_of(
            work.wishes, [slots](const Wish& one) { return one.to_slots > slots; });
        if (work.growth && !somebody_waits) give_back_growth(work);
        return;
    }
}

void PoolGrowth::take_over() {
    for (std::uint32_t index = 0; index < pool_.class_count(); ++index) {
        std::deque<Part> unused;
        for (const ByteRange& range : unused_payload(pool_.view(), index)) {
            unused.push_back(in_payload(range));
        }
        const ByteRange records = unused_records(pool_.view(), index);
        if (records.bytes != 0) unused.push_back(in_control(records));
        if (!unused.empty()) work_on(index).to_give_back = std::move(unused);
    }
}

// --- works ---------------------------------------------------------------------------------------

std::vector<GrowthDone> PoolGrowth::do_a_piece() {
    if (!works_.empty()) {
        Work work = std::move(works_.front());
        works_.pop_front();
        go_on(work);
        if (work.is_at_rest()) answer(work);
        if (!work.is_at_rest() || !work.wishes.empty()) works_.push_back(std::move(work));
    }
    if (works_.empty()) pieces_.forget_checks();
    return std::exchange(done_, {});
}

void PoolGrowth::go_on(Work& work) {
    if (!work.to_give_back.empty()) return give_back_piece(work);
    if (work.shrinking) return shrink_on(work);
    if (!work.growth) return plan(work);
    if (std::ranges::all_of(work.to_take, &Part::is_done)) return open(work);
    take_piece(work);
}

/// Whoever asks for the class meanwhile changes its lists; what has been seen of a list is believed
/// only if it is still the same (detectable_stack.hpp).
void PoolGrowth::shrink_on(Work& work) {
    Shrinking& shrinking = *work.shrinking;
    if (shrinking.next.extent_index == 0) return end_shrinking(work);
    const ClassView& view = pool_.view().classes[work.class_index];
    const ExtentView extent = view.extent(shrinking.next.extent_index);
    const std::uint64_t least = std::uint64_t{shrinking.keep_slots} + extent.slot_count;
    if (slots_of(work.class_index) >= least) {
        const auto gone = withdraw_extent(pool_.view(), host_, shrinking.next, links_);
        if (!gone && gone.error() == Errc::would_block) return;
        shrinking.any_in_use |= !gone && gone.error() == Errc::extent_in_use;
        if (gone) {
            SHMPOOL_CRASH_POINT(growth_withdrawn);
            shrinking.any_gone = true;
            ++changes_[work.class_index].count;
            const Part payload = in_payload({view.payload_offset + extent.first * view.stride_bytes,
                                             extent.slot_count * view.stride_bytes});
            give_back_unused(work, all_pages_of(payload.whole));
        }
    }
    shrinking.next = {work.class_index, shrinking.next.extent_index - 1};
}

void PoolGrowth::end_shrinking(Work& work) {
    const Shrinking ended = *std::exchange(work.shrinking, std::nullopt);
    if (ended.any_gone || !ended.any_in_use) return;
    std::erase_if(work.wishes, [&](const Wish& wish) { return wish.id == ended.id; });
    done_.push_back(
        {ended.id, shmpool::fail(Errc::extent_in_use,
                                 class_text(pool_.view().classes[work.class_index].slot_bytes) +
                                     " keeps all of its slots: each extent that could go "
                                     "has some in use, or in the cache of a thread")});
}

void PoolGrowth::plan(Work& work) {
    const auto wanted = std::ranges::max_element(work.wishes, {}, &Wish::to_slots);
    const std::uint32_t slots = slots_of(work.class_index);
    if (wanted == work.wishes.end() || wanted->to_slots <= slots) return;
    const std::uint32_t step = std::max(wanted->to_slots - slots, least_step_of(work.class_index));
    const auto growth = plan_growth(pool_.view(), work.class_index, step);
    if (!growth) return fail(work, {growth.error(), std::string(explain(growth.error()))});
    work.growth = *growth;
    if (growth->records.bytes != 0) work.to_take.push_back(in_control(growth->records));
    work.to_take.push_back(in_payload(growth->payload));
    // The records are never more than the payload, and asked for on the way.
    const Part& payload = work.to_take.back();
    const auto enough = pieces_.check(*payload.object, payload.left);
    if (!enough) fail(work, enough.error());
}

/// So that the extents that are left reach the limit.
std::uint32_t PoolGrowth::least_step_of(std::uint32_t class_index) const {
    const ClassView& view = pool_.view().classes[class_index];
    const std::uint32_t extents = view.extent_limit - view.extent_count();
    const std::uint32_t room = view.slot_limit - view.slot_count();
    return extents == 0 ? 1 : room / extents + (room % extents != 0 ? 1 : 0);
}

void PoolGrowth::take_piece(Work& work) {
    Part& part = *std::ranges::find_if_not(work.to_take, &Part::is_done);
    if (auto taken = pieces_.commit_next(*part.object, part.left); !taken) {
        fail(work, taken.error());
    }
}

void PoolGrowth::open(Work& work) {
    const std::uint32_t before = slots_of(work.class_index);
    SHMPOOL_CRASH_POINT(growth_has_its_memory);
    open_extent(pool_.view(), host_, *work.growth);
    Changes& changes = changes_[work.class_index];
    ++changes.count;
    changes.opened += work.growth->records.bytes != 0 ? 1U : 0U;
    work.growth.reset();
    work.to_take.clear();
    show_committed(segment_, pool_.view(), view_);
    if (slots_of(work.class_index) > before) return;
    fail(work, {Errc::pool_damaged,
                "the list of an extent is nonsense; 'shmpool rebuild' makes "
                "the pool anew"});
}

void PoolGrowth::give_back_piece(Work& work) {
    Part& part = work.to_give_back.front();
    pieces_.punch_next(*part.object, part.left);
    if (!part.is_done()) return;
    work.to_give_back.pop_front();
    if (work.to_give_back.empty()) show_committed(segment_, pool_.view(), view_);
}

/// What was taken of it, but for pages on which neighbours have something.
void PoolGrowth::give_back_growth(Work& work) {
    work.growth.reset();
    const Part unused = in_control(unused_records(pool_.view(), work.class_index));
    for (const Part& taken : std::exchange(work.to_take, {})) {
        if (taken.object == &segment_.payload()) {
            give_back_unused(work, taken.done());
            continue;
        }
        const ByteRange records = intersection(taken.done(), unused.whole);
        if (records.bytes != 0) work.to_give_back.push_back({taken.object, records});
    }
}

/// Of these pages of the payload, those on which no slot is.
void PoolGrowth::give_back_unused(Work& work, const ByteRange& pages) {
    for (const ByteRange& unused : unused_payload(pool_.view(), work.class_index)) {
        const ByteRange part = intersection(pages, in_payload(unused).whole);
        if (part.bytes != 0) work.to_give_back.push_back({&segment_.payload(), part});
    }
}

/// Of the largest wish.
void PoolGrowth::fail(Work& work, const Error& error) {
    const std::uint64_t slot_bytes = pool_.view().classes[work.class_index].slot_bytes;
    const auto wanted = std::ranges::max_element(work.wishes, {}, &Wish::to_slots);
    work.failed_to_slots = wanted == work.wishes.end() ? 0 : wanted->to_slots;
    work.failure = Error{error.code, class_text(slot_bytes) + ": " + error.message};
    if (work.growth) give_back_growth(work);
}

/// Nothing is on its way: whose wish is fulfilled hears so, and if something has failed, those hear
/// that who wished for so much or more. For less there may be enough: it is tried next.
void PoolGrowth::answer(Work& work) {
    const std::uint32_t slots = slots_of(work.class_index);
    std::erase_if(work.wishes, [&](const Wish& wish) {
        const bool is_fulfilled = wish.to_slots <= slots;
        const bool has_failed = work.failure && wish.to_slots >= work.failed_to_slots;
        if (is_fulfilled) {
            done_.push_back({wish.id, slots});
        } else if (has_failed) {
            done_.push_back({wish.id, tl::unexpected(*work.failure)});
        }
        return is_fulfilled || has_failed;
    });
    work.failure.reset();
}

// --- looking -------------------------------------------------------------------------------------

Result<std::uint32_t> PoolGrowth::find_class(std::uint64_t slot_bytes) const {
    std::string sizes;
    for (std::uint32_t index = 0; index < pool_.class_count(); ++index) {
        const std::uint64_t bytes = pool_.view().classes[index].slot_bytes;
        if (bytes == slot_bytes) return index;
        sizes += (sizes.empty() ? "" : ", ") + std::to_string(bytes);
    }
    return shmpool::fail(Errc::invalid_argument,
                         "there is no class of " + std::to_string(slot_bytes) +
                             " bytes; the classes have slots of " + sizes + " bytes");
}

std::uint32_t PoolGrowth::slots_of(std::uint32_t class_index) const {
    return static_cast<std::uint32_t>(slots_in_service(pool_.view(), class_index));
}

PoolGrowth::Work& PoolGrowth::work_on(std::uint32_t class_index) {
    const auto found = std::ranges::find(works_, class_index, &Work::class_index);
    if (found != works_.end()) return *found;
    works_.emplace_back();
    works_.back().class_index = class_index;
    return works_.back();
}

const PoolGrowth::Work* PoolGrowth::find_work(std::uint32_t class_index) const {
    const auto found = std::ranges::find(works_, class_index, &Work::class_index);
    return found == works_.end() ? nullptr : &*found;
}

GrowthId PoolGrowth::note_done(std::uint32_t class_index) {
    done_.push_back({++last_id_, slots_of(class_index)});
    return last_id_;
}

PoolGrowth::Part PoolGrowth::in_control(const ByteRange& records) const {
    return {&segment_.control(),
            {regions_.control.image.offset_bytes + records.offset, records.bytes}};
}

PoolGrowth::Part PoolGrowth::in_payload(const ByteRange& payload) const {
    return {&segment_.payload(),
            {regions_.payload.image.offset_bytes + payload.offset, payload.bytes}};
}

}  // namespace shmpool
