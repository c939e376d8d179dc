// SPDX-License-Identifier: Apache-2.0
#include "host/access_rules.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shmpool::host {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr uid_t host_user = 1000;

TEST(AccessRules, LetTheHostsOwnUserAndRootAttachAndKick) {
    for (const uid_t user : {host_user, uid_t{0}}) {
        EXPECT_TRUE(check_may_attach({1, user, 0}, host_user));
        EXPECT_TRUE(check_may_kick({1, user, 0}, host_user));
    }
}

TEST(AccessRules, RefuseOthersAndNameBothUsers) {
    const Credentials other{1, 1001, host_user};
    for (const auto& refused :
         {check_may_attach(other, host_user), check_may_kick(other, host_user)}) {
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Errc::no_permission);
        EXPECT_THAT(refused.error().message, AllOf(HasSubstr("user 1001"), HasSubstr("user 1000")));
    }
}

TEST(AccessRules, RefuseAnyOtherUserAtAHostOfRoot) {
    EXPECT_FALSE(check_may_attach({1, host_user, 0}, 0));
    EXPECT_FALSE(check_may_kick({1, host_user, 0}, 0));
}

}  // namespace
}  // namespace shmpool::host
