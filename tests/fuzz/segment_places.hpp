// SPDX-License-Identifier: Apache-2.0
/// What segments are to reach; all but one have damage.
#pragma once

#include <array>

#include "fuzz.hpp"

namespace shmpool::fuzz {

struct Place {
    static constexpr const char* damage_found = "audit: damage found";
    static constexpr const char* attached = "peer: attached";
    static constexpr const char* attach_refused = "peer: refused";
    static constexpr const char* growth_learned = "peer: learned of an extent that came later";
    static constexpr const char* later_slot_taken = "peer: had a slot of a later extent";
    static constexpr const char* less_found = "peer: did not find all slots";
    static constexpr const char* free_refused = "peer: could not free its slot";
    static constexpr const char* taken_over = "next host: took over";
    static constexpr const char* takeover_refused = "next host: refused";
    static constexpr const char* grown = "next host: let the class grow";
    static constexpr const char* not_grown = "next host: could not let the class grow";
    static constexpr const char* shrunk = "next host: withdrew an extent";

    static constexpr std::array all{damage_found,     attached,   attach_refused, growth_learned,
                                    later_slot_taken, less_found, free_refused,   taken_over,
                                    takeover_refused, grown,      not_grown,      shrunk};
};

[[nodiscard]] inline Reach& segment_reach() {
    static Reach reach({Place::all.begin(), Place::all.end()});
    return reach;
}

}  // namespace shmpool::fuzz
