// SPDX-License-Identifier: Apache-2.0
/// Death at every single instruction of a publish, a take, a release. The victim is single-stepped
/// (ptrace, x86-64); after each step its segment is copied, and the copy is what a kill at this
/// instruction leaves behind. In the copy a new host reclaims the peer, audits, lets the surviving
/// reader read, and counts. Every hundredth time the victim is really killed, to see that a kill
/// leaves no more and no less than the copy has.
#include <sys/ptrace.h>
#include <sys/user.h>

#include <cerrno>
#include <cstring>

#include "scenarios.hpp"
#include "shmpool/pool/reclaim.hpp"

namespace shmpool::testing_protocol {
namespace {

/// A segment of a few pages, so that copying it is cheap.
SegmentShape tiny_shape() {
    SegmentShape shape;
    shape.classes = {{64, 24}};
    shape.lanes = 4;
    shape.peers = 4;
    shape.channels = 1;
    shape.publishers = 2;
    shape.subscribers = 4;
    shape.rings = 4;
    shape.ring_entries = 16;
    shape.publishers_per_channel = 16;
    return shape;
}

enum class Verb { publish, take_and_release };

struct Sweep {
    const char* name;
    Verb verb;
    ChannelPolicy policy;
    std::size_t readers;
    unsigned before;  ///< Messages published before the verb under test.
    unsigned fewest;  ///< Steps that the verb must have at least, else nothing was tested.
};

constexpr unsigned steps_max = 1500;

/// The play before the verb. `victim` is the writer's peer or that of reader 0.
struct Set {
    explicit Set(const Sweep& sweep)
        : host(tiny_shape()), writing(host.admit()), taking(host.admit()), others(host.admit()) {
        from = host.open_publisher(writing, sweep.policy);
        for (std::size_t i = 0; i < sweep.readers; ++i) {
            to.push_back(host.open_subscriber(i == 0 ? taking : others, 3, sweep.policy));
        }
    }
    TestHost host;
    std::uint32_t writing;
    std::uint32_t taking;
    std::uint32_t others;
    Opened from;
    std::vector<Opened> to;
};

/// Runs in the victim: everything up to the verb, a stop, the verb, a stop.
int play_victim(Set& set, const Sweep& sweep) {
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    auto mapped = open_segment(set.host.segment());
    TestPeer writing(open_segment(set.host.segment()), set.writing);
    Writer writer(writing, set.from, sweep.policy, 1);
    for (unsigned i = 0; i < sweep.before; ++i) (void)writer.send();
    if (sweep.verb == Verb::publish) {
        const auto slot = writing.pool().loan(writing.lane(), 64);
        write_message(writing.pool(), *slot, {1, sweep.before + 1});
        ::raise(SIGSTOP);
        (void)writer.core().publish(writing.lane(), *slot, Deadline::passed());
        ::raise(SIGSTOP);
    } else {
        TestPeer taking(std::move(mapped), set.taking);
        SubscriberCore core(taking.pool(), taking.view(), set.to[0].endpoint_index);
        ::raise(SIGSTOP);
        const auto taken = core.take(taking.lane());
        if (taken) SubscriberCore::release(taking.pool(), taking.lane(), *taken);
        ::raise(SIGSTOP);
    }
    return 0;
}

class Copy {
public:
    explicit Copy(const Set& set)
        : original_(open_segment(const_cast<Set&>(set).host.segment())),
          copy_(create_segment(tiny_shape())) {}

