// SPDX-License-Identifier: Apache-2.0
/// The configuration file: what it says arrives, and every mistake is answered with its place, its
/// key and a remedy. Method: small documents, one mistake each.
#include "host/config_file.hpp"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/shmpool/platform/temporary_directory.hpp"

namespace shmpool::host {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const MemoryProbe plenty = [] { return ~std::uint64_t{0}; };

Result<PoolConfig> parse(std::string_view text) {
    return parse_config(text, "p.toml", plenty);
}

std::string error_of(std::string_view text) {
    const auto parsed = parse(text);
    if (parsed) return "no error";
    EXPECT_EQ(parsed.error().code, Errc::invalid_config);
    return parsed.error().message;
}

TEST(ConfigFile, KeepsDefaultsForWhatItDoesNotSay) {
    EXPECT_EQ(*parse(""), PoolConfig{});
    EXPECT_EQ(*parse("[limits]\n"), PoolConfig{});
}

TEST(ConfigFile, ReadsEveryKey) {
    const auto parsed = parse(R"(
        [pool]
        name = "cars"
        socket = "/srv/cars.sock"
        [[class]]
        slot_size = "2 KiB"
        slot_count = 3
        [[class]]
        slot_size = 100
        slot_count = 4
        slot_limit = 5
        grow_when_exhausted = true
        [limits]
        peers = 11
        lanes = 12
        channels = 13
        publishers = 14
        subscribers = 15
        rings = 16
        ring_entries = 17
        publishers_per_channel = 18
        heaps = 19
        heap_bytes = "1MiB"
        [access]
        socket_mode = "0660"
        socket_user = 21
        socket_group = "root"
        [access.attach]
        allow_users = [22, "root"]
        allow_groups = [23]
        deny_users = [24]
        deny_groups = ["root", 25]
        [access.attach_read_only]
        allow_users = ["*"]
        [access.observe]
        allow_groups = [26]
        [access.kick]
        deny_users = [27]
        [access.grow]
        allow_users = [28]
        [quota]
        peer_slots = 31
        peer_bytes = "32KiB"
        user_slots = 33
        user_bytes = 34
        user_peers = 37
        [[user_quota]]
        user = "root"
        peer_slots = 0
        [[user_quota]]
        user = 35
        user_bytes = "36 B"
        [[heap]]
        name = "table"
        kind = "buddy"
        size = "64KiB"
        max_size = "128KiB"
        on_death = "reclaim"
        alignment = "2MiB"
        [[heap]]
        name = "ids"
        kind = "ids"
        size = 4096
        first_id = 41
        ids = 42
        ids_max = 43
        [[heap]]
        name = "objects"
        kind = "slab_cache"
        size = "64KiB"
        page_size = "8KiB"
        block_size = 48
        [stop]
        grace = "250ms"
        [death]
        suspect_policy = "kill"
        suspect_after = "1m"
        unseen_peers = "refuse"
        [takeover]
        patience = "3s"
        [log]
        level = "debug"
        file = "/var/log/cars.log"
    )");
    ASSERT_TRUE(parsed) << parsed.error().message;
    AccessRules access;
    access.lists = {AccessList{{22, 0}, {23}, {24}, {0, 25}}, AccessList{{everybody}, {}, {}, {}},
                    AccessList{{}, {26}, {}, {}}, AccessList{{}, {}, {27}, {}},
                    AccessList{{28}, {}, {}, {}}};
    access.socket_mode = 0660;
    access.socket_user = 21;
    access.socket_group = 0;
    const QuotaRules quota{{31, 32768, 33, 34, 37},
                           {{{0, 32768, 33, 34, 37}, 0}, {{31, 32768, 33, 36, 37}, 35}}};
    HeapRequest table{"table", HeapKind::buddy, 65536, 131072, {}, OnDeath::reclaim, 0, 0};
    table.options.map_alignment = 2 << 20;
    HeapRequest ids{"ids", HeapKind::ids, 4096, 0, {}, OnDeath::keep, 0, 0};
    ids.options.first_id = 41;
    ids.options.id_count = 42;
    ids.options.id_capacity = 43;
    HeapRequest objects{"objects", HeapKind::slab_cache, 65536, 0, {}, OnDeath::keep, 0, 0};
    objects.options.bytes_per_page = 8192;
    objects.options.block_bytes = 48;
    const PoolConfig wanted{"cars",
                            "/srv/cars.sock",
                            {{2048, 3}, {100, 4, 5, true}},
                            {11, 12, 13, 14, 15, 16, 17, 18, 19, 1 << 20},
                            access,
                            quota,
                            {table, ids, objects},
                            250,
                            SuspectPolicy::kill,
                            60'000,
                            UnseenPeers::refuse,
                            3'000,
                            LogLevel::debug,
                            "/var/log/cars.log"};
    EXPECT_EQ(*parsed, wanted);
}

TEST(ConfigFile, IsDocumentedWithEveryKeyAndItsDefault) {
    const auto documented = read_config_file(SHMPOOL_DOCUMENTED_CONFIG, plenty);
    ASSERT_TRUE(documented) << documented.error().message;
    EXPECT_EQ(*documented, PoolConfig{});

    std::ifstream file(SHMPOOL_DOCUMENTED_CONFIG);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    for (const std::string& key : config_keys()) {
        const std::size_t dot = key.rfind('.');
        // No default: each is an example.
        if (key.starts_with("user_quota.") || key.starts_with("heap.")) continue;
        const std::size_t section = text.find("[" + key.substr(0, dot) + "]");
        ASSERT_NE(section, std::string::npos) << key;
        EXPECT_NE(text.find("\n" + key.substr(dot + 1) + " = ", section), std::string::npos) << key;
    }
    EXPECT_EQ(config_keys().size(), 68U);
}

TEST(ConfigFile, SaysWhereAnUnknownKeyIsAndWhatWasMeant) {
    EXPECT_EQ(error_of("[pool]\nname = \"a\"\n\n[limits]\n  peer = 3\n"),
              "p.toml:5:3: [limits] unknown key \"peer\"; did you mean \"peers\"?");
    EXPECT_EQ(error_of("[[class]]\nslot_sise = 64\nslot_count = 1\nslot_size = 64\n"),
              "p.toml:2:1: [[class]] unknown key \"slot_sise\"; did you mean \"slot_size\"?");
    EXPECT_EQ(error_of("[log]\ncolour = true\n"),
              "p.toml:2:1: [log] unknown key \"colour\"; known here: level, file");
}

TEST(ConfigFile, SaysWhereAnUnknownSectionIsAndWhatWasMeant) {
    EXPECT_EQ(error_of("[limit]\npeers = 3\n"),
              "p.toml:1:2: unknown section or key \"limit\"; did you mean \"limits\"?");
    EXPECT_THAT(error_of("peers = 3\n"), StartsWith("p.toml:1:1: unknown section or key"));
}

TEST(ConfigFile, ReportsTheFirstMistakeAndCountsTheRest) {
    EXPECT_EQ(error_of("[stop]\ngrac = \"2s\"\n[limits]\npeer = 3\n[log]\nfil = \"\"\n"),
              "p.toml:2:1: [stop] unknown key \"grac\"; did you mean \"grace\"? (and 2 more)");
}

TEST(ConfigFile, RefusesValuesOfAWrongType) {
    EXPECT_EQ(error_of("[limits]\npeers = \"3\"\n"),
              "p.toml:2:9: [limits] peers: must be an integer, not a string");
    EXPECT_THAT(error_of("[limits]\npeers = 1.5\n"), HasSubstr("an integer, not a fraction"));
    EXPECT_THAT(error_of("[limits]\npeers = true\n"), HasSubstr("not a boolean"));
    EXPECT_THAT(error_of("[pool]\nname = 3\n"), HasSubstr("must be a string, not an integer"));
    EXPECT_THAT(error_of("[pool]\nname = [\"a\"]\n"), HasSubstr("not an array"));
    EXPECT_THAT(error_of("[pool.name]\n"), HasSubstr("not a table"));
    EXPECT_THAT(error_of("[stop]\ngrace = 2\n"), HasSubstr("a duration like \"2s\""));
    EXPECT_THAT(error_of("[log]\nlevel = 1979-05-27\n"), HasSubstr("not a date or time"));
    EXPECT_THAT(error_of("limits = 3\n"), HasSubstr("limits must be a section: write [limits]"));
}

TEST(ConfigFile, RefusesNumbersThatDoNotFit) {
    EXPECT_THAT(error_of("[limits]\npeers = -3\n"), HasSubstr("peers: is negative (-3)"));
    EXPECT_THAT(error_of("[limits]\npeers = 4294967297\n"), HasSubstr("too large (4294967297)"));
    EXPECT_THAT(error_of("[limits]\npeers = 99999999999999999999\n"), StartsWith("p.toml:2:"));
    EXPECT_THAT(error_of("[limits]\npeers = 0\n"), HasSubstr("peers is 0, must be 1 to 1000"));
}

TEST(ConfigFile, RefusesWrongSizesOfClasses) {
    const auto with_size = [](const std::string& size) {
        return error_of("[[class]]\nslot_size = " + size + "\nslot_count = 1\n");
    };
    EXPECT_EQ(with_size("\"64 MiB\""), "no error");
    EXPECT_THAT(with_size("\"64MB\""),
                StartsWith("p.toml:2:13: [[class]] slot_size: size \"64MB\""));
    EXPECT_THAT(with_size("\"64MB\""), HasSubstr("the units are B, KiB, MiB, GiB, TiB"));
    EXPECT_THAT(with_size("\"-1KiB\""), HasSubstr("negative"));
    EXPECT_THAT(with_size("-64"), HasSubstr("negative"));
    EXPECT_THAT(with_size("\"99999999TiB\""), HasSubstr("64 bits"));
    EXPECT_THAT(with_size("\"1.5MiB\""), HasSubstr("fraction"));
    EXPECT_THAT(with_size("1.5"), HasSubstr("not a fraction"));
    EXPECT_THAT(with_size("0"), HasSubstr("slot_size is 0B, must be 64B to 1GiB"));
    EXPECT_THAT(with_size("\"2GiB\""), HasSubstr("slot_size is 2GiB"));
    EXPECT_THAT(with_size("true"), HasSubstr("must be a size like \"64KiB\""));
}

TEST(ConfigFile, RefusesClassesThatAreIncomplete) {
    EXPECT_EQ(error_of("\n[[class]]\nslot_size = 64\n"), "p.toml:2:1: [[class]] has no slot_count");
    EXPECT_THAT(error_of("[[class]]\nslot_count = 64\n"), HasSubstr("has no slot_size"));
    EXPECT_THAT(error_of("[class]\nslot_size = 64\n"), HasSubstr("write [[class]], not [class]"));
    EXPECT_THAT(error_of("class = [3]\n"), HasSubstr("must be a table with slot_size"));
    EXPECT_THAT(error_of("class = []\n"), HasSubstr("no [[class]]"));
}

TEST(ConfigFile, SaysWhereAClassIsThatCanNotBe) {
    EXPECT_THAT(error_of("[[class]]\nslot_size = 64\nslot_count = 1\n"
                         "[[class]]\nslot_size = 128\nslot_count = 0\n"),
                StartsWith("p.toml:4:1: [[class]] slot_count is 0"));
}

TEST(ConfigFile, RefusesClassesThatCanNotGrowAsTheySay) {
    const auto with = [](const std::string& text) {
        return error_of("[[class]]\nslot_size = 64\nslot_count = 8\n" + text + "\n");
    };
    EXPECT_THAT(with("slot_limit = 7"), HasSubstr("slot_limit is 7, must be 8 to 16777216"));
    EXPECT_THAT(with("slot_limit = -1"), HasSubstr("slot_limit: is negative"));
    EXPECT_THAT(with("grow_when_exhausted = true"),
                HasSubstr("may not grow; give it a slot_limit above its slot_count of 8"));
    EXPECT_THAT(with("slot_limit = 9\ngrow_when_exhausted = 1"),
                HasSubstr("grow_when_exhausted: must be true or false"));
}

TEST(ConfigFile, LetsUnseenPeersInOnlyUnderAHostThatKillsNobody) {
    const auto parsed = parse("[death]\nunseen_peers = \"accept\"\n");
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(parsed->unseen_peers, UnseenPeers::accept);
    EXPECT_THAT(error_of("[death]\nunseen_peers = \"accept\"\nsuspect_policy = \"kill\"\n"),
                HasSubstr("can not kill whom it can not see"));
}

TEST(ConfigFile, RefusesUnknownWordsAndNamesTheNearest) {
    EXPECT_EQ(error_of("[log]\nlevel = \"inof\"\n"),
              "p.toml:2:9: [log] level: has the unknown value \"inof\"; did you mean \"info\"?");
    EXPECT_THAT(error_of("[death]\nsuspect_policy = \"fence\"\n"),
                HasSubstr("known here: wait, kill"));
    EXPECT_THAT(error_of("[death]\nunseen_peers = \"trust\"\n"),
                HasSubstr("known here: refuse, accept"));
}

TEST(ConfigFile, RefusesDuplicateKeysWithTheirPlace) {
    const std::string error = error_of("[limits]\npeers = 3\npeers = 4\n");
    EXPECT_THAT(error, StartsWith("p.toml:3:"));
    EXPECT_THAT(error, HasSubstr("peers"));
    EXPECT_THAT(error_of("[limits]\n[limits]\n"), StartsWith("p.toml:2:"));
}

TEST(ConfigFile, RefusesWhatIsNoTomlWithItsPlace) {
    EXPECT_THAT(error_of("[pool\nname = 3"), StartsWith("p.toml:1:"));
    EXPECT_THAT(error_of("[pool]\nname = \"open\n"), StartsWith("p.toml:2:"));
    EXPECT_THAT(error_of(std::string("\x7F\x45LF\0\0\x01", 7)), StartsWith("p.toml:1:"));
    EXPECT_THAT(error_of("x = " + std::string(100'000, '[')), StartsWith("p.toml:1:"));
}

TEST(ConfigFile, RefusesAPoolLargerThanTheMachine) {
    const auto parsed = parse_config("", "p.toml", [] { return std::uint64_t{1} << 20; });
    ASSERT_FALSE(parsed);
    EXPECT_THAT(parsed.error().message, StartsWith("p.toml: the pool needs"));
    EXPECT_THAT(parsed.error().message, HasSubstr("this machine has 1MiB"));
}

TEST(ConfigFile, SaysThatItIsMissing) {
    const test::TemporaryDirectory directory;
    const auto parsed = read_config_file(directory.file("none.toml"), plenty);
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().code, Errc::invalid_config);
    EXPECT_THAT(parsed.error().message, HasSubstr(directory.file("none.toml")));
    EXPECT_THAT(parsed.error().message, HasSubstr("No such file"));
}

TEST(ConfigFile, SaysThatItIsADirectory) {
    const test::TemporaryDirectory directory;
    const auto parsed = read_config_file(directory.path(), plenty);
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().message,
              directory.path() + " is a directory, not a configuration file");
}

TEST(ConfigFile, IsNeverReadWithoutEnd) {
    const auto parsed = read_config_file("/dev/zero", plenty);
    ASSERT_FALSE(parsed);
    EXPECT_THAT(parsed.error().message, HasSubstr("larger than 1MiB"));
}

TEST(ConfigFile, NamesItselfInErrors) {
    const test::TemporaryDirectory directory;
    const std::string path = directory.file("host.toml");
    { std::ofstream(path) << "[limits]\nlane = 3\n"; }
    const auto parsed = read_config_file(path, plenty);
    ASSERT_FALSE(parsed);
    EXPECT_THAT(parsed.error().message, StartsWith(path + ":2:1: [limits] unknown key \"lane\""));
}

}  // namespace
}  // namespace shmpool::host
