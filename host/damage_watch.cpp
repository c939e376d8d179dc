// SPDX-License-Identifier: Apache-2.0
#include "host/damage_watch.hpp"

#include <cstddef>

#include "shmpool/platform/load_once.hpp"

namespace shmpool::host {

DamageWatch::DamageWatch(SegmentSteward& steward, ChannelDirectory& directory, const HostLog& log)
    : steward_(steward), directory_(directory), log_(log) {
    remember_all();
    for (std::uint32_t i = 0; i < steward_.pool().class_count(); ++i) {
        extents_.push_back(remember_extents(i));
    }
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

DamageWatch::Extents DamageWatch::remember_extents(std::uint32_t class_index) const {
    const ClassView& view = steward_.pool().view().classes[class_index];
    Extents extents{
        remember("the image of a size class", &view.image->extent_count, sizeof(std::uint32_t)),
        {},
        steward_.growth().changes_of(class_index)};
    for (std::uint32_t index = 0; index < view.extent_count(); ++index) {
        extents.each.push_back(remember("the extent of a size class", view.extents + index,
                                        offsetof(ExtentImage, head)));
    }
    return extents;
}

/// What this host has changed itself since, and no more, is remembered anew: a count that has grown
/// by as many as it has opened, and what was withdrawn or is back. No size ever changes.
std::string DamageWatch::sign_in_extents() {
    for (std::uint32_t index = 0; index < extents_.size(); ++index) {
        Extents& before = extents_[index];
        const auto changes = steward_.growth().changes_of(index);
        const bool by_the_host = changes.count != before.as_of.count;
        const std::uint32_t count = before.count.sound[0] + changes.opened - before.as_of.opened;
        if (load_once(before.count.words[0]) != count) return before.count.what + " has changed";
        for (const Fixed& one : before.each) {
            if (load_once(one.words[0]) != one.sound[0]) return one.what + " has changed";
            if (!by_the_host && has_changed(one)) return one.what + " has changed";
        }
        if (by_the_host) before = remember_extents(index);
    }
    return {};
}

bool DamageWatch::has_changed(const Fixed& fixed) {
    for (std::size_t i = 0; i < fixed.words.size(); ++i) {
        if (load_once(fixed.words[i]) != fixed.sound[i]) return true;
    }
    return false;
}

std::string DamageWatch::first_sign() {
    for (const Fixed& fixed : fixed_) {
        if (has_changed(fixed)) return fixed.what + " has changed";
    }
    if (std::string sign = sign_in_extents(); !sign.empty()) return sign;
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
