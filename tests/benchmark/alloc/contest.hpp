// SPDX-License-Identifier: Apache-2.0
/// What every allocator of the contest does, alone and two at once, printed as one line of JSON;
/// `null` where there are not so many blocks, or not two processors.
///
/// An allocator has `Block take()`, `void* data(Block)`, `void give(Block)`, says by `blocks_max`
/// how many can be out at once, by `second` what its second actor is, and lets that one `join()`.
/// Taking never fails here.
#pragma once

#include <cstdio>

#include "two_actors.hpp"
#include "workloads.hpp"

namespace shmpool::contest {

template <typename Allocator>
void print_bursts(Allocator& allocator) {
    for (const std::size_t length : {64U, 512U, 4096U}) {
        if (length > Allocator::blocks_max) {
            std::printf(", \"burst_%zu\": null", length);
        } else {
            std::printf(", \"burst_%zu\": %.3f", length, time_of_bursts(allocator, length));
        }
    }
}

template <typename Allocator>
void print_two(Allocator& allocator, unsigned second_processor) {
    TwoActors<Allocator> actors(allocator, second_processor);
    std::printf(", \"probe\": %.1f", actors.probe());
    std::printf(", \"two\": %.3f", actors.each_for_itself());
    std::printf(", \"handed_over\": %.3f", actors.handed_over());
    actors.both_step_at_random();
    std::printf(", \"two_later\": %.3f", actors.each_for_itself());
    std::printf(", \"probe_later\": %.1f", actors.probe());
}

template <typename Allocator>
int run(Allocator& allocator) {
    const auto processors = two_processors();
    if (processors) stay_on(processors->first);
    std::printf("{\"pair\": %.3f", time_of_pairs(allocator));
    print_bursts(allocator);
    if (!processors || Allocator::blocks_max < blocks_of_two) {
        std::printf(R"(, "two": null, "handed_over": null, "two_later": null)");
    } else {
        print_two(allocator, processors->second);
    }
    std::printf("}\n");
    return 0;
}

}  // namespace shmpool::contest
