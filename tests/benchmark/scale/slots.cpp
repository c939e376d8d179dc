// SPDX-License-Identifier: Apache-2.0
/// What slots cost in small pools and in a large one: scale_slots CLASSES:SLOTS..., for each of
/// which there is a pool with so many slots in all. Every pool is asked for the same sizes in the
/// same order, and all by turns: a smaller number of classes serves them with larger slots. Prints
/// nanoseconds for each slot that was taken, touched and given back, as JSON: the median of the
/// turns.
///
///   pair   one after the other, of one size
///   sizes  one after the other, of sizes that belong to all classes
///   among  half a thousand are out; one of them goes back and another comes, at random
///   half   the same with half of all slots out: of many, hardly one is in a processor's cache
#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "shmpool/platform/memory_object.hpp"
#include "shmpool/platform/monotonic_clock.hpp"
#include "shmpool/platform/shared_mapping.hpp"
#include "shmpool/pool/var_slot_pool.hpp"
#include "tests/benchmark/alloc/workloads.hpp"

namespace shmpool::contest {
namespace {

using Loaned = VarSlotPool::Loaned;

constexpr std::uint32_t lanes = 4;
constexpr std::size_t among_slots = 400;  // Of the smallest pool, whatever sizes they have.
constexpr std::size_t choices = 8192;
constexpr int turns = 201;

std::vector<SizeClassConfig> classes_of(std::uint32_t class_count, std::uint32_t slots) {
    std::vector<SizeClassConfig> classes;
    for (std::uint32_t i = 0; i < class_count; ++i) {
        const std::uint64_t bytes = block_bytes / class_count * (i + 1);
        classes.push_back({bytes, slots / class_count});
    }
    return classes;
}

class Pool {
public:
    explicit Pool(const std::vector<SizeClassConfig>& classes) {
        const auto layout = VarSlotPool::layout(classes, lanes);
        memory_ = *create_memory_object("contest", layout->total_bytes());
        mapping_ = *SharedMapping::map(memory_, layout->total_bytes(), Access::read_write);
        const auto region = PoolRegion::single(mapping_.span(), 0, *layout);
        pool_ = std::make_unique<VarSlotPool>(*VarSlotPool::init(*region, classes, lanes));
        lane_ = *pool_->open_lane(1);
    }

    Loaned take(std::uint64_t bytes) {
        const Loaned slot = *pool_->loan(*lane_, bytes);
        touch(pool_->view().classes[slot.class_index].data(position_of(slot.key)));
        return slot;
    }
    void give(Loaned slot) { (void)pool_->end_loan(*lane_, slot); }

private:
    Descriptor memory_;
    SharedMapping mapping_;
    std::unique_ptr<VarSlotPool> pool_;
    std::unique_ptr<Lane> lane_;
};

/// The same in every pool.
struct Choices {
    explicit Choices(std::size_t out) {
        std::mt19937 random(1);
        for (std::uint64_t& one : bytes) one = 1 + random() % block_bytes;
        for (std::size_t& one : victims) one = random() % out;
    }
    std::array<std::uint64_t, choices> bytes{};
    std::array<std::size_t, choices> victims{};
};

struct Contestant {
    Pool pool;
    std::uint32_t slots = 0;
    std::string figures;
};

Contestant contestant_of(const char* text) {
    char* colon = nullptr;
    const auto classes = static_cast<std::uint32_t>(std::strtoul(text, &colon, 10));
    const auto slots = static_cast<std::uint32_t>(std::atoi(colon + 1));
    return {Pool(classes_of(classes, slots)), slots, {}};
}

/// `act(i)` has `choices` slots taken and given back in the pool of the i-th contestant.
template <typename Act>
void take_turns(std::vector<Contestant>& all, const char* name, Act act) {
    std::vector<std::vector<double>> times(all.size());
    for (std::size_t i = 0; i < all.size(); ++i) act(i);  // Warm.
    for (int turn = 0; turn < turns; ++turn) {
        for (std::size_t i = 0; i < all.size(); ++i) {
            const std::uint64_t begin_ns = monotonic_ns();
            act(i);
            times[i].push_back(static_cast<double>(monotonic_ns() - begin_ns) / choices);
        }
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
        std::ranges::sort(times[i]);
        all[i].figures += (all[i].figures.empty() ? "\"" : ", \"") + std::string(name) +
                          "\": " + std::to_string(times[i][turns / 2]);
    }
}

void measure_pairs(std::vector<Contestant>& all) {
    const Choices wanted(1);
    take_turns(all, "pair", [&](std::size_t number) {
        Pool& pool = all[number].pool;
        for (std::size_t i = 0; i < choices; ++i) pool.give(pool.take(block_bytes / 2));
    });
    take_turns(all, "sizes", [&](std::size_t number) {
        Pool& pool = all[number].pool;
        for (const std::uint64_t bytes : wanted.bytes) pool.give(pool.take(bytes));
    });
}

/// `out_of(slots)` of them are out.
template <typename OutOf>
void measure_among(std::vector<Contestant>& all, const char* name, OutOf out_of) {
    std::vector<Choices> wanted;
    std::vector<std::vector<Loaned>> live(all.size());
    for (std::size_t number = 0; number < all.size(); ++number) {
        const std::size_t out = out_of(all[number].slots);
        wanted.emplace_back(out);
        for (std::size_t i = 0; i < out; ++i) {
            live[number].push_back(all[number].pool.take(wanted[number].bytes[i % choices]));
        }
    }
    take_turns(all, name, [&](std::size_t number) {
        for (std::size_t i = 0; i < choices; ++i) {
            Loaned& one = live[number][wanted[number].victims[i]];
            all[number].pool.give(one);
            one = all[number].pool.take(wanted[number].bytes[i]);
        }
    });
    for (std::size_t number = 0; number < all.size(); ++number) {
        for (const Loaned& one : live[number]) all[number].pool.give(one);
    }
}

}  // namespace
}  // namespace shmpool::contest

int main(int argument_count, char** arguments) {
    using namespace shmpool::contest;
    std::vector<Contestant> all;
    for (int i = 1; i < argument_count; ++i) all.push_back(contestant_of(arguments[i]));
    measure_pairs(all);
    measure_among(all, "among", [](std::uint32_t) { return among_slots; });
    measure_among(all, "half", [](std::uint32_t slots) { return std::size_t{slots / 2}; });
    std::string text;
    for (const Contestant& one : all) text += (text.empty() ? "{" : ", {") + one.figures + "}";
    std::printf("[%s]\n", text.c_str());
    return 0;
}
