// SPDX-License-Identifier: Apache-2.0
/// Making and opening pools: the only places where geometry is read from or written to the segment.
/// Everything read is compared with what the same configuration would give on this side (I6).
#include <algorithm>
#include <string>

#include "shmpool/layout/layout_fingerprint.hpp"
#include "shmpool/platform/load_once.hpp"
#include "shmpool/pool/var_slot_pool.hpp"

namespace shmpool {
namespace {

template <typename Image>
Image* at(std::span<std::byte> memory, std::uint64_t offset) {
    return reinterpret_cast<Image*>(memory.data() + offset);
}

std::unique_ptr<PoolView> make_view(const PoolRegion& region, const PoolLayout& plan) {
    auto view = std::make_unique<PoolView>();
    view->header = at<PoolHeader>(region.control, 0);
    view->lanes = at<LaneCell>(region.control, plan.lanes_offset);
    view->lane_count = plan.lane_count;
    view->block_shift = plan.block_shift;
    view->class_count = static_cast<std::uint32_t>(plan.classes.size());
    for (std::uint32_t i = 0; i < view->class_count; ++i) {
        const ClassOffsets& from = plan.classes[i];
        ClassView& to = view->classes[i];
        to.image = at<ClassImage>(region.control, plan.classes_offset) + i;
        to.extents = at<ExtentImage>(region.control, from.extents_offset);
        to.records = at<SlotRecord>(region.control, from.records_offset);
        // An observer has no payload.
        to.payload = region.payload.empty() ? nullptr : region.payload.data() + from.payload_offset;
        to.slot_bytes = from.config.slot_size;
        to.stride_bytes = from.stride_bytes;
        to.records_offset = from.records_offset;
        to.payload_offset = from.payload_offset;
        to.slot_limit = from.config.most_slots();
        to.extent_limit = from.extent_limit;
        to.first_block = from.first_block;
        to.known = std::make_unique<KnownExtents>(from.extent_limit);
        to.known->learn(0, from.config.slot_count);
        to.slots_at_first = from.config.slot_count;
        to.look_for_growth();
    }
    for (std::uint32_t lines = 0; lines < view->class_by_lines.size(); ++lines) {
        std::uint32_t index = 0;
        const std::uint64_t above = lines == 0 ? 0 : (std::uint64_t{lines} - 1) * 64;
        while (index < view->class_count && view->classes[index].slot_bytes <= above) ++index;
        view->class_by_lines[lines] = static_cast<std::uint8_t>(index);
    }
    return view;
}

Result<void> check_region(const PoolRegion& region, const PoolLayout& plan) {
    for (const std::span<std::byte> memory : {region.control, region.payload}) {
        if (reinterpret_cast<std::uintptr_t>(memory.data()) % cache_line_bytes != 0) {
            return fail(Errc::misaligned_base,
                        "the pool's base is not a multiple of 64; give an aligned region");
        }
    }
    if (region.control.size() < plan.control_bytes || region.payload.size() < plan.payload_bytes) {
        return fail(Errc::region_too_small,
                    "the region has " + std::to_string(region.control.size()) + " + " +
                        std::to_string(region.payload.size()) + " bytes; these classes need " +
                        std::to_string(plan.control_bytes) + " + " +
                        std::to_string(plan.payload_bytes));
    }
    return {};
}

void write_images(const PoolRegion& region, const PoolLayout& plan) {
    auto* header = at<PoolHeader>(region.control, 0);
    header->magic = pool_magic;
    header->fingerprint = pool_fingerprint;
    header->class_count = static_cast<std::uint32_t>(plan.classes.size());
    header->lane_count = plan.lane_count;
    header->block_shift = plan.block_shift;
    header->config_checksum = plan.config_checksum;
    header->control_bytes = plan.control_bytes;
    header->payload_bytes = plan.payload_bytes;
    header->classes_offset = plan.classes_offset;
    header->lanes_offset = plan.lanes_offset;
    auto* classes = at<ClassImage>(region.control, plan.classes_offset);
    for (std::size_t i = 0; i < plan.classes.size(); ++i) {
        const ClassOffsets& from = plan.classes[i];
        classes[i].slot_bytes = from.config.slot_size;
        classes[i].stride_bytes = from.stride_bytes;
        classes[i].extents_offset = from.extents_offset;
        classes[i].records_offset = from.records_offset;
        classes[i].payload_offset = from.payload_offset;
        classes[i].slot_limit = from.config.most_slots();
        classes[i].extent_limit = from.extent_limit;
        classes[i].first_block = from.first_block;
        classes[i].extent_count.store(1, std::memory_order_relaxed);
        auto* extent = at<ExtentImage>(region.control, from.extents_offset);
        extent->slot_count.store(from.config.slot_count, std::memory_order_relaxed);
        // The head and all links stay 0: that is the full list 0, 1, 2, ... by their encoding.
    }
    header->layout_version.store(layout_version, std::memory_order_release);  // [R-publish]
}

Result<void> check_header(std::span<const std::byte> control) {
    if (reinterpret_cast<std::uintptr_t>(control.data()) % cache_line_bytes != 0) {
        return fail(Errc::misaligned_base,
                    "the pool's base is not a multiple of 64; give an aligned region");
    }
    if (control.size() < sizeof(PoolHeader)) {
        return fail(Errc::region_too_small, "the region is shorter than a pool header (128 bytes)");
    }
    const auto* header = reinterpret_cast<const PoolHeader*>(control.data());
    const std::uint32_t version =
        header->layout_version.load(std::memory_order_acquire);  // [A-publish]
    if (version == 0) {
        return fail(Errc::not_yet_published,
                    "the pool is not yet initialised (layout_version 0); try again");
    }
    if (header->magic != pool_magic) {
        return fail(Errc::wrong_magic, "no pool begins here (wrong magic number)");
    }
    if (version != layout_version) {
        return fail(Errc::wrong_layout_version, "the pool has layout version " +
                                                    std::to_string(version) + ", this build has " +
                                                    std::to_string(layout_version));
    }
    if (header->fingerprint != pool_fingerprint) {
        return fail(Errc::wrong_fingerprint,
                    "the pool has layout fingerprint " + std::to_string(header->fingerprint) +
                        ", this build has " + std::to_string(pool_fingerprint));
    }
    return {};
}

tl::unexpected<Error> damaged(const std::string& what) {
    return fail(Errc::damaged_header, "the pool's header is damaged: " + what);
}

}  // namespace

Result<PoolRegion> PoolRegion::single(std::span<std::byte> region, std::uint64_t base_offset,
                                      const PoolLayout& layout) {
    if (base_offset % cache_line_bytes != 0) {
        return fail(Errc::misaligned_base,
                    "base offset " + std::to_string(base_offset) + " is not a multiple of 64");
    }
    const std::uint64_t control = layout.total_bytes() - layout.payload_bytes;
    if (base_offset > region.size() || region.size() - base_offset < layout.total_bytes()) {
        return fail(Errc::region_too_small,
                    "the region has " + std::to_string(region.size()) + " bytes; a pool of " +
                        std::to_string(layout.total_bytes()) + " bytes does not fit at offset " +
                        std::to_string(base_offset));
    }
    const std::span<std::byte> pool = region.subspan(base_offset);
    return PoolRegion{pool.first(control), pool.subspan(control, layout.payload_bytes)};
}

Result<std::uint64_t> VarSlotPool::required_size(std::span<const SizeClassConfig> configs,
                                                 std::uint32_t lane_count) {
    auto plan = plan_pool(configs, lane_count);
    if (!plan) return tl::unexpected(plan.error());
    return plan->total_bytes();
}

Result<std::vector<SizeClassConfig>> VarSlotPool::discover_configs(
    std::span<const std::byte> control) {
    if (auto sound = check_header(control); !sound) return tl::unexpected(sound.error());
    const auto* header = reinterpret_cast<const PoolHeader*>(control.data());
    const std::uint32_t count = load_once(header->class_count);
    const std::uint64_t offset = load_once(header->classes_offset);
    if (count == 0 || count > class_count_max) return damaged("class count");
    if (offset % cache_line_bytes != 0 || offset > control.size() ||
        (control.size() - offset) / sizeof(ClassImage) < count) {
        return damaged("the class table lies outside of the region");
    }
    std::vector<SizeClassConfig> configs;
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto* image = reinterpret_cast<const ClassImage*>(control.data() + offset) + i;
        const std::uint64_t extent_offset = load_once(image->extents_offset);
        if (extent_offset % cache_line_bytes != 0 || extent_offset > control.size() ||
            control.size() - extent_offset < sizeof(ExtentImage)) {
            return damaged("extent table of class " + std::to_string(i));
        }
        const auto* extent = reinterpret_cast<const ExtentImage*>(control.data() + extent_offset);
        configs.push_back({load_once(image->slot_bytes),
                           extent->slot_count.load(std::memory_order_relaxed),
                           load_once(image->slot_limit)});
        SizeClassConfig& found = configs.back();
        if (found.slot_size == 0 || found.slot_count == 0 || found.slot_limit == 0) {
            return damaged("class " + std::to_string(i) + " has size, count or limit 0");
        }
        if (found.slot_limit == found.slot_count) found.slot_limit = 0;
    }
    return configs;
}

