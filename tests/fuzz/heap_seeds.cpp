// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "fuzz.hpp"
#include "heap_input.hpp"

namespace shmpool::fuzz {
namespace {

Seed seed_of(std::string name, std::uint8_t number, std::uint32_t place, std::uint64_t value) {
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
    for (const HeapKind kind : heap_kinds) {
        const std::string name(name_of(kind));
        const std::uint8_t number = number_of(kind, false);
        all.push_back({"sound_" + name, {static_cast<std::byte>(number)}});
        all.push_back({"sound_owned_" + name, {static_cast<std::byte>(number_of(kind, true))}});
        all.push_back(seed_of("headless_" + name, number, 0, 0));
        all.push_back(seed_of("dented_" + name, number, in_the_middle, ~std::uint64_t{0}));
    }
    return all;
}

}  // namespace shmpool::fuzz
