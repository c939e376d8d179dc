// SPDX-License-Identifier: Apache-2.0
/// The blows of a storm, one after the other, drawn from its seed alone: the same seed gives the
/// same blows, whatever the machine does meanwhile.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>

namespace shmpool::storm {

enum class Blow : std::uint8_t {
    kill,       ///< A peer.
    stop,       ///< A peer, which goes on after `lasts`, if it is not killed before.
    kill_host,  ///< The next one is started after `lasts`.
    stop_host,  ///< It goes on after `lasts`.
};

struct Step {
    std::chrono::microseconds pause;  ///< Before it.
    Blow blow;
    std::size_t seat;  ///< Not of the host.
    std::chrono::microseconds lasts;
};

class Plan {
public:
    Plan(std::uint64_t seed, double kills_per_second);

    Step next();

private:
    double uniform();  ///< Below 1.
    std::chrono::microseconds about(std::chrono::microseconds mean);
    std::size_t draw_seat(bool to_be_killed);

    std::mt19937_64 random_;
    std::chrono::microseconds mean_pause_;
};

}  // namespace shmpool::storm
