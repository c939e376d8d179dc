// SPDX-License-Identifier: Apache-2.0
/// A descriptor is closed exactly once, by whoever owns it last.
#include "shmpool/platform/descriptor.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <utility>

namespace shmpool {
namespace {

Descriptor any_open_file() {
    return Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

bool is_open(int number) {
    return ::fcntl(number, F_GETFD) >= 0;
}

TEST(Descriptor, ClosesAtItsEnd) {
    int number = -1;
    {
        const Descriptor descriptor = any_open_file();
        number = descriptor.get();
        ASSERT_TRUE(is_open(number));
    }
    EXPECT_FALSE(is_open(number));
}

TEST(Descriptor, IsEmptyAfterItWasMovedFrom) {
    Descriptor from = any_open_file();
    const int number = from.get();
    const Descriptor to = std::move(from);
    EXPECT_FALSE(from);  // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(to.get(), number);
    EXPECT_TRUE(is_open(number));
}

TEST(Descriptor, ClosesWhatItHeldWhenItIsAssigned) {
    Descriptor target = any_open_file();
    const int old = target.get();
    target = any_open_file();
    EXPECT_FALSE(is_open(old));
    EXPECT_TRUE(is_open(target.get()));
}

TEST(Descriptor, LeavesAReleasedNumberOpen) {
    Descriptor descriptor = any_open_file();
    const int number = descriptor.release();
    descriptor = Descriptor();
    EXPECT_TRUE(is_open(number));
    ::close(number);
}

TEST(Descriptor, DuplicatesWithCloseOnExec) {
    const Descriptor original = any_open_file();
    const auto duplicate = Descriptor::duplicate(original);
    ASSERT_TRUE(duplicate.has_value());
    EXPECT_NE(duplicate->get(), original.get());
    EXPECT_NE(::fcntl(duplicate->get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(Descriptor, DoesNotDuplicateNothing) {
    const auto duplicate = Descriptor::duplicate(Descriptor());
    ASSERT_FALSE(duplicate.has_value());
    EXPECT_EQ(duplicate.error().code, Errc::system);
}

TEST(Descriptor, SaysWhenTheProcessHasNoNumberLeft) {
    const Descriptor original = any_open_file();
    const int lowest_free = any_open_file().get();
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    const rlimit none_left{static_cast<rlim_t>(lowest_free), before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none_left), 0);
    const auto duplicate = Descriptor::duplicate(original);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    ASSERT_FALSE(duplicate.has_value());
    EXPECT_EQ(duplicate.error().code, Errc::descriptor_limit);
}

}  // namespace
}  // namespace shmpool
