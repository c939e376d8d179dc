// SPDX-License-Identifier: Apache-2.0
#include "shmpool/pool/pool_layout.hpp"

#include <algorithm>
#include <string>

#include "shmpool/layout/layout_fingerprint.hpp"
#include "shmpool/platform/alignment.hpp"

namespace shmpool {
namespace {

constexpr std::uint64_t bytes_limit = std::uint64_t{1}
                                      << 46;  // What one process can map with ease.

/// A running offset that remembers whether it ever left the addressable range.
class Cursor {
public:
    std::uint64_t place(std::uint64_t count, std::uint64_t item_bytes, std::uint64_t alignment) {
        std::uint64_t bytes = 0;
        std::uint64_t end = 0;
        const std::uint64_t start = align_up(offset_, alignment);
        overflowed_ = overflowed_ || __builtin_mul_overflow(count, item_bytes, &bytes) ||
                      __builtin_add_overflow(start, bytes, &end) || end > bytes_limit;
        offset_ = overflowed_ ? 0 : end;
        return start;
    }
    [[nodiscard]] std::uint64_t end(std::uint64_t alignment) const {
        return align_up(offset_, alignment);
    }
    [[nodiscard]] bool overflowed() const { return overflowed_; }

private:
    std::uint64_t offset_ = 0;
    bool overflowed_ = false;
};

Result<void> check_class(const SizeClassConfig& wanted, std::size_t number) {
    const std::string name = "size class " + std::to_string(number);
    if (wanted.slot_size == 0) {
        return fail(Errc::zero_slot_size, name + " has slot_size 0; give at least 1 byte");
    }
    if (wanted.slot_count == 0) {
        return fail(Errc::zero_slot_count, name + " has slot_count 0; give at least 1 slot");
    }
    if (wanted.slot_size > slot_bytes_max) {
        return fail(Errc::slot_too_large, name + " has slot_size " +
                                              std::to_string(wanted.slot_size) +
                                              "; the largest slot is 1 GiB (1073741824)");
    }
    if (wanted.slot_count > slot_count_max) {
        return fail(Errc::too_many_slots, name + " has slot_count " +
                                              std::to_string(wanted.slot_count) +
                                              "; one class holds at most 16777216 slots");
    }
    if (wanted.slot_limit > slot_count_max ||
        (wanted.slot_limit != 0 && wanted.slot_limit < wanted.slot_count)) {
        return fail(Errc::too_many_slots,
                    name + " has slot_limit " + std::to_string(wanted.slot_limit) +
                        "; give its slot_count (" + std::to_string(wanted.slot_count) +
                        ") to 16777216, or 0 for a class that does not grow");
    }
    return {};
}

Result<std::vector<SizeClassConfig>> check_and_sort(std::span<const SizeClassConfig> wanted) {
    if (wanted.empty()) return fail(Errc::no_classes, "no size class is given; give at least one");
    if (wanted.size() > class_count_max) {
        return fail(Errc::too_many_classes, std::to_string(wanted.size()) +
                                                " size classes are given; a pool has at most 64");
    }
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (auto checked = check_class(wanted[i], i); !checked) {
            return tl::unexpected(checked.error());
        }
    }
    std::vector<SizeClassConfig> sorted(wanted.begin(), wanted.end());
    for (SizeClassConfig& one : sorted) {
        if (!one.grows()) one.slot_limit = 0;
    }
    std::ranges::sort(sorted, {}, &SizeClassConfig::slot_size);
    for (std::size_t i = 1; i < sorted.size(); ++i) {
        if (sorted[i].slot_size == sorted[i - 1].slot_size) {
            return fail(Errc::duplicate_class, "two size classes have slot_size " +
                                                   std::to_string(sorted[i].slot_size) +
                                                   "; merge them into one");
        }
    }
    return sorted;
}

/// The smallest block that lets every class's blocks fit into one bitmap.
std::uint32_t choose_block_shift(std::span<const SizeClassConfig> classes) {
    for (std::uint32_t shift = 6;; ++shift) {
        std::uint64_t blocks = 0;
        for (const auto& one : classes) blocks += ((one.most_slots() - 1) >> shift) + 1;
        if (blocks <= block_count_max) return shift;
    }
}

/// Where slots of a class come and go, its memory begins and ends with a page.
constexpr std::uint64_t records_alignment(const SizeClassConfig& one) {
    return one.grows() ? page_bytes : cache_line_bytes;
}

}  // namespace

std::uint64_t PoolLayout::total_bytes() const {
    return align_up(control_bytes, page_bytes) + payload_bytes;
}

std::vector<ByteRange> PoolLayout::control_at_first() const {
    std::vector<ByteRange> ranges{{0, classes.front().records_offset}};
    for (const ClassOffsets& one : classes) {
        ranges.push_back({one.records_offset, one.config.slot_count * sizeof(SlotRecord)});
    }
    return ranges;
}

std::vector<ByteRange> PoolLayout::payload_at_first() const {
    std::vector<ByteRange> ranges;
    for (const ClassOffsets& one : classes) {
        ranges.push_back({one.payload_offset, one.config.slot_count * one.stride_bytes});
    }
    return ranges;
}

Result<PoolLayout> plan_pool(std::span<const SizeClassConfig> classes, std::uint32_t lane_count) {
    auto sorted = check_and_sort(classes);
    if (!sorted) return tl::unexpected(sorted.error());
    if (lane_count == 0 || lane_count >= lane_count_max) {
        return fail(Errc::invalid_argument, "a pool of " + std::to_string(lane_count) +
                                                " lanes is asked for; 1 to 4096 are possible");
    }
    PoolLayout plan;
    plan.lane_count = lane_count + 1;
    plan.block_shift = choose_block_shift(*sorted);
    plan.config_checksum = fold(fold(fnv_basis, plan.lane_count), sorted->size());

    Cursor control;
    Cursor payload;
    control.place(1, sizeof(PoolHeader), page_bytes);
    plan.classes_offset = control.place(sorted->size(), sizeof(ClassImage), cache_line_bytes);
    plan.lanes_offset = control.place(plan.lane_count, sizeof(LaneCell), cache_line_bytes);
    std::uint32_t next_block = 0;
    for (const SizeClassConfig& one : *sorted) {
        ClassOffsets at;
        at.config = one;
        at.stride_bytes = align_up(one.slot_size, cache_line_bytes);
        at.extent_limit = one.grows() ? extent_count_max : 1;
        at.extents_offset = control.place(at.extent_limit, sizeof(ExtentImage), cache_line_bytes);
        at.payload_offset = payload.place(one.most_slots(), at.stride_bytes, page_bytes);
        at.first_block = next_block;
        next_block += ((one.most_slots() - 1) >> plan.block_shift) + 1;
        plan.config_checksum = fold(fold(plan.config_checksum, one.slot_size), one.slot_count);
        plan.config_checksum = fold(plan.config_checksum, one.most_slots());
        plan.classes.push_back(at);
    }
    for (ClassOffsets& at : plan.classes) {
        at.records_offset =
            control.place(at.config.most_slots(), sizeof(SlotRecord), records_alignment(at.config));
    }
    plan.control_bytes = control.end(page_bytes);
    plan.payload_bytes = payload.end(page_bytes);
    if (control.overflowed() || payload.overflowed()) {
        return fail(Errc::size_overflow,
                    "the size classes together need more than 64 TiB; use fewer or smaller slots");
    }
    return plan;
}

}  // namespace shmpool
