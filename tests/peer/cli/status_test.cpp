// SPDX-License-Identifier: Apache-2.0
/// The reading commands, `hold` and `kick` against a real host: who has what, and that it comes
/// back.
#include <signal.h>

#include "tests/peer/cli/host_fixture.hpp"

namespace shmpool::cli {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class Status : public WithHost {
protected:
    /// Starts `shmpool hold` and waits until it holds.
    static void await(const CommandRun& hold) {
        ASSERT_TRUE(eventually([&] { return hold.output().starts_with("holding "); }));
    }
    static std::uint64_t sum_of_states(const json& one) {
        return one["free"].get<std::uint64_t>() + one["cached"].get<std::uint64_t>() +
               one["loaned"].get<std::uint64_t>() + one["published"].get<std::uint64_t>() +
               one["in_transit"].get<std::uint64_t>();
    }
    static bool all_free() {
        const json now = status();
        for (const json& one : now["classes"]) {
            if (one["free"] != one["slot_count"]) return false;
        }
        return now["peers"].empty();
    }
};

TEST_F(Status, HasEveryFieldThatScriptsRelyOn) {
    CommandRun sub({"sub", "c", "--output", "/dev/null"});
    CommandRun hold({"hold", "--size", "1000", "--count", "3"});
    await(hold);
    ASSERT_TRUE(eventually([] { return status()["channels"].size() == 2; }));
    const json now = status();
    EXPECT_EQ(now["name"], "test");
    EXPECT_EQ(now["host_pid"], host_.pid());
    for (const char* field : {"bytes", "committed_bytes", "layout_version", "layout_fingerprint"}) {
        EXPECT_TRUE(now["segment"][field].is_number_unsigned()) << field;
    }
    ASSERT_EQ(now["classes"].size(), 2U);
    for (const char* field : {"slot_size", "slot_count", "free", "cached", "loaned", "published",
                              "in_transit", "allocations_total", "exhausted_total", "high_water"}) {
        EXPECT_TRUE(now["classes"][0][field].is_number_unsigned()) << field;
    }
    ASSERT_EQ(now["peers"].size(), 2U);
    for (const char* field : {"id", "pid", "uid", "lanes", "loaned", "leases", "bytes_held"}) {
        EXPECT_TRUE(now["peers"][0][field].is_number_unsigned()) << field;
    }
    EXPECT_TRUE(now["peers"][0]["attached_seconds"].is_number());
    EXPECT_EQ(now["peers"][0]["state"], "attached");
    for (const json& channel : now["channels"]) {
        for (const char* field : {"publishers", "published_total"}) {
            EXPECT_TRUE(channel[field].is_number_unsigned()) << field;
        }
        if (channel["name"] != "c") continue;
        ASSERT_EQ(channel["subscribers"].size(), 1U);
        for (const char* field : {"peer", "depth", "queued", "received_total", "dropped_total"}) {
            EXPECT_TRUE(channel["subscribers"][0][field].is_number_unsigned()) << field;
        }
    }
    for (const char* field : {"peers_total", "slots_total", "last_notice_us", "last_reclaim_us",
                              "last_notice_at_ns", "last_reclaim_at_ns"}) {
        EXPECT_TRUE(now["reclaims"][field].is_number()) << field;
    }
}

TEST_F(Status, CountsEverySlotInExactlyOneState) {
    CommandRun hold({"hold", "--size", "1KiB", "--count", "7"});
    CommandRun raw({"hold", "--size", "64KiB", "--count", "5", "--raw"});
    CommandRun sub({"sub", "c", "--output", "/dev/null", "--depth", "8"});
    await(hold);
    await(raw);
    ASSERT_TRUE(eventually([] { return status()["channels"].size() == 2; }));
    sub.signal(SIGSTOP);
    ASSERT_EQ(run({"pub", "c", "--input", "-", "--chunk", "1"}, "abc").exit_code, 0);
    const json now = status();
    for (const json& one : now["classes"]) EXPECT_EQ(sum_of_states(one), one["slot_count"]) << one;
    EXPECT_EQ(now["classes"][0]["loaned"], 7);
    EXPECT_EQ(now["classes"][0]["in_transit"], 3);  // One reader: moved, not leased.
    EXPECT_EQ(now["classes"][1]["loaned"], 5);
    for (const json& peer : now["peers"]) {
        if (peer["pid"] == hold.pid()) {
            EXPECT_EQ(peer["loaned"], 7);
            EXPECT_EQ(peer["bytes_held"], 7 * 1024);
        } else if (peer["pid"] == raw.pid()) {
            EXPECT_EQ(peer["loaned"], 5);
            EXPECT_EQ(peer["bytes_held"], 5 * 65536);
        }
    }
    for (const json& channel : now["channels"]) {
        if (channel["name"] != "c") continue;
        EXPECT_EQ(channel["published_total"], 3);
        EXPECT_EQ(channel["subscribers"][0]["queued"], 3);
        EXPECT_EQ(channel["subscribers"][0]["received_total"], 0);
    }
}

TEST_F(Status, CountsLeasesForTheirReaders) {
    CommandRun first({"sub", "c", "--output", "/dev/null", "--depth", "8"});
    CommandRun second({"sub", "c", "--output", "/dev/null", "--depth", "8"});
    ASSERT_TRUE(eventually([] {
        const json now = status();
        return !now["channels"].empty() && now["channels"][0]["subscribers"].size() == 2;
    }));
    first.signal(SIGSTOP);
    second.signal(SIGSTOP);
    ASSERT_EQ(run({"pub", "c", "--input", "-", "--chunk", "1"}, "abc").exit_code, 0);
    const json now = status();
    EXPECT_EQ(now["classes"][0]["published"], 3);
    std::size_t readers = 0;
    for (const json& peer : now["peers"]) {
        if (peer["pid"] != first.pid() && peer["pid"] != second.pid()) continue;
        ++readers;
        EXPECT_EQ(peer["leases"], 3);
        EXPECT_EQ(peer["bytes_held"], 3 * 1024);
    }
    EXPECT_EQ(readers, 2U);
}

TEST_F(Status, PartsSayTheSameAsTheWhole) {
    CommandRun hold({"hold", "--size", "1", "--count", "1"});
    await(hold);
    json whole = status();
    for (const std::string part : {"classes", "peers", "channels"}) {
        json one = json::parse(run({part, "--json"}).output);
        EXPECT_EQ(one["name"], "test");
        if (part == "peers") {  // Time goes on.
            one["peers"][0].erase("attached_seconds");
            whole["peers"][0].erase("attached_seconds");
        }
        EXPECT_EQ(one[part], whole[part]) << part;
    }
    EXPECT_THAT(run({"status"}).output,
                AllOf(StartsWith("pool 'test', host "), HasSubstr("SLOT SIZE"),
                      HasSubstr("hold 1 x 1"), HasSubstr("no peer has died")));
    EXPECT_THAT(run({"classes"}).output, HasSubstr("HIGH WATER"));
    EXPECT_THAT(run({"peers"}).output, HasSubstr("attached"));
    EXPECT_THAT(run({"channels"}).output, HasSubstr("none"));
}

TEST_F(Status, StandardOutputThatIsFullIsAnErrorAndOneThatIsClosedIsNot) {
    const std::string program = SHMPOOL_PROGRAM;
    EXPECT_NE(std::system((program + " status > /dev/full 2> /dev/null").c_str()), 0);
    // `exec true` closes the pipe; the status of the pipeline's first command counts.
    EXPECT_EQ(std::system(("bash -c 'set -o pipefail; " + program + " status | true'").c_str()), 0);
}

TEST_F(Status, ShowsTheSlotsOfAKilledHolderFreeAgain) {
    CommandRun hold({"hold", "--size", "1KiB", "--count", "200"});
    CommandRun raw({"hold", "--size", "64KiB", "--count", "16", "--raw"});
    await(hold);
    await(raw);
    hold.signal(SIGKILL);
    raw.signal(SIGKILL);
    EXPECT_TRUE(eventually(all_free)) << status().dump(2);
    const json reclaims = status()["reclaims"];
    EXPECT_EQ(reclaims["peers_total"], 2);
    EXPECT_GE(reclaims["slots_total"], 216);
    EXPECT_GT(reclaims["last_reclaim_at_ns"], reclaims["last_notice_at_ns"]);
    EXPECT_THAT(run({"status"}).output, HasSubstr("2 peers died, "));
}

TEST_F(Status, HoldGivesBackWhenInterrupted) {
    CommandRun hold({"hold", "--size", "64KiB", "--count", "16"});
    await(hold);
    hold.signal(SIGINT);
    EXPECT_EQ(hold.wait().exit_code, 0);
    EXPECT_TRUE(eventually(all_free));
    EXPECT_EQ(status()["reclaims"]["peers_total"], 0);
}

TEST_F(Status, HoldTakesAllOrNothing) {
    const Finished too_many = run({"hold", "--size", "64KiB", "--count", "17"});
    EXPECT_EQ(too_many.exit_code, 1);
    EXPECT_THAT(too_many.errors, HasSubstr("only 16 of 17 slots of 65536 bytes are free"));
    EXPECT_TRUE(eventually(all_free));

    const Finished too_large = run({"hold", "--size", "64KiB", "--count", "17", "--raw"});
    EXPECT_EQ(too_large.exit_code, 1);
    EXPECT_TRUE(eventually(all_free));

    const Finished none = run({"hold", "--size", "65537", "--count", "1"});
    EXPECT_EQ(none.exit_code, 1);
    EXPECT_THAT(none.errors, HasSubstr("the largest slots of pool 'test' have 64KiB"));
}

TEST_F(Status, HoldLeavesWhenTheHostStops) {
    CommandRun hold({"hold", "--size", "1", "--count", "1"});
    await(hold);
    host_.signal(SIGTERM);
    const Finished ended = hold.wait();
    EXPECT_EQ(ended.exit_code, 1);
    EXPECT_THAT(ended.errors, HasSubstr("the host stops; all slots were given back"));
    EXPECT_EQ(host_.wait(), 0);
}

TEST_F(Status, KickKillsThePeerAndItsSlotsComeBack) {
    CommandRun hold({"hold", "--size", "1KiB", "--count", "5"});
    await(hold);
    const json peers = status()["peers"];
    ASSERT_EQ(peers.size(), 1U);
    const std::string number = std::to_string(peers[0]["id"].get<int>());
    const Finished kicked = run({"kick", number, "--json"});
    ASSERT_EQ(kicked.exit_code, 0) << kicked.errors;
    EXPECT_EQ(json::parse(kicked.output)["pid"], hold.pid());
    EXPECT_EQ(hold.wait().exit_code, 1000 + SIGKILL);
    EXPECT_TRUE(eventually(all_free));

    const Finished again = run({"kick", number});
    EXPECT_EQ(again.exit_code, 1);
    EXPECT_THAT(again.errors, AllOf(HasSubstr("there is no peer " + number + " in pool 'test'"),
                                    HasSubstr("'shmpool peers'")));
}

}  // namespace
}  // namespace shmpool::cli
