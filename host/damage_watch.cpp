// SPDX-License-Identifier: Apache-2.0
#include "host/damage_watch.hpp"

#include <cstddef>

#include "shmpool/platform/load_once.hpp"

namespace shmpool::host {

DamageWatch::DamageWatch(SegmentSteward& steward, ChannelDirectory& directory, const HostLog& log)
    : steward_(steward), directory_(directory), log_(log) {
    remember_all();
    remember_extents();
}

DamageWatch::Fixed DamageWatch::remember(const std::string& what, const void* first,
                                         std::size_t bytes) {
    Fixed fixed{what, {static_cast<const std::uint32_t*>(first), bytes / 4}, {}};
    for (const std::uint32_t& word : fixed.words) fixed.sound.push_back(load_once(word));
    return fixed;
}

void DamageWatch::remember_all() {
    const SegmentHeader& header = steward_.header();
    const PoolView& pool = steward_.pool().view();
    fixed_ = {remember("the segment's header", &header, offsetof(SegmentHeader, committed_bytes)),
              remember("the segment's count of regions", &header.region_count,
                       sizeof(header.region_count)),
              remember("the pool's name", header.pool_name, sizeof(header.pool_name)),
              remember("the directory of regions", header.regions, sizeof(header.regions)),
              remember("the pool's header", pool.header, offsetof(PoolHeader, pressure))};
    for (const ClassView& one : pool.all_classes()) {
        fixed_.push_back(
            remember("the image of a size class", one.image, offsetof(ClassImage, extent_count)));
    }
}

void DamageWatch::remember_extents() {
    extents_as_of_ = steward_.growth().changes();
    extents_.clear();
    for (const ClassView& one : steward_.pool().view().all_classes()) {
        extents_.push_back(
            remember("the image of a size class", &one.image->extent_count, sizeof(std::uint32_t)));
        for (std::uint32_t index = 0; index < one.extent_count(); ++index) {
            extents_.push_back(remember("the extent of a size class", one.extents + index,
                                        offsetof(ExtentImage, head)));
        }
    }
}

std::string DamageWatch::first_sign() const {
    for (const auto* const all : {&fixed_, &extents_}) {
        for (const Fixed& fixed : *all) {
            for (std::size_t i = 0; i < fixed.words.size(); ++i) {
                if (load_once(fixed.words[i]) != fixed.sound[i]) return fixed.what + " has changed";
            }
        }
    }
    if (!steward_.shows_its_state()) return "the host's state was written by somebody else";
    if (steward_.pool().view().damaged()) return "shared memory holds what no honest peer writes";
    return {};
}

void DamageWatch::look_if_due(std::uint64_t now_ns) {
    if (now_ns < next_look_ns_) return;
    next_look_ns_ = now_ns + damage_look_interval_ns;
    look();
}

void DamageWatch::look() {
    if (extents_as_of_ != steward_.growth().changes()) remember_extents();
    const std::string sign = first_sign();
    if (sign.empty() && !damaged_) return;
    if (!damaged_) {
        log_.error("the pool is damaged: " + sign +
                   "; 'shmpool doctor' says more, 'shmpool rebuild' makes it anew");
    }
    const bool is_news = !damaged_ || !steward_.pool().view().damaged();
    damaged_ = true;
    steward_.pool().view().mark_damaged();
    steward_.show_state_again();
    if (is_news) directory_.wake_everybody();
}

}  // namespace shmpool::host
