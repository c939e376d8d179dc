// SPDX-License-Identifier: Apache-2.0
/// Goal: what is written into a private view is nobody else's; both ways to ask which pages were
/// written to say exactly those; what is forgotten is what is in the object.
#include "shmpool/platform/private_view.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "shmpool/platform/memory_object.hpp"
#include "shmpool/platform/shared_mapping.hpp"

namespace shmpool {
namespace {

constexpr std::uint64_t pages = 3000;  // More than are asked for at once.
constexpr std::uint64_t begin = 2 * page_bytes;

class PrivateViewTest : public testing::TestWithParam<PageQuery> {
protected:
    PrivateViewTest()
        : object_(create_memory_object("view", begin + pages * page_bytes).value()),
          shared_(
              SharedMapping::map(object_, begin + pages * page_bytes, Access::read_write).value()),
          view_(PrivateView::map({object_, begin}, pages * page_bytes, GetParam()).value()) {}

    std::byte& in_object(std::uint64_t at) { return shared_.span()[begin + at]; }
    std::byte& in_view(std::uint64_t at) { return view_.span()[at]; }
    std::vector<PageSpan> changed() { return view_.changed().value(); }

    Descriptor object_;
    SharedMapping shared_;
    PrivateView view_;
};

TEST_P(PrivateViewTest, SaysWhichPagesWereWrittenTo) {
    EXPECT_TRUE(changed().empty());
    const std::byte seen = in_view(7 * page_bytes);  // Looked at, not written to.
    EXPECT_EQ(seen, std::byte{0});
    EXPECT_TRUE(changed().empty());
    in_view(0) = std::byte{1};
    in_view(5 * page_bytes + 17) = std::byte{1};
    in_view(6 * page_bytes) = std::byte{0};  // The same value; the kernel knows only of a store.
    in_view((pages - 1) * page_bytes + page_bytes - 1) = std::byte{1};
    EXPECT_EQ(changed(), (std::vector<PageSpan>{{0, page_bytes},
                                                {5 * page_bytes, 2 * page_bytes},
                                                {(pages - 1) * page_bytes, page_bytes}}));
}

TEST_P(PrivateViewTest, SaysMoreRunsThanItAsksForAtOnce) {
    for (std::uint64_t page = 0; page < pages; page += 2) in_view(page * page_bytes) = std::byte{1};
    const std::vector<PageSpan> runs = changed();
    ASSERT_EQ(runs.size(), pages / 2);
    for (std::uint64_t i = 0; i < runs.size(); ++i) {
        EXPECT_EQ(runs[i], (PageSpan{2 * i * page_bytes, page_bytes}));
    }
}

TEST_P(PrivateViewTest, IsSeenByNobodyAndSeesTheObject) {
    in_object(page_bytes) = std::byte{1};
    EXPECT_EQ(in_view(page_bytes), std::byte{1});
    in_object(page_bytes) = std::byte{2};
    EXPECT_EQ(in_view(page_bytes), std::byte{2}) << "as it is now";
    in_view(page_bytes + 1) = std::byte{9};
    EXPECT_EQ(in_object(page_bytes + 1), std::byte{0});
}

TEST_P(PrivateViewTest, ForgetsWhatItIsToldAndOnlyThat) {
    in_view(0) = in_view(page_bytes) = in_view(9 * page_bytes) = std::byte{1};
    view_.forget(std::vector<PageSpan>{{0, page_bytes}, {9 * page_bytes, page_bytes}});
    EXPECT_EQ(changed(), (std::vector<PageSpan>{{page_bytes, page_bytes}}));
    in_object(0) = std::byte{3};
    EXPECT_EQ(in_view(0), std::byte{3});
    EXPECT_EQ(in_view(9 * page_bytes), std::byte{0});
    view_.forget_all();
    EXPECT_TRUE(changed().empty());
    EXPECT_EQ(in_view(page_bytes), std::byte{0});
}

INSTANTIATE_TEST_SUITE_P(Queries, PrivateViewTest,
                         testing::Values(PageQuery::fastest, PageQuery::page_by_page),
                         [](const auto& query) {
                             return query.param == PageQuery::fastest ? "fastest" : "page_by_page";
                         });

}  // namespace
}  // namespace shmpool
