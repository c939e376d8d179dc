// SPDX-License-Identifier: Apache-2.0
/// The configuration of who may do what: users and groups by name and number, and each mistake with
/// its place. Method: small documents, one mistake each; of users only root is everywhere.
#include <gmock/gmock.h>

#include <string>

#include "host/config_file.hpp"

namespace shmpool::host {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

Result<PoolConfig> parse(std::string_view text) {
    return parse_config(text, "p.toml", [] { return ~std::uint64_t{0}; });
}

std::string error_of(std::string_view text) {
    const auto parsed = parse(text);
    if (parsed) return "no error";
    EXPECT_EQ(parsed.error().code, Errc::invalid_config);
    return parsed.error().message;
}

TEST(ConfigAccess, SaysWhereAnUnknownUserOrGroupIsAndWhoWasMeant) {
    EXPECT_EQ(
        error_of("[access.attach]\nallow_users = [\n  1000,\n  \"rooot\",\n]\n"),
        "p.toml:4:3: [access.attach] allow_users: there is no user \"rooot\" on this machine; "
        "did you mean \"root\"?");
    EXPECT_EQ(error_of("[access.kick]\ndeny_groups = [\"qqq-no-such-group\"]\n"),
              "p.toml:2:16: [access.kick] deny_groups: there is no group \"qqq-no-such-group\" on "
              "this machine; give the name of a group that it knows, or a number without quotes");
    EXPECT_THAT(error_of("[access]\nsocket_group = \"qqq-no-such-group\"\n"),
                StartsWith("p.toml:2:16: [access] socket_group: there is no group"));
}

TEST(ConfigAccess, TakesNumbersThatNobodyHasYet) {
    const auto parsed = parse("[access.observe]\nallow_users = [4294967294]\n");
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(parsed->access.list(Right::observe).allow_users.at(0), 4294967294U);
}

TEST(ConfigAccess, RefusesNumbersThatNobodyCanHave) {
    for (const std::string number : {"-1", "4294967295", "99999999999"}) {
        EXPECT_THAT(error_of("[access.attach]\nallow_users = [0, " + number + "]\n"),
                    StartsWith("p.toml:2:19: [access.attach] allow_users: " + number +
                               " is no number of a user"));
    }
}

TEST(ConfigAccess, RefusesValuesOfAWrongType) {
    EXPECT_THAT(error_of("[access.attach]\nallow_users = \"root\"\n"),
                HasSubstr("must be a list of names or numbers of users, not a string"));
    EXPECT_THAT(error_of("[access.attach]\nallow_groups = [true]\n"),
                HasSubstr("must be the name or number of a group, not a boolean"));
    EXPECT_THAT(error_of("[access]\nattach = 3\n"),
                HasSubstr("access.attach must be a section: write [access.attach]"));
    EXPECT_THAT(error_of("[access]\nsocket_mode = 660\n"), HasSubstr("must be a mode in quotes"));
}

TEST(ConfigAccess, LetsEverybodyBeAllowedButNotDenied) {
    EXPECT_THAT(error_of("[access.kick]\ndeny_users = [\"*\"]\n"),
                HasSubstr("\"*\" stands for everybody in allow_users only"));
    EXPECT_THAT(error_of("[access.kick]\nallow_groups = [\"*\"]\n"),
                HasSubstr("\"*\" stands for everybody in allow_users only"));
}

TEST(ConfigAccess, SaysWhereAnUnknownKeyIsAndWhatWasMeant) {
    EXPECT_EQ(
        error_of("[access.observe]\nalow_users = []\n"),
        "p.toml:2:1: [access.observe] unknown key \"alow_users\"; did you mean \"allow_users\"?");
    EXPECT_EQ(error_of("[access.atach]\nallow_users = []\n"),
              "p.toml:1:9: [access] unknown key \"atach\"; did you mean \"attach\"?");
}

TEST(ConfigAccess, RefusesModesThatAreNoneOrShutOutTheHost) {
    for (const std::string mode : {"", "rw", "0888", "6", "66000", "01777", "7777"}) {
        EXPECT_THAT(error_of("[access]\nsocket_mode = \"" + mode + "\"\n"),
                    HasSubstr("is no mode; give three octal digits"))
            << mode;
    }
    EXPECT_THAT(error_of("[access]\nsocket_mode = \"0060\"\n"),
                HasSubstr("shuts out the owner of the socket"));
    EXPECT_EQ(parse("[access]\nsocket_mode = \"666\"\n")->access.socket_mode, 0666U);
}

}  // namespace
}  // namespace shmpool::host
