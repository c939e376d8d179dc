// SPDX-License-Identifier: Apache-2.0
/// Goal: a host that starts knows whether somebody living waits for it, and who waits learns at
/// once that a host may be there. Method: real processes that mark themselves and are killed.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <filesystem>

#include "protocol/wire/local_socket.hpp"
#include "protocol/wire/presence_mark.hpp"
#include "protocol/wire/socket_watch.hpp"
#include "tests/shmpool/platform/forked_child.hpp"
#include "tests/shmpool/platform/temporary_directory.hpp"

namespace shmpool {
namespace {

class NextHost : public testing::Test {
protected:
    [[nodiscard]] bool sees_mark(const std::string& path) const {
        return is_presence_marked(Descriptor(::open(directory.path().c_str(), O_RDONLY)), path);
    }

    const test::TemporaryDirectory directory;
    const std::string socket = directory.file("pool.sock");
};

TEST_F(NextHost, SeesAMarkAsLongAsItsHolderLives) {
    EXPECT_FALSE(sees_mark(socket));
    const test::Shared<test::Step> marked;
    test::ForkedChild child([&]() -> int {
        const Descriptor mark = mark_presence(socket);
        marked->announce();
        test::sleep_for_ever();
    });
    marked->await();
    EXPECT_TRUE(sees_mark(socket));
    EXPECT_FALSE(sees_mark(directory.file("other.sock"))) << "a mark of another pool";
    child.kill();
    child.wait();
    EXPECT_FALSE(sees_mark(socket)) << "a mark of a dead one";
}

TEST_F(NextHost, SeesTheMarksOfOneProcessApart) {
    Descriptor first = mark_presence(socket);
    Descriptor second = mark_presence(socket);
    ASSERT_TRUE(first && second);
    first = Descriptor();
    EXPECT_TRUE(sees_mark(socket));
    second = Descriptor();
    EXPECT_FALSE(sees_mark(socket));
    EXPECT_TRUE(std::filesystem::is_empty(directory.path())) << "something is left behind";
}

TEST_F(NextHost, CanNotBeMarkedInADirectoryThatIsNotThere) {
    EXPECT_FALSE(mark_presence("/nowhere/at/all.sock"));
    EXPECT_TRUE(is_presence_marked(Descriptor(), "/nowhere/at/all.sock")) << "who can tell?";
    EXPECT_FALSE(SocketWatch::on("/nowhere/at/all.sock"));
    EXPECT_EQ(SocketWatch().descriptor(), -1);
}

TEST_F(NextHost, IsHeardOfWhenItsSocketAppears) {
    const SocketWatch watch = SocketWatch::on(socket);
    ASSERT_TRUE(watch);
    pollfd entry{watch.descriptor(), POLLIN, 0};
    EXPECT_EQ(::poll(&entry, 1, 0), 0);
    {
        const auto listener = LocalListener::bind(socket, {});
        EXPECT_EQ(::poll(&entry, 1, -1), 1);
        watch.clear();
        EXPECT_EQ(::poll(&entry, 1, 0), 0);
    }
    EXPECT_EQ(::poll(&entry, 1, 0), 0) << "a host that leaves is no reason to come";
}

}  // namespace
}  // namespace shmpool
