// SPDX-License-Identifier: Apache-2.0
#include "shmpool/pool/growth.hpp"

#include <algorithm>

#include "shmpool/pool/pressure.hpp"

namespace shmpool {
namespace {

ByteRange payload_of(const ClassView& view, std::uint64_t first, std::uint64_t slot_count) {
    return {view.payload_offset + first * view.stride_bytes, slot_count * view.stride_bytes};
}

}  // namespace

Outcome<Growth> plan_growth(const PoolView& pool, std::uint32_t class_index, std::uint32_t wanted) {
    if (class_index >= pool.class_count || wanted == 0) return fail(Errc::invalid_argument);
    const ClassView& view = pool.classes[class_index];
    view.look_for_growth();
    Growth growth{class_index, 0, 0, {}, {}};
    for (std::uint32_t index = 1; index < view.extent_count(); ++index) {
        if (!view.extent(index).is_withdrawn()) continue;
        const ExtentView extent = view.extent(index);
        growth.extent_index = index;
        growth.slot_count = extent.slot_count;
        growth.payload = payload_of(view, extent.first, extent.slot_count);
        return growth;
    }
    const std::uint32_t there = view.slot_count();
    growth.extent_index = view.extent_count();
    growth.slot_count = std::min(wanted, view.slot_limit - there);
    if (growth.slot_count == 0 || growth.extent_index >= view.extent_limit) {
        return fail(Errc::slot_limit_reached);
    }
    growth.records = {view.records_offset + there * sizeof(SlotRecord),
                      growth.slot_count * sizeof(SlotRecord)};
    growth.payload = payload_of(view, there, growth.slot_count);
    return growth;
}

void open_extent(const PoolView& pool, Lane& host, const Growth& growth) {
    const ClassView& view = pool.classes[growth.class_index];
    ExtentImage& image = view.extents[growth.extent_index];
    if (growth.extent_index < view.extent_count()) {
        const std::uint32_t top = image.withdrawn.load(std::memory_order_relaxed) - 1;
        if (top >= growth.slot_count) return pool.mark_damaged();
        DetectableStack stack(pool, growth.class_index, growth.extent_index);
        stack.give_all(host, top, [&image] {
            image.withdrawn.store(0, std::memory_order_release);  // [R-withdrawn]
        });
    } else {
        image.slot_count.store(growth.slot_count, std::memory_order_relaxed);
        SHMPOOL_CRASH_POINT(extent_written);
        view.image->extent_count.store(growth.extent_index + 1,
                                       std::memory_order_release);  // [R-extent]
        SHMPOOL_CRASH_POINT(extent_published);
        view.look_for_growth();
    }
    relieve_pressure(pool, classes_served(growth.class_index));
}

Outcome<ByteRange> withdraw_extent(const PoolView& pool, Lane& host, Withdrawal& withdrawal,
                                   std::uint32_t links) {
    const auto [class_index, extent_index] =
        std::pair(withdrawal.class_index, withdrawal.extent_index);
    if (class_index >= pool.class_count) return fail(Errc::invalid_argument);
    const ClassView& view = pool.classes[class_index];
    if (extent_index == 0 || extent_index >= view.extent_count() ||
        view.extent(extent_index).is_withdrawn()) {
        return fail(Errc::invalid_argument);
    }
    DetectableStack stack(pool, class_index, extent_index);
    const ListTaking taking = stack.take_all(host, withdrawal.walk, links);
    if (taking == ListTaking::under_way) return fail(Errc::would_block);
    if (taking == ListTaking::refused) return fail(Errc::extent_in_use);
    const auto top = static_cast<std::uint32_t>(withdrawal.walk.head.low);
    const ExtentView extent = view.extent(extent_index);
    extent.image->withdrawn.store(top + 1, std::memory_order_release);  // [R-withdrawn]
    SHMPOOL_CRASH_POINT(extent_withdrawn);
    host.settle();
    return whole_pages_in(payload_of(view, extent.first, extent.slot_count));
}

Outcome<ByteRange> withdraw_extent(const PoolView& pool, Lane& host, std::uint32_t class_index,
                                   std::uint32_t extent_index) {
    Withdrawal withdrawal{class_index, extent_index};
    for (;;) {
        const auto gone = withdraw_extent(pool, host, withdrawal, slot_count_max);
        if (gone || gone.error() != Errc::would_block) return gone;
    }
}

std::uint64_t slots_in_service(const PoolView& pool, std::uint32_t class_index) {
    const ClassView& view = pool.classes[class_index];
    view.look_for_growth();
    std::uint64_t slots = 0;
    for (std::uint32_t index = 0; index < view.extent_count(); ++index) {
        if (!view.extent(index).is_withdrawn()) slots += view.extent(index).slot_count;
    }
    return slots;
}

ByteRange unused_records(const PoolView& pool, std::uint32_t class_index) {
    const ClassView& view = pool.classes[class_index];
    return whole_pages_in({view.records_offset + view.slot_count() * sizeof(SlotRecord),
                           (view.slot_limit - view.slot_count()) * sizeof(SlotRecord)});
}

std::vector<ByteRange> unused_payload(const PoolView& pool, std::uint32_t class_index) {
    const ClassView& view = pool.classes[class_index];
    std::vector<ByteRange> unused;
    const auto add = [&](std::uint64_t first, std::uint64_t slot_count) {
        const ByteRange more = payload_of(view, first, slot_count);
        const bool is_next = !unused.empty() && unused.back().end() == more.offset;
        is_next ? void(unused.back().bytes += more.bytes) : unused.push_back(more);
    };
    for (std::uint32_t index = 1; index < view.extent_count(); ++index) {
        const ExtentView extent = view.extent(index);
        if (view.extent(index).is_withdrawn()) add(extent.first, extent.slot_count);
    }
    add(view.slot_count(), view.slot_limit - view.slot_count());
    std::ranges::transform(unused, unused.begin(), whole_pages_in);
    std::erase_if(unused, [](const ByteRange& one) { return one.bytes == 0; });
    return unused;
}

}  // namespace shmpool
