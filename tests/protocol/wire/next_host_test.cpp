// SPDX-License-Identifier: Apache-2.0
/// Goal: a host that starts knows whether somebody living waits for it, and who waits learns at
/// once that a host may be there. Method: real processes that mark themselves and are killed.
#include <gtest/gtest.h>
#include <poll.h>

#include <filesystem>
#include <fstream>

#include "protocol/wire/presence_mark.hpp"
#include "protocol/wire/socket_watch.hpp"
#include "tests/shmpool/platform/forked_child.hpp"
#include "tests/shmpool/platform/temporary_directory.hpp"

namespace shmpool {
namespace {

class NextHost : public testing::Test {
protected:
    const test::TemporaryDirectory directory;
    const std::string socket = directory.file("pool.sock");
};

TEST_F(NextHost, SeesAMarkAsLongAsItsHolderLives) {
    EXPECT_FALSE(is_presence_marked(socket));
    const test::Shared<test::Step> marked;
    test::ForkedChild child([&]() -> int {
        const Descriptor mark = mark_presence(socket);
        marked->announce();
        test::sleep_for_ever();
    });
    marked->await();
    EXPECT_TRUE(is_presence_marked(socket));
    EXPECT_FALSE(is_presence_marked(directory.file("other.sock"))) << "a mark of another pool";
    child.kill();
    child.wait();
    EXPECT_FALSE(is_presence_marked(socket)) << "a mark of a dead one";
}

TEST_F(NextHost, SeesTheMarksOfOneProcessApart) {
    Descriptor first = mark_presence(socket);
    Descriptor second = mark_presence(socket);
    ASSERT_TRUE(first && second);
    first = Descriptor();
    EXPECT_TRUE(is_presence_marked(socket));
    second = Descriptor();
    EXPECT_FALSE(is_presence_marked(socket));
    EXPECT_TRUE(std::filesystem::is_empty(directory.path())) << "something is left behind";
}

TEST_F(NextHost, CanNotBeMarkedInADirectoryThatIsNotThere) {
    EXPECT_FALSE(mark_presence("/nowhere/at/all.sock"));
    EXPECT_FALSE(is_presence_marked("/nowhere/at/all.sock"));
    EXPECT_FALSE(SocketWatch::on("/nowhere/at/all.sock"));
    EXPECT_EQ(SocketWatch().descriptor(), -1);
}

TEST_F(NextHost, IsHeardOfWhenItsSocketAppears) {
    const SocketWatch watch = SocketWatch::on(socket);
    ASSERT_TRUE(watch);
    pollfd entry{watch.descriptor(), POLLIN, 0};
    EXPECT_EQ(::poll(&entry, 1, 0), 0);
    std::ofstream(socket).flush();
    EXPECT_EQ(::poll(&entry, 1, -1), 1);
    watch.clear();
    EXPECT_EQ(::poll(&entry, 1, 0), 0);
    std::filesystem::permissions(socket, std::filesystem::perms::owner_all);
    EXPECT_EQ(::poll(&entry, 1, -1), 1) << "the mode is set right before somebody listens";
    watch.clear();
    std::ofstream(directory.file("elsewhere")).flush();
    std::filesystem::rename(directory.file("elsewhere"), socket);
    EXPECT_EQ(::poll(&entry, 1, -1), 1);
}

}  // namespace
}  // namespace shmpool
