// SPDX-License-Identifier: Apache-2.0
/// The thread that builds heaps: tasks are done there, in their order, and nobody waits for them
/// but who ends it.
#include "host/heap_thread.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <semaphore>

#include "tests/host/daemon.hpp"

namespace shmpool::host {
namespace {

using test::eventually;

bool is_readable(const HeapThread& thread) {
    pollfd entry{thread.descriptor().get(), POLLIN, 0};
    return ::poll(&entry, 1, 0) == 1;
}

std::vector<HeapBuilder::Built> wait_for_all(HeapThread& thread, std::size_t count) {
    std::vector<HeapBuilder::Built> all;
    EXPECT_TRUE(eventually([&] {
        for (auto& one : thread.collect()) all.push_back(std::move(one));
        return all.size() >= count;
    }));
    return all;
}

TEST(HeapThreadTest, DoesTasksInTheirOrderWhileNobodyWaits) {
    HeapThread thread(EventFlag::create().value());
    std::binary_semaphore go_on{0};
    std::vector<int> order;
    thread.begin(1, [&]() -> Result<void> {
        go_on.acquire();
        order.push_back(1);
        return {};
    });
    thread.begin(2, [&]() -> Result<void> {
        order.push_back(2);
        return fail(Errc::heap_damaged, "by a test");
    });
    EXPECT_TRUE(thread.collect().empty());
    EXPECT_FALSE(is_readable(thread));
    go_on.release();
    const auto built = wait_for_all(thread, 2);
    ASSERT_EQ(built.size(), 2U);
    EXPECT_EQ(built[0].work, 1U);
    EXPECT_TRUE(built[0].result);
    EXPECT_EQ(built[1].work, 2U);
    EXPECT_EQ(built[1].result.error().code, Errc::heap_damaged);
    EXPECT_EQ(order, (std::vector{1, 2}));
}

TEST(HeapThreadTest, IsReadableWhileThereIsSomethingToCollect) {
    HeapThread thread(EventFlag::create().value());
    thread.begin(1, []() -> Result<void> { return {}; });
    EXPECT_TRUE(eventually([&] { return is_readable(thread); }));
    EXPECT_EQ(thread.collect().size(), 1U);
    EXPECT_FALSE(is_readable(thread));
    EXPECT_TRUE(thread.collect().empty());
}

TEST(HeapThreadTest, DoesNotBeginWhatIsWithdrawn) {
    HeapThread thread(EventFlag::create().value());
    std::binary_semaphore begun{0};
    std::binary_semaphore go_on{0};
    thread.begin(1, [&]() -> Result<void> {
        begun.release();
        go_on.acquire();
        return {};
    });
    begun.acquire();
    bool was_begun = false;
    thread.begin(2, [&]() -> Result<void> {
        was_begun = true;
        return {};
    });
    EXPECT_FALSE(thread.withdraw(1));
    EXPECT_TRUE(thread.withdraw(2));
    EXPECT_FALSE(thread.withdraw(2));
    go_on.release();
    ASSERT_EQ(wait_for_all(thread, 1).size(), 1U);
    thread.finish();
    EXPECT_FALSE(was_begun);
}

TEST(HeapThreadTest, EndsWhenWhatIsUnderWayIsOverAndBeginsNoMore) {
    std::atomic<int> done = 0;
    std::binary_semaphore begun{0};
    {
        HeapThread thread(EventFlag::create().value());
        thread.begin(1, [&]() -> Result<void> {
            begun.release();
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
            ++done;
            return {};
        });
        begun.acquire();
        thread.begin(2, [&]() -> Result<void> {
            done += 10;
            return {};
        });
    }
    EXPECT_EQ(done, 1);
}

}  // namespace
}  // namespace shmpool::host
