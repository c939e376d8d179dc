// SPDX-License-Identifier: Apache-2.0
/// What a real fork() leaves of a token and of a mapping.
#include <gtest/gtest.h>

#include <cstring>
#include <utility>

#include "shmpool/platform/atomics.hpp"
#include "shmpool/platform/fork_token.hpp"
#include "shmpool/platform/memory_object.hpp"
#include "shmpool/platform/shared_mapping.hpp"
#include "tests/shmpool/platform/forked_child.hpp"

namespace shmpool {
namespace {

using test::ForkedChild;

TEST(ForkToken, IsValidWhereItWasMadeAndNotInAChild) {
    const auto token = ForkToken::create();
    ASSERT_TRUE(token.has_value());
    EXPECT_TRUE(token->valid());
    EXPECT_EQ(ForkedChild([&] { return token->valid() ? 1 : 0; }).wait(), 0);
    EXPECT_TRUE(token->valid());
}

TEST(ForkToken, IsNotValidInAGrandchild) {
    const auto token = ForkToken::create();
    ASSERT_TRUE(token.has_value());
    EXPECT_EQ(ForkedChild([&] {
                  return ForkedChild([&] { return token->valid() ? 1 : 0; }).wait();
              }).wait(),
              0);
}

TEST(ForkToken, CanBeMadeAnewInAChild) {
    const auto token = ForkToken::create();
    EXPECT_EQ(ForkedChild([&] {
                  const auto own = ForkToken::create();
                  return own.has_value() && own->valid() && !token->valid() ? 0 : 1;
              }).wait(),
              0);
}

TEST(ForkToken, IsNotValidOnceItWasMovedFrom) {
    auto from = ForkToken::create();
    ASSERT_TRUE(from.has_value());
    const ForkToken to = std::move(*from);
    EXPECT_TRUE(to.valid());
    EXPECT_FALSE(from->valid());  // NOLINT(bugprone-use-after-move)
    EXPECT_FALSE(ForkToken().valid());
}

TEST(SharedMapping, IsNotThereInAChild) {
    const auto object = create_memory_object("shmpool-test", page_bytes);
    const auto mapping = SharedMapping::map(*object, page_bytes, Access::read_write);
    ASSERT_TRUE(mapping.has_value());
    EXPECT_EQ(ForkedChild([&] {
                  unsigned char resident = 0;
                  return ::mincore(mapping->base(), page_bytes, &resident) == 0 ? 1 : 0;
              }).wait(),
              0);
}

TEST(SharedMapping, DoesNotUnmapWhatAChildHasPutInItsPlace) {
    const auto object = create_memory_object("shmpool-test", page_bytes);
    auto mapping = SharedMapping::map(*object, page_bytes, Access::read_write);
    ASSERT_TRUE(mapping.has_value());
    EXPECT_EQ(ForkedChild([&] {
                  void* const taken = ::mmap(mapping->base(), page_bytes, PROT_READ | PROT_WRITE,
                                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
                  *mapping = SharedMapping();
                  unsigned char resident = 0;
                  return ::mincore(taken, page_bytes, &resident) == 0 ? 0 : 1;
              }).wait(),
              0);
}

}  // namespace
}  // namespace shmpool
