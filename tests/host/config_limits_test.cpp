// SPDX-License-Identifier: Apache-2.0
/// What check_config refuses, wherever the values come from. Method: the defaults, one value
/// changed.
#include <gmock/gmock.h>

#include <string>
#include <utility>
#include <vector>

#include "host/pool_config.hpp"

namespace shmpool::host {
namespace {

using testing::HasSubstr;

const MemoryProbe plenty = [] { return ~std::uint64_t{0}; };

template <typename Change>
std::string error_after(Change change, const MemoryProbe& memory = plenty) {
    PoolConfig config;
    change(config);
    const auto checked = check_config(config, memory);
    if (checked) return "no error";
    EXPECT_EQ(checked.error().code, Errc::invalid_config);
    return checked.error().message;
}

TEST(ConfigCheck, AcceptsTheDefaultsOnThisMachine) {
    EXPECT_TRUE(check_config(PoolConfig{}, machine_memory_bytes));
    EXPECT_GT(machine_memory_bytes(), 64U << 20);
}

TEST(ConfigCheck, AcceptsEveryLimitAtItsMaximumAndRefusesOneMore) {
    const std::vector<std::pair<std::uint32_t PoolLimits::*, std::uint32_t>> maximums{
        {&PoolLimits::peers, 1000},
        {&PoolLimits::lanes, 4096},
        {&PoolLimits::channels, 1024},
        {&PoolLimits::publishers, 4096},
        {&PoolLimits::subscribers, 4096},
        {&PoolLimits::rings, 65'536},
        {&PoolLimits::ring_entries, 1U << 24},
        {&PoolLimits::publishers_per_channel, 1024},
        {&PoolLimits::heaps, 256}};
    PoolConfig largest;
    for (const auto& [field, maximum] : maximums) largest.limits.*field = maximum;
    EXPECT_TRUE(check_config(largest, plenty));
    for (const auto& [field, maximum] : maximums) {
        PoolConfig config = largest;
        config.limits.*field = maximum + 1;
        EXPECT_FALSE(check_config(config, plenty)) << maximum;
        config.limits.*field = 0;
        EXPECT_FALSE(check_config(config, plenty)) << maximum;
    }
}

TEST(ConfigCheck, NamesKeyValueAndRange) {
    EXPECT_EQ(error_after([](PoolConfig& config) { config.limits.peers = 1001; }),
              "[limits] peers is 1001, must be 1 to 1000");
}

TEST(ConfigCheck, WantsALanePerPeerAndAnEntryPerRing) {
    EXPECT_THAT(error_after([](PoolConfig& config) { config.limits.peers = 257; }),
                HasSubstr("each of 257 peers needs at least one"));
    EXPECT_THAT(error_after([](PoolConfig& config) { config.limits.ring_entries = 1000; }),
                HasSubstr("each of 1024 rings needs at least one"));
}

TEST(ConfigCheck, RefusesHeapsThatDoNotFit) {
    const auto with = [](std::vector<HeapRequest> heaps) {
        return error_after([&](PoolConfig& config) {
            config.limits.heap_bytes = 1 << 20;
            config.limits.heaps = 2;
            config.heaps = std::move(heaps);
        });
    };
    const auto heap = [](const char* name, std::uint64_t bytes) {
        return HeapRequest{name, HeapKind::tlsf, bytes, 0, {}, OnDeath::keep, 0, 0};
    };
    EXPECT_THAT(with({heap("a", 1 << 19), heap("b", (1 << 19) + 1)}),
                HasSubstr("[[heap]] 'b' has the size 512.0KiB, must be 1B to 512KiB"));
    EXPECT_THAT(with({heap("a", 0)}), HasSubstr("[[heap]] 'a' has the size 0B"));
    EXPECT_THAT(with({heap("a b", 1)}), HasSubstr("' ' at position 2 is not allowed"));
    EXPECT_THAT(with({heap("a", 1), heap("b", 1), heap("c", 1)}),
                HasSubstr("there are 3 [[heap]] entries, [limits] heaps is 2"));
    EXPECT_THAT(
        error_after([](PoolConfig& config) { config.limits.heap_bytes = std::uint64_t{1} << 60; }),
        HasSubstr("[limits] heap_bytes is"));
}

TEST(ConfigCheck, RefusesWrongNumbersOfClasses) {
    EXPECT_THAT(error_after([](PoolConfig& config) { config.classes.clear(); }),
                HasSubstr("no [[class]]"));
    EXPECT_THAT(error_after([](PoolConfig& config) {
                    config.classes.clear();
                    for (std::uint64_t size = 64; size < 64 + 65; ++size) {
                        config.classes.push_back({size, 1});
                    }
                }),
                HasSubstr("65 [[class]] entries, the limit is 64"));
}

TEST(ConfigCheck, RefusesTwoClassesOfOneSize) {
    EXPECT_THAT(error_after([](PoolConfig& config) {
                    config.classes.push_back({65'536, 7});
                }),
                HasSubstr("number 2 and number 4 both have slot_size 64KiB"));
}

TEST(ConfigCheck, NamesTheClassThatIsWrong) {
    EXPECT_THAT(error_after([](PoolConfig& config) { config.classes[1].slot_count = 0; }),
                HasSubstr("[[class]] number 2: slot_count is 0"));
}

TEST(ConfigCheck, RefusesAPoolLargerThanTheMachinesMemory) {
    const std::uint64_t needed = committed_bytes_of(PoolConfig{});
    EXPECT_GT(needed, 68U << 20);
    EXPECT_LT(needed, 72U << 20) << "the documentation says about 70 MiB";
    EXPECT_TRUE(check_config(PoolConfig{}, [&] { return needed; }));
    const std::string error = error_after([](PoolConfig&) {}, [&] { return needed - 1; });
    EXPECT_THAT(error, HasSubstr(std::to_string(needed) + " bytes"));
    EXPECT_THAT(error, HasSubstr("this machine has"));
}

TEST(ConfigCheck, RefusesMoreAddressSpaceThanThereIs) {
    const auto with_limit = [](std::uint32_t limit) {
        return error_after([limit](PoolConfig& config) {
            config.classes[2].slot_limit = limit;  // Of 1 MiB.
        });
    };
    EXPECT_EQ(with_limit(16'700'000), "no error");
    EXPECT_THAT(with_limit(1U << 24), HasSubstr("bytes), must be at most 16TiB; lower slot_size"));
}

TEST(ConfigCheck, ComputesTheLargestPoolWithoutOverflow) {
    PoolConfig config;
    config.classes.clear();
    for (std::uint64_t index = 0; index < 64; ++index) {
        config.classes.push_back({(std::uint64_t{1} << 30) - index, 1U << 24});
    }
    EXPECT_GT(committed_bytes_of(config), std::uint64_t{1} << 59);
    EXPECT_FALSE(check_config(config, [] { return std::uint64_t{1} << 50; }));
}

TEST(ConfigCheck, RefusesNamesAndPathsThatCanNotBe) {
    EXPECT_THAT(error_after([](PoolConfig& config) { config.name = "a b"; }),
                HasSubstr("[pool] name: pool name \"a b\": ' ' at position 2"));
    EXPECT_THAT(error_after([](PoolConfig& config) { config.socket_path = "pool.sock"; }),
                HasSubstr("must be an absolute path"));
    EXPECT_THAT(
        error_after([](PoolConfig& config) { config.socket_path = "/" + std::string(200, 'x'); }),
        HasSubstr("has 201 bytes, the limit of the system is 107"));
}

TEST(ConfigCheck, RefusesDurationsOutOfRange) {
    EXPECT_EQ(error_after([](PoolConfig& config) { config.stop_grace_ms = 600'001; }),
              "[stop] grace is 600001ms, must be 0ms to 10m");
    EXPECT_EQ(error_after([](PoolConfig& config) { config.suspect_after_ms = 99; }),
              "[death] suspect_after is 99ms, must be 100ms to 24h");
    EXPECT_EQ(error_after([](PoolConfig& config) { config.takeover_patience_ms = 600'001; }),
              "[takeover] patience is 600001ms, must be 0ms to 10m");
}

}  // namespace
}  // namespace shmpool::host
