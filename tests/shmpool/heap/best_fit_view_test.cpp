// SPDX-License-Identifier: Apache-2.0
/// Goal: nothing but a change changes a best_fit heap, and each sees what is in it now: whoever
/// writes where he has been before, locks his memory, is refused by the kernel, or ends his thread.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <iterator>
#include <thread>

#include "shmpool/heap/best_fit.hpp"
#include "tests/shmpool/heap/dying_heap.hpp"
#include "tests/shmpool/heap/own_best_fit.hpp"
#include "tests/shmpool/platform/forked_child.hpp"

namespace shmpool {
namespace {

namespace bip = boost::interprocess;
using test::ForkedChild;
using test::OwnBestFit;

constexpr HeapHolder me = OwnBestFit::me;
constexpr HeapHolder other = 2;
constexpr const char* long_text = "a text that is long enough for a block of its own, somewhere";

int& number(BestFit& buffer) {
    return *buffer.find_or_construct<int>("number")(0);
}
bool adds(BestFitHeap& heap, HeapHolder who, int by) {
    return heap.change(who, [&](BestFit& buffer) { number(buffer) += by; }).has_value();
}
int number_in(BestFitHeap& heap, HeapHolder who) {
    return heap.look(who, [](BestFit& buffer) { return number(buffer); }).value_or(-1);
}

// --- what may be returned

struct Plain {
    int a, b;
};
static_assert(!holds_address<void> && !holds_address<int> && !holds_address<Plain>);
static_assert(!holds_address<std::string> && !holds_address<std::vector<std::pair<int, Plain>>>);
static_assert(!holds_address<std::optional<std::tuple<int, std::string>>>);
static_assert(holds_address<int*> && holds_address<const Plain&>);
static_assert(holds_address<std::pair<int*, std::size_t>>, "of BestFit::find");
static_assert(holds_address<Outcome<std::tuple<int, std::optional<Plain*>>>>);
static_assert(holds_address<std::vector<const char*>> && holds_address<std::array<int*, 2>>);
static_assert(holds_address<std::span<int>> && holds_address<std::string_view>);
static_assert(holds_address<bip::offset_ptr<int>> && holds_address<BestFitAllocator<int>>);
static_assert(holds_address<test::BestFitText> && holds_address<const test::BestFitMap>);
static_assert(holds_address<test::BestFitMap::iterator> && holds_address<std::unique_ptr<int>>);
static_assert(holds_address<std::vector<test::BestFitText>>);

// --- who writes where he has been before

class BestFitStrays : public testing::Test {
protected:
    BestFitStrays() {
        own_.put(1, long_text);
        EXPECT_TRUE(adds(*own_.heap, me, 5));
        used_ = own_.now().used_bytes;
    }
    ~BestFitStrays() override {
        EXPECT_TRUE(adds(*own_.heap, me, 0)) << "an innocent change";
        const auto elsewhere = own_.open(own_.memory.view());
        EXPECT_EQ(number_in(*elsewhere, other), 5);
        EXPECT_EQ(own_.read(), std::string("1=") + long_text + " ");
        EXPECT_EQ(own_.now().used_bytes, used_);
    }

    OwnBestFit own_;
    std::uint64_t used_ = 0;
};

TEST_F(BestFitStrays, ThroughAnAddressThatWasKept) {
    int* kept = nullptr;
    ASSERT_TRUE(own_.heap->look(me, [&](BestFit& buffer) { kept = &number(buffer); }));
    *kept = 77;
    EXPECT_EQ(number_in(*own_.heap, me), 5);
    *kept = 78;
}

TEST_F(BestFitStrays, ByTheEndOfAContainerThatWasReturned) {
    struct Unseen {
        test::BestFitText text;
    };
    const auto copy = own_.heap->look(
        me, [](BestFit& buffer) { return Unseen{test::map_in(buffer).begin()->second}; });
    EXPECT_TRUE(copy.has_value());
}

// --- who locks his memory, or is refused by the kernel

/// In a child that locks its memory, or to which the kernel refuses something.
class BestFitElsewhere : public testing::Test {
protected:
    static constexpr int to_forget = 1;
    static constexpr int to_map = 2;

    static bool locks(int kind) { return ::mlockall(kind) == 0; }
    static bool can_lock() {
        return ForkedChild([] { return locks(MCL_CURRENT | MCL_FUTURE) ? 0 : 1; }).wait() == 0;
    }
    /// From here on the kernel says no: of madvise to what forgets pages, of mmap to all that says
    /// where.
    static bool is_refused(int what) {
        const auto call = static_cast<std::uint32_t>(what == to_forget ? __NR_madvise : __NR_mmap);
        const std::uint32_t bits = what == to_forget ? MADV_DONTNEED : MAP_FIXED;
        const std::uint32_t argument = what == to_forget ? 2 : 3;
        const auto at = static_cast<std::uint32_t>(offsetof(seccomp_data, args) + 8 * argument);
        sock_filter program[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 3),
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at),
            BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        sock_fprog filter{};
        filter.len = std::size(program);
        filter.filter = program;
        return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
               ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
    }

