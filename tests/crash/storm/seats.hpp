// SPDX-License-Identifier: Apache-2.0
/// Who takes part in a storm. Each seat is always taken: who is killed is replaced at once.
#pragma once

#include <array>
#include <cstdint>

#include "board.hpp"
#include "protocol/layout/protocol_images.hpp"

namespace shmpool::storm {

enum class Part : std::uint8_t { writer, reader, churner, keeper, founder };

struct Seat {
    Part part;
    const char* channel;  ///< Keepers and founders have none.
    ChannelPolicy policy;
    bool killed = true;  ///< Now and then. All are stopped now and then.
};

inline constexpr std::array seats{
    // The two that live through it all. They come first, so that the reader misses nothing.
    Seat{Part::reader, "steady", ChannelPolicy::block, false},
    Seat{Part::writer, "steady", ChannelPolicy::block, false},
    Seat{Part::reader, "steady", ChannelPolicy::block},
    Seat{Part::writer, "steady", ChannelPolicy::block},
    Seat{Part::reader, "busy", ChannelPolicy::block},
    Seat{Part::writer, "busy", ChannelPolicy::block},
    Seat{Part::reader, "busy", ChannelPolicy::block},
    Seat{Part::writer, "busy", ChannelPolicy::block},
    Seat{Part::reader, "newest", ChannelPolicy::drop_newest},
    Seat{Part::writer, "newest", ChannelPolicy::drop_newest},
    Seat{Part::reader, "oldest", ChannelPolicy::drop_oldest},
    Seat{Part::writer, "oldest", ChannelPolicy::drop_oldest},
    Seat{Part::reader, "oldest", ChannelPolicy::drop_oldest},
    Seat{Part::churner, "busy", ChannelPolicy::block},
    Seat{Part::churner, "oldest", ChannelPolicy::drop_oldest},
    Seat{Part::keeper, "", ChannelPolicy::block},
    Seat{Part::keeper, "", ChannelPolicy::block},
    Seat{Part::founder, "", ChannelPolicy::block},
    Seat{Part::founder, "", ChannelPolicy::block},
};
inline constexpr std::size_t steady_reader = 0;
inline constexpr std::size_t steady_writer = 1;
static_assert(seats.size() <= seats_max);

[[nodiscard]] constexpr const char* name_of(Part part) {
    switch (part) {
        case Part::writer: return "writer";
        case Part::reader: return "reader";
        case Part::churner: return "churner";
        case Part::keeper: return "keeper";
        case Part::founder: return "founder";
    }
    return "";
}

}  // namespace shmpool::storm
