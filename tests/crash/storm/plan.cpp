// SPDX-License-Identifier: Apache-2.0
#include "plan.hpp"

#include <algorithm>
#include <cmath>

#include "seats.hpp"

namespace shmpool::storm {

using namespace std::chrono_literals;

namespace {

// Of a hundred blows.
constexpr std::uint64_t stops = 12;
constexpr std::uint64_t host_kills = 3;
constexpr std::uint64_t host_stops = 2;
constexpr std::uint64_t kills = 100 - stops - host_kills - host_stops;

/// Of the kills: follow at once, so that who repairs finds several dead.
constexpr double in_one_go = 0.25;

/// No stop lasts longer: somebody who is waited for is stopped for less than any patience.
constexpr std::chrono::microseconds longest = 500ms;

}  // namespace

Plan::Plan(std::uint64_t seed, double kills_per_second)
    : random_(seed),
      mean_pause_(static_cast<std::int64_t>(1e6 * (kills + host_kills) / (100 - kills * in_one_go) /
                                            kills_per_second)) {}

Step Plan::next() {
    Step step{about(mean_pause_), Blow::kill, 0, 0us};
    const std::uint64_t kind = random_() % 100;
    if (kind < kills) {
        step.seat = draw_seat(true);
        if (uniform() < in_one_go) step.pause = 0us;
    } else if (kind < kills + stops) {
        step.blow = Blow::stop;
        step.seat = draw_seat(false);
        step.lasts = about(20ms);
    } else if (kind < kills + stops + host_kills) {
        step.blow = Blow::kill_host;
        // Every other time the next one is there at once.
        step.lasts = random_() % 2 == 0 ? 0us : about(20ms);
    } else {
        step.blow = Blow::stop_host;
        step.lasts = about(20ms);
    }
    return step;
}

double Plan::uniform() {
    return static_cast<double>(random_() >> 11U) * 0x1p-53;
}

/// Memoryless. The library's own distributions may differ from machine to machine.
std::chrono::microseconds Plan::about(std::chrono::microseconds mean) {
    const double uniform = static_cast<double>(random_() >> 11U) * 0x1p-53;
    const auto drawn =
        static_cast<std::int64_t>(-std::log1p(-uniform) * static_cast<double>(mean.count()));
    return std::min(std::chrono::microseconds(drawn), longest);
}

std::size_t Plan::draw_seat(bool to_be_killed) {
    for (;;) {
        const std::size_t seat = random_() % seats.size();
        if (seats[seat].killed || !to_be_killed) return seat;
    }
}

}  // namespace shmpool::storm