    void take() {
        copy_region(original_->segment.control(), copy_->segment.control());
        copy_region(original_->segment.payload(), copy_->segment.payload());
    }
    [[nodiscard]] std::unique_ptr<Mapped> open() const { return open_segment(copy_->segment); }

private:
    static void copy_region(const Descriptor& from, const Descriptor& to) {
        static std::vector<char> buffer(1 << 20);
        for (off_t at = 0;;) {
            const ssize_t bytes = ::pread(from.get(), buffer.data(), buffer.size(), at);
            if (bytes <= 0) return;
            if (::pwrite(to.get(), buffer.data(), static_cast<std::size_t>(bytes), at) != bytes) {
                std::abort();
            }
            at += bytes;
        }
    }
    std::unique_ptr<Mapped> original_;
    std::unique_ptr<Mapped> copy_;
};

/// Recovery in the memory that the dead left behind, and everything that can be wrong then.
std::string wrong_after_death(std::unique_ptr<Mapped> memory, const Set& set, const Sweep& sweep) {
    TestHost host(std::move(memory));
    const bool writer_dead = sweep.verb == Verb::publish;
    // The victim of a take plays both roles; its writer's process dies with it.
    host.reclaim(set.writing);
    if (!writer_dead) host.reclaim(set.taking);
    std::string wrong = what_is_broken(host.pool());
    TestPeer others(host, writer_dead && sweep.readers == 1 ? set.taking : set.others);
    for (std::size_t i = writer_dead ? 0 : 1; i < sweep.readers; ++i) {
        Reader reader(others, set.to[i]);
        const std::uint64_t before = sweep.before;
        const Errc why = reader.drain();
        const std::uint64_t last = reader.last_of(1);
        const std::uint64_t least = before;
        if (why != Errc::ended_by_death) wrong += "the end was not told; ";
        if (last < least || last > before + 1) {
            wrong +=
                "reader " + std::to_string(i) + " got as far as " + std::to_string(last) + "; ";
        }
        if (sweep.policy != ChannelPolicy::drop_oldest && reader.gaps() != 0) wrong += "a gap; ";
        wrong += reader.complaints();
    }
    others.flush();
    host.reclaim(set.others, EndpointState::left);
    host.reclaim(set.taking, EndpointState::left);
    if (!host.reclaim_lingering()) wrong += "somebody lingers; ";
    return wrong + what_is_missing(host.pool());
}

bool stepped(ChildProcess& child) {
    if (::ptrace(PTRACE_SINGLESTEP, child.pid(), nullptr, nullptr) != 0) return false;
    int status = 0;
    if (::waitpid(child.pid(), &status, 0) != child.pid()) return false;
    return WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP;
}

/// The bytes of the segment change rarely: only then there is something new to recover from.
std::uint64_t fingerprint(const Mapped& mapped) {
    std::uint64_t hash = 14695981039346656037ULL;
    for (const RegionKind kind :
         {RegionKind::pool_control, RegionKind::publishers, RegionKind::subscribers,
          RegionKind::rings, RegionKind::ring_entries}) {
        const auto region = mapped.segment.region(kind);
        const auto* const words = reinterpret_cast<const std::uint64_t*>(region->bytes.data());
        for (std::size_t i = 0; i < region->bytes.size() / 8; ++i) {
            hash = (hash ^ words[i]) * 1099511628211ULL;
        }
    }
    return hash;
}

class SingleStep : public ::testing::TestWithParam<Sweep> {};

TEST_P(SingleStep, AKillAtEveryInstructionLosesNothing) {
#if !defined(__x86_64__)
    GTEST_SKIP() << "single-stepping is tested on x86-64 only";
#endif
    const Sweep& sweep = GetParam();
    Set set(sweep);
    ChildProcess child([&] { return play_victim(set, sweep); });
    ASSERT_EQ(child.wait(), ChildProcess::End::stopped);
    if (::ptrace(PTRACE_SINGLESTEP, child.pid(), nullptr, nullptr) != 0) {
        GTEST_SKIP() << "ptrace is not permitted here: " << std::strerror(errno);
    }
    ASSERT_EQ(child.wait(), ChildProcess::End::stopped);
    Copy copy(set);
    const auto observed = open_segment(set.host.segment());
    unsigned steps = 0;
    unsigned states = 0;
    std::uint64_t last = 0;
    do {
        const std::uint64_t now = fingerprint(*observed);
        if (now != last) {
            last = now;
            ++states;
            copy.take();
            ASSERT_EQ(wrong_after_death(copy.open(), set, sweep), "")
                << "after " << steps << " instructions";
        }
        ++steps;
    } while (steps < steps_max && stepped(child));
    child.kill();
    RecordProperty("steps", static_cast<int>(steps));
    RecordProperty("states", static_cast<int>(states));
    EXPECT_GE(states, sweep.fewest);
}

TEST_P(SingleStep, ARealKillLeavesWhatTheCopyLeaves) {
    const Sweep& sweep = GetParam();
    for (unsigned at = 20; at < steps_max; at += 97) {
        Set set(sweep);
        ChildProcess child([&] { return play_victim(set, sweep); });
        ASSERT_EQ(child.wait(), ChildProcess::End::stopped);
        unsigned step = 0;
        if (::ptrace(PTRACE_SINGLESTEP, child.pid(), nullptr, nullptr) != 0) {
            GTEST_SKIP() << "ptrace is not permitted here: " << std::strerror(errno);
        }
        ASSERT_EQ(child.wait(), ChildProcess::End::stopped);
        while (step < at && stepped(child)) ++step;
        child.kill();
        if (step < at) break;
        ASSERT_EQ(wrong_after_death(open_segment(set.host.segment()), set, sweep), "")
            << "killed after " << at << " instructions";
    }
}

INSTANTIATE_TEST_SUITE_P(
    Verbs, SingleStep,
    ::testing::Values(
        Sweep{"PublishMove", Verb::publish, ChannelPolicy::block, 1, 1, 8},
        Sweep{"PublishLease", Verb::publish, ChannelPolicy::block, 3, 1, 15},
        Sweep{"PublishDropOldest", Verb::publish, ChannelPolicy::drop_oldest, 2, 5, 20},
        Sweep{"TakeAndReleaseMoved", Verb::take_and_release, ChannelPolicy::block, 1, 2, 5},
        Sweep{"TakeAndReleaseLeased", Verb::take_and_release, ChannelPolicy::block, 2, 2, 4},
        Sweep{"TakeAndReleaseLast", Verb::take_and_release, ChannelPolicy::drop_oldest, 1, 5, 5}),
    [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace shmpool::testing_protocol
