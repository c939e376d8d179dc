// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "fuzz.hpp"
#include "shmpool/layout/heap_image.hpp"

namespace shmpool::fuzz {
namespace {

Seed seed_of(std::string name, std::size_t number, std::uint32_t place, std::uint64_t value) {
    Seed seed{std::move(name), std::vector<std::byte>(1 + sizeof(place) + sizeof(value))};
    seed.bytes[0] = static_cast<std::byte>(number);
    std::memcpy(seed.bytes.data() + 1, &place, sizeof(place));
    std::memcpy(seed.bytes.data() + 1 + sizeof(place), &value, sizeof(value));
    return seed;
}

}  // namespace

/// Each heap as it is, without its first word, and with one of no meaning; the rest is chance's.
std::vector<Seed> seeds() {
    constexpr std::uint32_t in_the_middle = 64 << 10;
    std::vector<Seed> all;
    for (std::size_t number = 0; number < 2 * heap_kinds.size(); ++number) {
        const std::string which = std::to_string(number);
        all.push_back({"sound_" + which, {static_cast<std::byte>(number)}});
        all.push_back(seed_of("headless_" + which, number, 0, 0));
        all.push_back(seed_of("dented_" + which, number, in_the_middle, ~std::uint64_t{0}));
    }
    return all;
}

}  // namespace shmpool::fuzz
