// SPDX-License-Identifier: Apache-2.0
/// Goal: what is written into a private view is nobody else's; both ways to ask which pages were
/// written to say exactly those; at the end of a stay all of it is forgotten, also by a process
/// whose memory is locked, and nobody can touch it before the next.
#include "shmpool/platform/private_view.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "shmpool/platform/memory_object.hpp"
#include "shmpool/platform/shared_mapping.hpp"
#include "tests/shmpool/platform/forked_child.hpp"

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
          view_(PrivateView::map({object_, begin}, pages * page_bytes, GetParam()).value()) {
        refresh();
    }

    void refresh() { ASSERT_TRUE(view_.refresh(pages * page_bytes)); }

    std::byte& in_object(std::uint64_t at) { return shared_.span()[begin + at]; }
    std::byte& in_view(std::uint64_t at) { return view_.span()[at]; }
    std::vector<PageSpan> changed() {
        const auto runs = view_.changed().value();
        return {runs.begin(), runs.end()};
    }
    /// As the kernel sees it.
    static bool can_be_written(const std::byte* address) {
        const Descriptor zero(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
        return ::read(zero.get(), const_cast<std::byte*>(address), 1) == 1;
    }
    static bool can_lock(int kind) {
        test::ForkedChild child([&] { return ::mlockall(kind) == 0 ? 0 : 1; });
        return child.wait() == 0;
    }

    /// In a child. At each of four moments its memory is locked, and let go before the next; 0:
    /// whatever was written to the object is seen, and nothing else. Else the moment.
    int seen_after_locking(int kind) {
        for (int moment = 1; moment <= 4; ++moment) {
            const auto at = [&](int now) { return now != moment || ::mlockall(kind) == 0; };
            if (!at(1)) return 10;
            auto view = PrivateView::map({object_, begin}, pages * page_bytes, GetParam()).value();
            if (!at(2) || !view.refresh(pages * page_bytes)) return 11;
            view.span()[page_bytes] = std::byte{1};
            if (!at(3) || !view.changed() || !at(4)) return 12;
            const auto now = static_cast<std::byte>(moment);  // Its mapping is not a child's.
            if (::pwrite(object_.get(), &now, 1, begin + 2 * page_bytes) != 1) return 13;
            if (!view.refresh(pages * page_bytes)) return 14;
            const bool is_right =
                view.span()[page_bytes] == std::byte{0} && view.span()[2 * page_bytes] == now;
            if (!is_right) return moment;
            ::munlockall();
        }
        return 0;
    }

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

TEST_P(PrivateViewTest, ForgetsWhatWasWrittenWhenItIsRefreshed) {
    in_view(0) = in_view(9 * page_bytes) = std::byte{1};
    EXPECT_EQ(changed().size(), 2U);
    in_view(3 * page_bytes) = std::byte{1};  // Behind the question.
    in_object(0) = std::byte{3};
    refresh();
    EXPECT_EQ(in_view(0), std::byte{3});
    EXPECT_EQ(in_view(3 * page_bytes), std::byte{0});
    EXPECT_EQ(in_view(9 * page_bytes), std::byte{0});
    EXPECT_TRUE(changed().empty());
}

TEST_P(PrivateViewTest, IsAsLargeAsWasAskedForAndNotLarger) {
    auto view = PrivateView::map({object_, begin}, pages * page_bytes, GetParam()).value();
    ASSERT_TRUE(view.refresh(2 * page_bytes));
    EXPECT_TRUE(can_be_written(&view.span()[2 * page_bytes - 1]));
    EXPECT_FALSE(can_be_written(&view.span()[2 * page_bytes]));
    ASSERT_TRUE(view.refresh(5 * page_bytes + 1));
    in_object(5 * page_bytes) = std::byte{7};
    EXPECT_EQ(view.span()[5 * page_bytes], std::byte{7});
    EXPECT_TRUE(view.changed().value().empty()) << "forgotten when it grew";
}

/// What is locked is copied as a whole, and the kernel does not forget it when it is asked to.
TEST_P(PrivateViewTest, ForgetsWhateverIsLockedAndWheneverItWas) {
    const int kinds[] = {MCL_FUTURE, MCL_CURRENT, MCL_CURRENT | MCL_FUTURE,
                         MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT};
    for (const int kind : kinds) {
        if (!can_lock(kind)) GTEST_SKIP() << "the limit of locked memory (ulimit -l) forbids it";
        test::ForkedChild child([&] { return seen_after_locking(kind); });
        EXPECT_EQ(child.wait(), 0) << kind;
    }
}

TEST(PrivateViewRefusal, NamesTheProcessThatIsNotDumpable) {
    const Descriptor object = create_memory_object("view", page_bytes).value();
    test::ForkedChild child([&] {
        if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) return 2;
        if (::prctl(PR_SET_DUMPABLE, 0) != 0) return 3;
        const auto view = PrivateView::map({object}, page_bytes);
        if (view || view.error().code != Errc::no_permission) return 4;
        return view.error().message.find("dumpable") == std::string::npos ? 5 : 0;
    });
    EXPECT_EQ(child.wait(), 0);
}

TEST(PrivateViewRefusal, NamesTheLimitOfLockedMemory) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "the sanitizers let nobody lock memory";
#endif
    constexpr std::uint64_t bytes = 64 << 20;
    const Descriptor object = create_memory_object("view", bytes).value();
    test::ForkedChild child([&] {
        const rlimit limit{1 << 20, 1 << 20};
        if (::setrlimit(RLIMIT_MEMLOCK, &limit) != 0) return 2;
        if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) return 3;
        if (::prctl(PR_SET_DUMPABLE, 1) != 0 || ::mlockall(MCL_FUTURE) != 0) return 4;
        const auto view = PrivateView::map({object}, bytes);
        if (view || view.error().code != Errc::out_of_memory) return 5;
        return view.error().message.find("ulimit -l") == std::string::npos ? 6 : 0;
    });
    EXPECT_EQ(child.wait(), 0);
}

INSTANTIATE_TEST_SUITE_P(Queries, PrivateViewTest,
                         testing::Values(PageQuery::fastest, PageQuery::page_by_page),
                         [](const auto& query) {
                             return query.param == PageQuery::fastest ? "fastest" : "page_by_page";
                         });

}  // namespace
}  // namespace shmpool