    /// What a child returns: 0: it has always seen what was there.
    template <typename Before, typename Behind>
    int sees_all(Before before, Behind behind) {
        if (!before()) return 10;
        const auto its = own_.open(own_.memory.map());
        const auto theirs = own_.open(own_.memory.map());
        if (!adds(*its, other, 1) || !behind()) return 11;
        const auto refused = its->change(other, [](BestFit& buffer) -> Outcome<void> {
            number(buffer) = 777;
            return fail(Errc::ended);
        });
        if (refused.has_value() || number_in(*its, other) != 1) return 1;
        for (int i = 0; i < 10; ++i) {
            if (!adds(*theirs, me, 10)) return 2;
        }
        if (number_in(*its, other) != 101) return 3;
        if (!its->change(other, [](BestFit& buffer) { test::put(buffer, 1, "x"); })) return 4;
        return number_in(*theirs, me) == 101 ? 0 : 5;
    }

    OwnBestFit own_;
};

bool nothing() {
    return true;
}

TEST_F(BestFitElsewhere, LocksAllOfItsMemoryFirst) {
    if (!can_lock()) GTEST_SKIP() << "the limit of locked memory (ulimit -l) forbids it";
    for (const int kind : {MCL_FUTURE, MCL_CURRENT | MCL_FUTURE, MCL_FUTURE | MCL_ONFAULT}) {
        ForkedChild child([&] { return sees_all([&] { return locks(kind); }, nothing); });
        EXPECT_EQ(child.wait(), 0) << kind;
        ASSERT_TRUE(own_.heap->change(me, [](BestFit& buffer) { number(buffer) = 0; }));
    }
}

TEST_F(BestFitElsewhere, LocksAllOfItsMemoryWhileItIsOpen) {
    if (!can_lock()) GTEST_SKIP() << "the limit of locked memory (ulimit -l) forbids it";
    ForkedChild child([&] { return sees_all(nothing, [] { return locks(MCL_CURRENT); }); });
    EXPECT_EQ(child.wait(), 0);
    EXPECT_EQ(own_.read(), "1=x ");
}

TEST_F(BestFitElsewhere, IsNotAllowedToForgetPages) {
    ForkedChild child([&] { return sees_all(nothing, [] { return is_refused(to_forget); }); });
    EXPECT_EQ(child.wait(), 0);
    EXPECT_EQ(own_.read(), "1=x ");
}

TEST_F(BestFitElsewhere, CanDoNothingMoreOnceItsViewIsLost) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "the sanitizers map memory for themselves, which this test forbids";
#endif
    ForkedChild child([&] {
        const auto its = own_.open(own_.memory.map());
        if (!adds(*its, other, 1)) return 10;
        if (!is_refused(to_forget) || !is_refused(to_map)) return 11;
        for (int i = 0; i < 3; ++i) {
            const auto done = its->change(other, [](BestFit& buffer) { number(buffer) = 7; });
            if (done.has_value() || done.error() != Errc::system) return 1;
            if (its->look(other, [](BestFit&) {}).has_value()) return 2;
        }
        return its->statistics(other).has_value() ? 0 : 3;
    });
    EXPECT_EQ(child.wait(), 0);
    EXPECT_EQ(number_in(*own_.heap, me), 1);
}

TEST_F(BestFitElsewhere, CanNotTouchWhatLiesBehindWhatTheHeapHas) {
    HeapOptions options;
    options.backed_bytes = 256 << 10;
    OwnBestFit growing(1 << 20, options);
    ForkedChild child([&] {
        const auto its = growing.open(growing.memory.map());
        (void)its->change(other, [](BestFit& buffer) {
            auto* const end = static_cast<char*>(buffer.get_address()) + buffer.get_size();
            *(end + 8192) = 'x';
        });
        return 0;
    });
    EXPECT_NE(child.wait(), 0) << "ended by a signal";
    growing.heap->holder_died(other);
}

// --- who ends his thread

TEST_F(BestFitStrays, ByWhoEndsHisThreadInABody) {
    std::thread([&] {
        (void)own_.heap->change(other, [](BestFit& buffer) {
            number(buffer) = 9;
            ::pthread_exit(nullptr);
        });
    }).join();
    EXPECT_EQ(number_in(*own_.heap, me), 5) << "nobody is in it";
}

TEST_F(BestFitStrays, ByWhoseThreadIsCancelledInABody) {
    test::Step inside;
    std::thread cancelled([&] {
        (void)own_.heap->change(other, [&](BestFit& buffer) {
            number(buffer) = 9;
            inside.announce();
            for (;;) ::pause();
        });
    });
    inside.await();
    ASSERT_EQ(::pthread_cancel(cancelled.native_handle()), 0);
    cancelled.join();
    EXPECT_EQ(number_in(*own_.heap, me), 5) << "nobody is in it";
}

}  // namespace
}  // namespace shmpool
