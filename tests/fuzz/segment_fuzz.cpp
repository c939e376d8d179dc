// SPDX-License-Identifier: Apache-2.0
/// A segment with damage in its control memory: a host that takes it over, a peer that attaches and
/// a look by `doctor` refuse it or get on; nobody reads outside of it, nobody goes on for ever.
///
/// The input is damage: records of 12 bytes, a 4-byte place and the 8 bytes that are put there.
#include <cstring>
#include <memory>
#include <vector>

#include "fuzz.hpp"
#include "host/segment_steward.hpp"
#include "peer/cli/protocol_audit.hpp"
#include "shmpool/pool/pool_audit.hpp"
#include "shmpool/pool/pool_statistics.hpp"

namespace shmpool::fuzz {
namespace {

constexpr std::size_t record_bytes = 12;

host::PoolConfig small_config() {
    host::PoolConfig config;
    config.name = "fuzz";
    config.classes = {{64, 8}, {256, 4}};
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

/// The same memory for all inputs: made once, then written back before each.
class Patient {
public:
    Patient() {
        auto steward = must(host::SegmentSteward::create(small_config()));
        control_ = must(Descriptor::duplicate(steward->control()));
        payload_ = must(Descriptor::duplicate(steward->payload()));
        Segment segment = open();
        const auto& header = segment.header();
        const auto* const begin = reinterpret_cast<const std::byte*>(&header);
        healthy_.assign(begin, begin + header.control_bytes);
        mapping_ = must(SharedMapping::map(control_, healthy_.size(), Access::read_write));
    }

    void heal() { std::memcpy(mapping_.base(), healthy_.data(), healthy_.size()); }

    void damage(std::span<const std::byte> record) {
        std::uint32_t place = 0;
        std::memcpy(&place, record.data(), sizeof(place));
        const std::size_t room = healthy_.size() - sizeof(std::uint64_t);
        std::memcpy(mapping_.base() + place % room, record.data() + sizeof(place),
                    sizeof(std::uint64_t));
    }

    // Each says whether the segment was accepted.

    bool look() {
        auto segment = Segment::open(must(Descriptor::duplicate(control_)), {}, Access::read_only,
                                     protocol_fingerprint);
        if (!segment) return false;
        const auto region = segment->region(RegionKind::pool_control);
        const auto view = ProtocolView::of(*segment);
        if (!region || !view) return false;
        const auto pool = VarSlotPool::observe(region->bytes);
        if (!pool) return false;
        (void)read_statistics(pool->view());
        return audit(pool->view()).empty() && cli::audit_protocol(pool->view(), *view).empty();
    }

    bool take_over() {
        return host::SegmentSteward::take_over("fuzz", must(Descriptor::duplicate(control_)),
                                               must(Descriptor::duplicate(payload_)))
            .has_value();
    }

    bool attach() {
        auto segment = Segment::open(must(Descriptor::duplicate(control_)),
                                     must(Descriptor::duplicate(payload_)), Access::read_write,
                                     protocol_fingerprint);
        if (!segment) return false;
        const auto control = segment->region(RegionKind::pool_control);
        const auto payload = segment->region(RegionKind::pool_payload);
        if (!control || !payload || !ProtocolView::of(*segment)) return false;
        auto pool = VarSlotPool::attach({control->bytes, payload->bytes});
        if (!pool) return false;
        const auto lane = pool->open_lane(1);
        if (!lane) return false;
        const auto slot = pool->allocate(**lane, 64);
        if (!slot) return false;
        std::memset(pool->view().classes[slot->class_index].data(slot->slot_index), 1, 64);
        return pool->free(**lane, *slot).has_value();
    }

private:
    Segment open() {
        return must(Segment::open(must(Descriptor::duplicate(control_)),
                                  must(Descriptor::duplicate(payload_)), Access::read_write,
                                  protocol_fingerprint));
    }

    Descriptor control_;
    Descriptor payload_;
    SharedMapping mapping_;
    std::vector<std::byte> healthy_;
};

}  // namespace

void try_input(std::span<const std::byte> input) {
    static Patient patient;
    patient.heal();
    for (auto rest = input; rest.size() >= record_bytes; rest = rest.subspan(record_bytes)) {
        patient.damage(rest.first(record_bytes));
    }
    const bool looks_well = patient.look();
    const bool serves = patient.attach();
    const bool is_taken_over = patient.take_over();
    const bool is_healthy = input.size() < record_bytes;
    demand(!is_healthy || (looks_well && serves && is_taken_over), "a sound segment is refused");
}

}  // namespace shmpool::fuzz
