// SPDX-License-Identifier: Apache-2.0
/// A segment with damage in its control memory: a host that takes it over, a peer that works in it
/// and a look by `doctor` refuse it or get on; nobody reads outside of it, nobody goes on for ever.
/// Its second class has magazines and may grow: of its three extents one is withdrawn.
///
/// The input is damage: records of 12 bytes, a 4-byte place and the 8 bytes that are put there
/// (segment_input.hpp).
#include <cstring>
#include <memory>
#include <vector>

#include "damaged_peer.hpp"
#include "fuzz.hpp"
#include "host/segment_steward.hpp"
#include "peer/cli/protocol_audit.hpp"
#include "segment_input.hpp"
#include "segment_places.hpp"
#include "shmpool/pool/pool_audit.hpp"
#include "shmpool/pool/pool_statistics.hpp"

namespace shmpool::fuzz {
namespace {

constexpr std::uint32_t slots_at_first = 128;
constexpr std::uint32_t slots_per_growth = 16;  // One page.
constexpr std::uint32_t slot_limit = 192;
constexpr std::uint32_t growing_class = 1;
constexpr std::uint32_t small_slots = 8;
constexpr std::uint32_t slots_in_service = small_slots + slots_at_first + slots_per_growth;

/// More than any work on so few slots takes.
constexpr int pieces_max = 4096;

host::PoolConfig small_config() {
    host::PoolConfig config;
    config.name = "fuzz";
    config.classes = {{64, small_slots}, {256, slots_at_first, slot_limit}};
    config.limits.peers = 2;
    config.limits.lanes = 4;
    config.limits.channels = 2;
    config.limits.publishers = 2;
    config.limits.subscribers = 2;
    config.limits.rings = 4;
    config.limits.ring_entries = 32;
    config.limits.publishers_per_channel = 16;
    return config;
}

template <typename T>
T must(Result<T> result) {
    demand(result.has_value(), result ? "" : result.error().message.c_str());
    return std::move(*result);
}

/// Does what has begun, and tells what went well.
std::size_t work_off(PoolGrowth& growth) {
    std::size_t well = 0;
    int pieces = 0;
    for (; growth.has_work() && pieces < pieces_max; ++pieces) {
        for (const GrowthDone& done : growth.do_a_piece()) well += done.result ? 1U : 0U;
    }
    demand(pieces < pieces_max, "a class grows or shrinks for ever");
    return well;
}

std::size_t grow(host::SegmentSteward& steward, std::uint32_t to_slots) {
    (void)steward.growth().grow(256, to_slots);
    return work_off(steward.growth());
}

std::size_t shrink(host::SegmentSteward& steward) {
    (void)steward.growth().shrink(256, 0);
    return work_off(steward.growth());
}

/// The same memory for all inputs: made once, then written back before each.
class Patient {
public:
    Patient() {
        auto steward = must(host::SegmentSteward::create(small_config()));
        demand(grow(*steward, slots_at_first + slots_per_growth) == 1 &&
                   grow(*steward, slots_at_first + 2 * slots_per_growth) == 1,
               "a new class does not grow");
        demand(
            withdraw_extent(steward->pool().view(), steward->lane(), growing_class, 1).has_value(),
            "an unused extent stays");
        control_ = must(Descriptor::duplicate(steward->control()));
        payload_ = must(Descriptor::duplicate(steward->payload()));
        const auto* const begin = reinterpret_cast<const std::byte*>(&steward->header());
        healthy_.assign(begin, begin + steward->control_bytes());
        mapping_ = must(SharedMapping::map(control_, healthy_.size(), Access::read_write));

        const auto range_of = [begin](const auto* first, std::size_t count) {
            const auto* const bytes = reinterpret_cast<const std::byte*>(first);
            return ByteRange{static_cast<std::uint64_t>(bytes - begin), count * sizeof(*first)};
        };
        const PoolView& view = steward->pool().view();
        const ClassView& growing = view.classes[growing_class];
        areas_ = {ByteRange{0, healthy_.size()}, range_of(view.classes[0].image, view.class_count),
                  range_of(growing.extents, growing.extent_count() + 1),
                  range_of(growing.records, slot_limit)};
    }

