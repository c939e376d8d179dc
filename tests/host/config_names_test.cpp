// SPDX-License-Identifier: Apache-2.0
/// Suggestions for misspelt words.
#include <gmock/gmock.h>

#include <array>

#include "host/nearest_name.hpp"

namespace shmpool::host {
namespace {

using testing::HasSubstr;

constexpr std::array<std::string_view, 4> known{"peers", "publishers", "ring_entries", "lanes"};

TEST(EditDistance, CountsInsertionsRemovalsExchangesAndSwaps) {
    EXPECT_EQ(edit_distance("", ""), 0U);
    EXPECT_EQ(edit_distance("", "abc"), 3U);
    EXPECT_EQ(edit_distance("peers", "peer"), 1U);
    EXPECT_EQ(edit_distance("peers", "pears"), 1U);
    EXPECT_EQ(edit_distance("peers", "pesre"), 2U);
    EXPECT_EQ(edit_distance("ab", "ba"), 1U);
    EXPECT_EQ(edit_distance("Peers", "pEERS"), 0U);
    EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

TEST(NearestName, FindsWhatWasMeant) {
    EXPECT_EQ(nearest_name("peer", known), "peers");
    EXPECT_EQ(nearest_name("pbulishers", known), "publishers");
    EXPECT_EQ(nearest_name("ring-entrys", known), "ring_entries");
    EXPECT_EQ(nearest_name("LANES", known), "lanes");
}

TEST(NearestName, IsSilentWhenNothingIsNear) {
    EXPECT_EQ(nearest_name("colour", known), std::nullopt);
    EXPECT_EQ(nearest_name("", known), std::nullopt);
    EXPECT_EQ(nearest_name(std::string(100'000, 'p'), known), std::nullopt);
    EXPECT_EQ(nearest_name("peers", {}), std::nullopt);
}

TEST(NearestName, ListsWhatIsKnownWhenNothingIsNear) {
    EXPECT_EQ(suggest_name("peer", known), "did you mean \"peers\"?");
    EXPECT_EQ(suggest_name("colour", known), "known here: peers, publishers, ring_entries, lanes");
}

}  // namespace
}  // namespace shmpool::host