Result<VarSlotPool> VarSlotPool::init(const PoolRegion& region,
                                      std::span<const SizeClassConfig> configs,
                                      std::uint32_t lane_count) {
    auto plan = plan_pool(configs, lane_count);
    if (!plan) return tl::unexpected(plan.error());
    if (auto fits = check_region(region, *plan); !fits) return tl::unexpected(fits.error());
    write_images(region, *plan);
    return VarSlotPool(make_view(region, *plan));
}

namespace {

/// Whether the class says what the plan would have written; the offsets of both tables are checked
/// already.
bool same_image(std::span<const std::byte> control, const PoolLayout& plan, std::size_t number) {
    const ClassOffsets& from = plan.classes[number];
    const auto& image =
        reinterpret_cast<const ClassImage*>(control.data() + plan.classes_offset)[number];
    const std::uint32_t extents = image.extent_count.load(std::memory_order_relaxed);
    return image.slot_bytes == from.config.slot_size && image.stride_bytes == from.stride_bytes &&
           image.extents_offset == from.extents_offset &&
           image.records_offset == from.records_offset &&
           image.payload_offset == from.payload_offset &&
           image.slot_limit == from.config.most_slots() &&
           image.extent_limit == from.extent_limit && image.first_block == from.first_block &&
           extents != 0 && extents <= from.extent_limit;
}

/// The plan that the images were written from, made anew: offsets in the images are never trusted.
Result<PoolLayout> rediscover(std::span<const std::byte> control) {
    auto found = VarSlotPool::discover_configs(control);
    if (!found) return tl::unexpected(found.error());
    const auto* header = reinterpret_cast<const PoolHeader*>(control.data());
    auto plan = plan_pool(*found, load_once(header->lane_count) - 1);
    if (!plan) return damaged(plan.error().message);
    if (header->config_checksum != plan->config_checksum ||
        header->control_bytes != plan->control_bytes ||
        header->payload_bytes != plan->payload_bytes || header->block_shift != plan->block_shift ||
        header->classes_offset != plan->classes_offset ||
        header->lanes_offset != plan->lanes_offset) {
        return damaged("its checksum does not fit its classes");
    }
    for (std::size_t i = 0; i < plan->classes.size(); ++i) {
        if (!same_image(control, *plan, i)) return damaged("image of class " + std::to_string(i));
    }
    return plan;
}

}  // namespace

Result<VarSlotPool> VarSlotPool::attach(const PoolRegion& region,
                                        std::span<const SizeClassConfig> configs) {
    auto plan = rediscover(region.control);
    if (!plan) return tl::unexpected(plan.error());
    if (auto fits = check_region(region, *plan); !fits) return tl::unexpected(fits.error());
    if (!configs.empty()) {
        auto wanted = plan_pool(configs, plan->lane_count - 1);
        if (!wanted) return tl::unexpected(wanted.error());
        if (wanted->config_checksum != plan->config_checksum) {
            return fail(Errc::config_mismatch,
                        "the pool was made with other size classes than the ones asked for");
        }
    }
    return VarSlotPool(make_view(region, *plan));
}

Result<VarSlotPool> VarSlotPool::observe(std::span<std::byte> control) {
    auto plan = rediscover(control);
    if (!plan) return tl::unexpected(plan.error());
    if (control.size() < plan->control_bytes) {
        return fail(Errc::region_too_small, "the region is shorter than the pool in it");
    }
    return VarSlotPool(make_view(PoolRegion{control, {}}, *plan));
}

}  // namespace shmpool
