// SPDX-License-Identifier: Apache-2.0
#include "host/access_rules.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shmpool::host {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr uid_t host_user = 1000;
constexpr uid_t stranger = 1001;
constexpr std::array all_rights{Right::attach, Right::attach_read_only, Right::observe, Right::kick,
                                Right::grow};

Credentials user(uid_t uid, std::vector<gid_t> groups = {}) {
    return {1, uid, 77, std::move(groups)};
}

bool may(const AccessRules& rules, Right right, const Credentials& who) {
    return check_right(rules, right, who, host_user).has_value();
}

std::string refusal(const AccessRules& rules, Right right, const Credentials& who) {
    const auto checked = check_right(rules, right, who, host_user);
    if (checked) return "granted";
    EXPECT_EQ(checked.error().code, Errc::no_permission);
    return checked.error().message;
}

TEST(AccessRules, GiveEveryRightToTheHostsOwnUserAndRootAlone) {
    const AccessRules rules;
    for (const Right right : all_rights) {
        EXPECT_TRUE(may(rules, right, user(host_user)));
        EXPECT_TRUE(may(rules, right, user(0)));
        EXPECT_FALSE(may(rules, right, user(stranger)));
        EXPECT_FALSE(check_right(rules, right, user(host_user), 0)) << "at a host of root";
    }
}

TEST(AccessRules, NameTheUserTheRightAndTheKeyToChange) {
    EXPECT_EQ(refusal({}, Right::attach, {1, stranger, host_user}),
              "user 1001 may not attach to this pool: add it to [access.attach] allow_users or a "
              "group of it to allow_groups in the host's configuration, or run as user 1000, to "
              "whom the host belongs, or as root");
    EXPECT_THAT(refusal({}, Right::kick, user(stranger)),
                AllOf(HasSubstr("may not end peers"), HasSubstr("[access.kick] allow_users")));
    EXPECT_THAT(refusal({}, Right::grow, user(stranger)),
                AllOf(HasSubstr("may not take memory"), HasSubstr("[access.grow] allow_users")));
    for (const Right right : all_rights) {
        EXPECT_LT(refusal({}, right, user(~uid_t{0} - 1)).size(), 256U) << "fits an answer";
    }
}

TEST(AccessRules, NameWhatWasAskedFor) {
    const auto refused = check_right({}, Right::kick, user(stranger), host_user, "make it anew");
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message,
                AllOf(HasSubstr("user 1001 may not make it anew: "), Not(HasSubstr("end peers"))));
    AccessRules rules;
    rules.list(Right::grow).deny_users = {stranger};
    const auto denied = check_right(rules, Right::grow, user(stranger), host_user, "give it back");
    ASSERT_FALSE(denied);
    EXPECT_THAT(denied.error().message, HasSubstr("user 1001 may not give it back: [access.grow]"));
}

TEST(AccessRules, AllowAUserByNumberOrByAnyGroup) {
    AccessRules rules;
    rules.list(Right::kick).allow_users = {1500, stranger};
    EXPECT_TRUE(may(rules, Right::kick, user(stranger)));
    EXPECT_FALSE(may(rules, Right::kick, user(1501)));
    rules.list(Right::kick).allow_users = {};
    rules.list(Right::kick).allow_groups = {77};
    EXPECT_TRUE(may(rules, Right::kick, user(stranger))) << "its first group";
    rules.list(Right::kick).allow_groups = {44};
    EXPECT_TRUE(may(rules, Right::kick, user(stranger, {43, 44}))) << "a further group";
    EXPECT_FALSE(may(rules, Right::kick, user(stranger, {43})));
}

TEST(AccessRules, AllowEverybodyByAStar) {
    AccessRules rules;
    rules.list(Right::observe).allow_users = {everybody};
    EXPECT_TRUE(may(rules, Right::observe, user(stranger)));
    EXPECT_FALSE(may(rules, Right::attach_read_only, user(stranger)));
}

TEST(AccessRules, LetDenyWin) {
    AccessRules rules;
    rules.list(Right::kick).allow_users = {everybody, stranger};
    rules.list(Right::kick).deny_users = {stranger, host_user, 0};
    for (const uid_t one : {stranger, host_user, uid_t{0}}) {
        EXPECT_THAT(refusal(rules, Right::kick, user(one)), HasSubstr("[access.kick] deny_users"));
    }
    rules.list(Right::kick).deny_users = {};
    rules.list(Right::kick).deny_groups = {44};
    EXPECT_THAT(refusal(rules, Right::kick, user(stranger, {44})),
                HasSubstr("[access.kick] deny_groups of the host's configuration names its group "
                          "44"));
    EXPECT_TRUE(may(rules, Right::kick, user(stranger, {45})));
}

TEST(AccessRules, GiveTheWeakerRightsWithAStrongerOne) {
    AccessRules rules;
    rules.list(Right::attach).allow_users = {stranger};
    EXPECT_TRUE(may(rules, Right::attach_read_only, user(stranger)));
    EXPECT_TRUE(may(rules, Right::observe, user(stranger)));
    EXPECT_FALSE(may(rules, Right::kick, user(stranger)));

    rules.list(Right::observe).deny_users = {stranger};
    EXPECT_FALSE(may(rules, Right::observe, user(stranger)));
    EXPECT_TRUE(may(rules, Right::attach, user(stranger)));
}

TEST(AccessRules, DoNotGiveTheStrongerRightsWithAWeakerOne) {
    AccessRules rules;
    rules.list(Right::attach_read_only).allow_users = {stranger};
    EXPECT_TRUE(may(rules, Right::observe, user(stranger)));
    EXPECT_FALSE(may(rules, Right::attach, user(stranger)));
}

TEST(AccessRules, LetOneOfAGroupOnlyRead) {
    AccessRules rules;
    rules.list(Right::attach).allow_groups = {44};
    rules.list(Right::attach).deny_users = {stranger};
    EXPECT_FALSE(may(rules, Right::attach_read_only, user(stranger, {44})));
    rules.list(Right::attach_read_only).allow_users = {stranger};
    EXPECT_TRUE(may(rules, Right::attach_read_only, user(stranger, {44})));
    EXPECT_FALSE(may(rules, Right::attach, user(stranger, {44})));
}

TEST(AccessRules, KnowWhenTheSocketShutsOutWhomTheyAllow) {
    AccessRules rules;
    EXPECT_FALSE(rules.socket_shuts_out_the_allowed());
    rules.list(Right::observe).allow_groups = {44};
    EXPECT_TRUE(rules.socket_shuts_out_the_allowed());
    rules.socket_mode = 0660;
    EXPECT_FALSE(rules.socket_shuts_out_the_allowed());
}

}  // namespace
}  // namespace shmpool::host
