// SPDX-License-Identifier: Apache-2.0
/// Where a pool's socket is: one test per row of the table in runtime_path.hpp, and its edges.
#include "protocol/wire/runtime_path.hpp"

#include <gmock/gmock.h>

namespace shmpool {
namespace {

using testing::HasSubstr;

TEST(RuntimePath, TakesTheVariableFirst) {
    const auto path = socket_path_of("cars", {"/srv/pools", "/run/user/7", 0});
    ASSERT_TRUE(path);
    EXPECT_EQ(path->path, "/srv/pools/cars.sock");
    EXPECT_EQ(path->directory, SocketDirectory::created);
}

TEST(RuntimePath, IsInRunForRoot) {
    const auto path = socket_path_of("cars", {"", "/run/user/0", 0});
    ASSERT_TRUE(path);
    EXPECT_EQ(path->path, "/run/shmpool/cars.sock");
    EXPECT_EQ(path->directory, SocketDirectory::created_and_own);
}

TEST(RuntimePath, IsInTheUsersRuntimeDirectory) {
    const auto path = socket_path_of("cars", {"", "/run/user/7", 7});
    ASSERT_TRUE(path);
    EXPECT_EQ(path->path, "/run/user/7/shmpool/cars.sock");
    EXPECT_EQ(path->directory, SocketDirectory::created_and_own);
}

TEST(RuntimePath, IsInTheTemporaryDirectoryElse) {
    EXPECT_EQ(socket_path_of("cars", {"", "", 7})->path, "/tmp/shmpool-7/cars.sock");
    EXPECT_EQ(socket_path_of("cars", {"", "relative", 7})->path, "/tmp/shmpool-7/cars.sock");
}

TEST(RuntimePath, HasNoDoubleSlash) {
    EXPECT_EQ(socket_path_of("cars", {"/srv/", "", 7})->path, "/srv/cars.sock");
}

TEST(RuntimePath, RefusesARelativeVariable) {
    const auto path = socket_path_of("cars", {"srv", "", 7});
    ASSERT_FALSE(path);
    EXPECT_THAT(path.error().message, HasSubstr("SHMPOOL_RUNTIME_DIR is \"srv\""));
}

TEST(RuntimePath, RefusesANameThatWouldLeaveTheDirectory) {
    EXPECT_FALSE(socket_path_of("../cars", {"/srv", "", 7}));
}

TEST(RuntimePath, RefusesADirectoryThatIsTooLong) {
    const auto path = socket_path_of("cars", {"/" + std::string(200, 'x'), "", 7});
    ASSERT_FALSE(path);
    EXPECT_THAT(path.error().message, HasSubstr("the limit of the system is 107"));
}

}  // namespace
}  // namespace shmpool
