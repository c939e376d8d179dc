// SPDX-License-Identifier: Apache-2.0
/// What the command line shows of rights and quotas, and says when it meets them.
#include <gmock/gmock.h>
#include <stdlib.h>

#include "tests/peer/cli/command_run.hpp"
#include "tests/peer/configured_host.hpp"

namespace shmpool::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class Rights : public testing::Test {
protected:
    Rights() { setenv("SHMPOOL_POOL", "test", 1); }

    static void await(const CommandRun& hold) {
        ASSERT_TRUE(eventually([&] { return hold.output().starts_with("holding "); }));
    }

    ConfiguredHost host_{"[quota]\npeer_slots = 3\nuser_bytes = \"1MiB\"\n"};
};

TEST_F(Rights, HoldSaysWhyItGetsNoMore) {
    const Finished done = run({"hold", "--size", "1000", "--count", "4"});
    EXPECT_NE(done.exit_code, 0);
    EXPECT_THAT(done.errors, HasSubstr("holds 3 of 3 slots and 3072 bytes"));
    EXPECT_THAT(done.errors, HasSubstr("raise [quota] in the host's configuration"));
}

TEST_F(Rights, StatusShowsWhatAPeerAndItsUserHoldAndMayHold) {
    CommandRun hold({"hold", "--size", "1000", "--count", "2", "--raw"});
    await(hold);
    const json peer = status()["peers"][0];
    EXPECT_EQ(peer["quota"]["slots_limit"], 3);
    EXPECT_EQ(peer["quota"]["bytes_limit"], 0);
    EXPECT_EQ(peer["quota"]["slots_held"], 3) << "one more is cached";
    EXPECT_EQ(peer["user_quota"]["bytes_limit"], 1 << 20);
    EXPECT_EQ(peer["user_quota"]["bytes_held"], 3 * 1024);
    EXPECT_THAT(run({"peers"}).output, HasSubstr("3/3 slots, user 3KiB/1MiB"));
}

TEST_F(Rights, SubAttachesReadOnlyAndPubDoesNot) {
    CommandRun sub({"sub", "c", "--output", "/dev/null"});
    CommandRun hold({"hold", "--size", "1000", "--count", "1"});
    await(hold);
    ASSERT_TRUE(eventually([] { return status()["peers"].size() == 2; }));
    const json shown = status();
    for (const json& peer : shown["peers"]) {
        EXPECT_EQ(peer["read_only"], peer["name"] == "sub c") << peer["name"];
    }
    EXPECT_THAT(run({"peers"}).output, HasSubstr("read-only"));
}

}  // namespace
}  // namespace shmpool::cli
