// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "fuzz.hpp"
#include "segment_input.hpp"
#include "shmpool/layout/pool_image.hpp"

namespace shmpool::fuzz {
namespace {

constexpr std::uint32_t growing_class_image = sizeof(ClassImage);

std::uint32_t place_in(Area area, std::size_t offset) {
    return static_cast<std::uint32_t>(area) << area_shift | static_cast<std::uint32_t>(offset);
}

struct Damage {
    std::uint32_t place = 0;
    std::uint64_t value = 0;
};

Seed seed_of(std::string name, const std::vector<Damage>& damage) {
    Seed seed{std::move(name), std::vector<std::byte>(damage.size() * record_bytes)};
    std::byte* to = seed.bytes.data();
    for (const Damage& one : damage) {
        std::memcpy(to, &one.place, sizeof(one.place));
        std::memcpy(to + sizeof(one.place), &one.value, sizeof(one.value));
        to += record_bytes;
    }
    return seed;
}

/// At once, and when a peer has attached.
void add_both(std::vector<Seed>& all, const std::string& name, std::uint32_t place,
              std::uint64_t value) {
    all.push_back(seed_of(name, {{place, value}}));
    all.push_back(seed_of("late_" + name, {{late | place, value}}));
}

}  // namespace

std::vector<Seed> seeds() {
    std::vector<Seed> all{{"healthy", {}}};
    const auto extent_count =
        place_in(Area::classes, growing_class_image + offsetof(ClassImage, extent_count));
    for (const std::uint32_t count : {0U, 1U, 4U, 255U, ~0U}) {
        add_both(all, "extents_" + std::to_string(count), extent_count, count);
    }
    for (const std::uint32_t index : {0U, 1U, 2U, 3U}) {
        const std::size_t image = index * sizeof(ExtentImage);
        const std::string name = "extent_" + std::to_string(index);
        for (const std::uint32_t count : {0U, 1U, 65U, ~0U}) {
            add_both(all, name + "_slots_" + std::to_string(count),
                     place_in(Area::extents, image + offsetof(ExtentImage, slot_count)), count);
        }
        for (const std::uint32_t top : {0U, 1U, 200U}) {
            add_both(all, name + "_withdrawn_" + std::to_string(top),
                     place_in(Area::extents, image + offsetof(ExtentImage, withdrawn)), top);
        }
        add_both(all, name + "_list", place_in(Area::extents, image + offsetof(ExtentImage, head)),
                 ~std::uint64_t{0});
    }
    add_both(all, "record", place_in(Area::records, 0), ~std::uint64_t{0});
    // As if a host had let the class grow, by what it may still have.
    const auto next = place_in(Area::extents, 3 * sizeof(ExtentImage));
    all.push_back(seed_of("grown", {{next, 32}, {extent_count, 4}}));
    all.push_back(seed_of("late_grown", {{late | next, 32}, {late | extent_count, 4}}));
    // And by one slot more.
    all.push_back(seed_of("overgrown", {{next, 33}, {extent_count, 4}}));
    all.push_back(seed_of("late_overgrown", {{late | next, 33}, {late | extent_count, 4}}));
    return all;
}

}  // namespace shmpool::fuzz
