// SPDX-License-Identifier: Apache-2.0
/// Whether the pool is still sound, as far as the host can tell without walking through it: what
/// was written once must stay as it was, the host's own state must be the one it has shown, and
/// nobody may have marked the pool as damaged. The first sign is logged with the remedy. A damaged
/// pool stays marked, whoever clears the mark, and all who sleep are woken to hear of it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "host/host_log.hpp"
#include "host/segment_steward.hpp"
#include "protocol/channel_directory.hpp"

namespace shmpool::host {

inline constexpr std::uint64_t damage_look_interval_ns = 500'000'000;

/// The event loop's thread.
class DamageWatch {
public:
    DamageWatch(SegmentSteward& steward, ChannelDirectory& directory, const HostLog& log);

    [[nodiscard]] std::uint64_t next_look_ns() const { return next_look_ns_; }
    void look_if_due(std::uint64_t now_ns);
    void look();

private:
    /// Words that nobody writes after the pool has been published, and what they were then.
    struct Fixed {
        std::string what;
        std::span<const std::uint32_t> words;
        std::vector<std::uint32_t> sound;
    };
    [[nodiscard]] static Fixed remember(const std::string& what, const void* first,
                                        std::size_t bytes);
    [[nodiscard]] static bool has_changed(const Fixed& fixed);
    void remember_all();
    /// What the host alone writes of a class, and what it had done to it itself by then.
    struct Extents {
        Fixed count;
        std::vector<Fixed> each;
        PoolGrowth::Changes as_of;
    };
    [[nodiscard]] Extents remember_extents(std::uint32_t class_index) const;
    [[nodiscard]] std::string sign_in_extents();
    [[nodiscard]] std::string first_sign();

    SegmentSteward& steward_;
    ChannelDirectory& directory_;
    const HostLog& log_;
    std::vector<Fixed> fixed_;
    std::vector<Extents> extents_;  ///< By class.
    bool damaged_ = false;
    std::uint64_t next_look_ns_ = 0;
};

}  // namespace shmpool::host