    void heal() { std::memcpy(mapping_.base(), healthy_.data(), healthy_.size()); }

    void damage(std::span<const std::byte> input, bool when_late) {
        for (auto rest = input; rest.size() >= record_bytes; rest = rest.subspan(record_bytes)) {
            std::uint32_t place = 0;
            std::memcpy(&place, rest.data(), sizeof(place));
            if (((place & late) != 0) != when_late) continue;
            const ByteRange& area = areas_[place >> area_shift & area_mask];
            const std::uint64_t offset = area.offset + (place & offset_mask) % area.bytes;
            const std::uint64_t last = healthy_.size() - sizeof(std::uint64_t);
            std::memcpy(mapping_.base() + std::min(offset, last), rest.data() + sizeof(place),
                        sizeof(std::uint64_t));
        }
    }

    /// Of which nothing is wrong.
    bool looks_well() {
        auto segment = Segment::open(must(Descriptor::duplicate(control_)), {}, Access::read_only,
                                     protocol_fingerprint);
        if (!segment) return false;
        const auto region = segment->region(RegionKind::pool_control);
        const auto view = ProtocolView::of(*segment);
        if (!region || !view) return false;
        const auto pool = VarSlotPool::observe(region->bytes);
        if (!pool) return false;
        (void)read_statistics(pool->view());
        const bool is_whole =
            audit(pool->view()).empty() && cli::audit_protocol(pool->view(), *view).empty();
        segment_reach().note_if(!is_whole, Place::damage_found);
        return is_whole;
    }

    /// Null: refused.
    std::unique_ptr<DamagedPeer> attach() {
        auto segment = Segment::open(must(Descriptor::duplicate(control_)),
                                     must(Descriptor::duplicate(payload_)), Access::read_write,
                                     protocol_fingerprint);
        if (!segment) return nullptr;
        return DamagedPeer::attach(std::move(*segment), slots_in_service);
    }

    bool serves_a_next_host() {
        const auto steward = host::SegmentSteward::take_over(
            "fuzz", must(Descriptor::duplicate(control_)), must(Descriptor::duplicate(payload_)));
        if (!steward) return false;
        (void)work_off((*steward)->growth());
        const bool has_grown = grow(**steward, slot_limit) != 0;
        segment_reach().note(has_grown ? Place::grown : Place::not_grown);
        segment_reach().note_if(shrink(**steward) != 0, Place::shrunk);
        (void)grow(**steward, slots_at_first + 1);  // What was withdrawn just now.
        (void)audit((*steward)->pool().view());
        return true;
    }

private:
    Descriptor control_;
    Descriptor payload_;
    SharedMapping mapping_;
    std::vector<std::byte> healthy_;
    std::array<ByteRange, area_mask + 1> areas_;  ///< By Area.
};

}  // namespace

const Reach& reach() {
    return segment_reach();
}

void try_input(std::span<const std::byte> input) {
    static Patient patient;
    patient.heal();
    patient.damage(input, false);
    const bool is_well = patient.looks_well();
    const auto peer = patient.attach();
    if (peer != nullptr) peer->hold_some();
    patient.damage(input, true);
    const bool works = peer != nullptr && peer->work();
    const bool is_taken_over = patient.serves_a_next_host();
    if (input.size() < record_bytes) {
        demand(is_well && works && is_taken_over, "a sound segment is refused");
        return;
    }
    segment_reach().note(peer != nullptr ? Place::attached : Place::attach_refused);
    segment_reach().note(is_taken_over ? Place::taken_over : Place::takeover_refused);
}

}  // namespace shmpool::fuzz
