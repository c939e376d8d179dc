// SPDX-License-Identifier: Apache-2.0
/// Real memfds with real seals.
#include "shmpool/platform/memory_object.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <limits>

#include "shmpool/platform/atomics.hpp"
#include "shmpool/platform/available_memory.hpp"

namespace shmpool {
namespace {

constexpr std::uint64_t object_bytes = 16 * page_bytes;

Descriptor sparse_object() {
    auto object = create_memory_object("shmpool-test", object_bytes);
    EXPECT_TRUE(object.has_value());
    return object ? std::move(*object) : Descriptor();
}

std::uint64_t committed_bytes(const Descriptor& object) {
    struct stat status {};
    EXPECT_EQ(::fstat(object.get(), &status), 0);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

TEST(MemoryObject, HasItsMaximumSizeAndNoMemoryAtFirst) {
    const Descriptor object = sparse_object();
    EXPECT_EQ(size_of(object).value(), object_bytes);
    EXPECT_EQ(committed_bytes(object), 0U);
}

TEST(MemoryObject, IsClosedOnExec) {
    const Descriptor object = sparse_object();
    EXPECT_NE(::fcntl(object.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(MemoryObject, RefusesToShrink) {
    const Descriptor object = sparse_object();
    EXPECT_EQ(::ftruncate(object.get(), page_bytes), -1);
    EXPECT_EQ(errno, EPERM);
}

TEST(MemoryObject, RefusesToGrow) {
    const Descriptor object = sparse_object();
    EXPECT_EQ(::ftruncate(object.get(), 2 * object_bytes), -1);
    EXPECT_EQ(errno, EPERM);
}

TEST(MemoryObject, RefusesMoreSeals) {
    const Descriptor object = sparse_object();
    EXPECT_EQ(::fcntl(object.get(), F_ADD_SEALS, F_SEAL_WRITE), -1);
    EXPECT_EQ(errno, EPERM);
}

TEST(MemoryObject, RefusesASizeOfZeroAndOneThatNoFileCanHave) {
    for (const std::uint64_t bytes : {std::uint64_t{0}, std::uint64_t{1} << 63}) {
        const auto object = create_memory_object("shmpool-test", bytes);
        ASSERT_FALSE(object.has_value());
        EXPECT_EQ(object.error().code, Errc::invalid_argument);
    }
}

TEST(Commit, BacksExactlyWhatWasAsked) {
    const Descriptor object = sparse_object();
    ASSERT_TRUE(commit(object, page_bytes, 2 * page_bytes).has_value());
    EXPECT_EQ(committed_bytes(object), 2 * page_bytes);
}

TEST(Commit, KeepsWhatIsThereAlready) {
    const Descriptor object = sparse_object();
    ASSERT_EQ(::pwrite(object.get(), "kept", 4, 0), 4);
    ASSERT_TRUE(commit(object, 0, object_bytes).has_value());
    char found[5] = {};
    ASSERT_EQ(::pread(object.get(), found, 4, 0), 4);
    EXPECT_STREQ(found, "kept");
}

TEST(Commit, RefusesARangeOutsideOfTheObject) {
    const Descriptor object = sparse_object();
    constexpr std::uint64_t largest = std::numeric_limits<std::uint64_t>::max();
    for (const auto& [offset, bytes] : {std::pair<std::uint64_t, std::uint64_t>{0, 0},
                                        {0, object_bytes + 1},
                                        {object_bytes, 1},
                                        {page_bytes, largest},
                                        {largest, page_bytes}}) {
        const auto done = commit(object, offset, bytes);
        ASSERT_FALSE(done.has_value());
        EXPECT_EQ(done.error().code, Errc::invalid_argument);
    }
    EXPECT_EQ(committed_bytes(object), 0U);
}

TEST(Commit, RefusesMoreThanTheMachineHasBeforeAnythingIsKilled) {
    const std::uint64_t too_much = 2 * available_memory_bytes() / page_bytes * page_bytes;
    const auto object = create_memory_object("shmpool-test", too_much);
    ASSERT_TRUE(object.has_value());
    const auto done = commit(*object, 0, too_much);
    ASSERT_FALSE(done.has_value());
    EXPECT_EQ(done.error().code, Errc::out_of_memory);
    EXPECT_THAT(done.error().message, testing::HasSubstr(std::to_string(too_much)));
    EXPECT_THAT(done.error().message, testing::HasSubstr("bytes are available"));
    EXPECT_EQ(committed_bytes(*object), 0U);
    EXPECT_EQ(check_memory_for(*object, 0, too_much).error().code, Errc::out_of_memory);
    EXPECT_TRUE(check_memory_for(*object, 0, page_bytes));
}

TEST(Commit, GrowsUnderTheSealsAndKeepsTheSize) {
    const Descriptor object = sparse_object();
    ASSERT_TRUE(commit(object, 0, page_bytes).has_value());
    ASSERT_TRUE(commit(object, page_bytes, page_bytes).has_value());
    EXPECT_EQ(size_of(object).value(), object_bytes);
}

TEST(Punch, GivesMemoryBackAndLeavesZeros) {
    const Descriptor object = sparse_object();
    ASSERT_TRUE(commit(object, 0, object_bytes).has_value());
    ASSERT_EQ(::pwrite(object.get(), "gone", 4, page_bytes), 4);
    ASSERT_TRUE(punch(object, page_bytes, page_bytes).has_value());
    EXPECT_EQ(committed_bytes(object), object_bytes - page_bytes);
    EXPECT_EQ(size_of(object).value(), object_bytes);
    char found[4] = {1, 1, 1, 1};
    ASSERT_EQ(::pread(object.get(), found, 4, page_bytes), 4);
    EXPECT_THAT(found, testing::Each(0));
}

TEST(Punch, RefusesARangeOutsideOfTheObject) {
    const Descriptor object = sparse_object();
    const auto done = punch(object, object_bytes, page_bytes);
    ASSERT_FALSE(done.has_value());
    EXPECT_EQ(done.error().code, Errc::invalid_argument);
}

TEST(CheckSeals, AcceptsWhatCreateMade) {
    EXPECT_TRUE(check_seals(sparse_object()).has_value());
}

TEST(CheckSeals, RefusesMemoryThatCouldStillChangeItsSize) {
    const Descriptor unsealed(::memfd_create("shmpool-test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    ASSERT_EQ(::ftruncate(unsealed.get(), page_bytes), 0);
    for (const int seals : {0, F_SEAL_SHRINK, F_SEAL_SHRINK | F_SEAL_GROW}) {
        ASSERT_EQ(::fcntl(unsealed.get(), F_ADD_SEALS, seals), 0);
        const auto sealed = check_seals(unsealed);
        ASSERT_FALSE(sealed.has_value());
        EXPECT_EQ(sealed.error().code, Errc::refused);
    }
}

TEST(CheckSeals, RefusesAnOrdinaryFile) {
    const Descriptor file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(check_seals(file).error().code, Errc::refused);
}

TEST(SizeOf, RefusesNothing) {
    EXPECT_EQ(size_of(Descriptor()).error().code, Errc::system);
}

}  // namespace
}  // namespace shmpool
