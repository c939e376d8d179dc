// SPDX-License-Identifier: Apache-2.0
/// `shmpool grow` and `shmpool shrink`: what they do, and what they say.
#include <gmock/gmock.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/peer/cli/command_run.hpp"
#include "tests/peer/configured_host.hpp"

namespace shmpool::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class ResizeCommand : public testing::Test {
protected:
    ResizeCommand() { setenv("SHMPOOL_POOL", "test", 1); }

    static json parsed(const Finished& done) {
        EXPECT_EQ(done.exit_code, 0) << done.errors;
        return json::parse(done.output);
    }
    static std::uint64_t slots() {
        return parsed(run({"classes", "--json"}))["classes"][0]["slot_count"];
    }

    ConfiguredHost host_{"", {"--class", "4KiB:64:1024", "--class", "64KiB:16"}};
};

TEST_F(ResizeCommand, GrowsAClassAndShrinksItAgain) {
    EXPECT_EQ(run({"grow", "4KiB", "100"}).output, "the class of 4KiB has 164 slots\n");
    EXPECT_EQ(slots(), 164U);
    EXPECT_EQ(parsed(run({"grow", "4096", "36", "--json"})),
              (json{{"slot_size", 4096}, {"slots", 200}}));
    EXPECT_EQ(run({"shrink", "4KiB", "--keep", "100"}).output, "the class of 4KiB has 164 slots\n");
    EXPECT_EQ(parsed(run({"shrink", "4KiB", "--json"})),
              (json{{"slot_size", 4096}, {"slots", 64}}));
    EXPECT_EQ(run({"doctor"}).exit_code, 0) << run({"doctor"}).output;
}

TEST_F(ResizeCommand, SaysWhatIsInTheWay) {
    const Finished over = run({"grow", "4KiB", "961"});
    EXPECT_EQ(over.exit_code, 1);
    EXPECT_THAT(over.errors, HasSubstr("has 64 slots and may have 1024, not 1025"));
    EXPECT_THAT(over.errors, HasSubstr("slot_limit"));
    const Finished fixed = run({"grow", "64KiB", "1"});
    EXPECT_EQ(fixed.exit_code, 1);
    EXPECT_THAT(fixed.errors, HasSubstr("has 16 slots and may have 16, not 17"));
    const Finished none = run({"shrink", "5000"});
    EXPECT_EQ(none.exit_code, 1);
    EXPECT_THAT(none.errors, HasSubstr("the classes have slots of 4096, 65536 bytes"));
}

TEST(ResizeRights, NamesAClassWhereAClassWasAskedFor) {
    setenv("SHMPOOL_POOL", "test", 1);
    const ConfiguredHost host("[access.grow]\ndeny_users = [" + std::to_string(geteuid()) + "]\n",
                              {"--class", "4KiB:64:1024"});
    const std::pair<std::string, Finished> refusals[] = {{"grow", run({"grow", "4KiB", "100"})},
                                                         {"shrink", run({"shrink", "4KiB"})}};
    for (const auto& [verb, refused] : refusals) {
        EXPECT_EQ(refused.exit_code, 1);
        EXPECT_THAT(refused.errors, HasSubstr("may not " + verb + " classes of this pool"));
        EXPECT_THAT(refused.errors, HasSubstr("[access.grow] deny_users"));
    }
}

TEST_F(ResizeCommand, WantsASizeAndANumber) {
    EXPECT_EQ(run({"grow", "4KiB"}).exit_code, 2);
    EXPECT_EQ(run({"grow", "4KiB", "0"}).exit_code, 2);
    EXPECT_EQ(run({"grow", "4KiB", "16777217"}).exit_code, 2);
    EXPECT_EQ(run({"grow", "many", "1"}).exit_code, 2);
    EXPECT_EQ(run({"shrink"}).exit_code, 2);
}

TEST_F(ResizeCommand, ShowsWhatIsLeftWhileSlotsAreInUse) {
    ASSERT_EQ(run({"grow", "4KiB", "100"}).exit_code, 0);
    Peer peer = host_.attach("holder");
    std::vector<SlotRef> all;
    for (int i = 0; i < 164; ++i) all.push_back(peer.allocate(4096).value());
    const Finished refused = run({"shrink", "4KiB"});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.errors, HasSubstr("each extent that could go has some in use"));
    EXPECT_EQ(slots(), 164U);
    for (const SlotRef& ref : all) EXPECT_TRUE(peer.free(ref));
}

}  // namespace
}  // namespace shmpool::cli
