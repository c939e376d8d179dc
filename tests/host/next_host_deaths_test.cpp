// SPDX-License-Identifier: Apache-2.0
/// Goal: when a host has died and peers live, no host that dies or fails between its start and
/// "ready" keeps the one after it from the segment; none of them starts afresh meanwhile. Method:
/// real daemons under two real peers, one daemon after the other: with every limit of descriptors,
/// killed behind each of its system calls, and refused each of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <optional>
#include <vector>

#include "peer/peer.hpp"
#include "shmpool/pool/pool_audit.hpp"
#include "shmpool/pool/pool_statistics.hpp"
#include "tests/host/daemon.hpp"
#include "tests/host/plain_peer.hpp"
#include "tests/shmpool/platform/traced_process.hpp"

namespace shmpool::test {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

constexpr std::uint64_t message_count = 10;
/// A host calls the kernel once for each endpoint that there could be.
const std::string limits = "[limits]\npublishers = 4\nsubscribers = 4\n";
const std::string took_over = "took over the segment of a host that died: 2 of 2 peers live";

class NextHostDies : public testing::Test {
protected:
    void SetUp() override {
        setup.config = limits + "[takeover]\npatience = \"400ms\"\n";
        Daemon first(directory, setup);
        ASSERT_TRUE(first.becomes_ready()) << first.log();
        writer = attach(first);
        reader = attach(first);
        publisher = writer->publisher("numbers").value();
        subscriber = reader->subscriber("numbers", {.depth = message_count}).value();
        for (std::uint64_t number = 0; number < message_count; ++number) {
            auto loan = publisher->loan(sizeof(number));
            ASSERT_TRUE(loan);
            std::memcpy(loan->data(), &number, sizeof(number));
            ASSERT_TRUE(publisher->publish(std::move(*loan)));
        }
        held = writer->allocate(64).value();
        kill(first);
    }

    static std::optional<Peer> attach(const Daemon& daemon) {
        PeerOptions options;
        options.socket_path = daemon.socket();
        return std::move(Peer::attach("test", options).value());
    }
    static void kill(Daemon& daemon) {
        daemon.signal(SIGKILL);
        daemon.wait();
    }

    /// A victim lived long enough to serve: then with the segment that there was.
    static void expect_no_new_pool(const Daemon& victim) {
        const std::string log = victim.log();
        const bool served = log.find(" ready: socket ") != std::string::npos;
        EXPECT_TRUE(!served || log.find(took_over) != std::string::npos) << log;
    }

    /// Everything is there under a host that nothing happens to.
    void expect_that_a_next_host_takes_over() {
        setup.config = limits + "[takeover]\npatience = \"30s\"\n";
        const Daemon next(directory, setup);
        ASSERT_TRUE(next.becomes_ready()) << next.log();
        EXPECT_THAT(next.log(), HasSubstr(took_over));
        for (Peer* peer : {&*writer, &*reader}) {
            ASSERT_TRUE(eventually([&] { return !peer->host_gone(); }));
        }
        for (std::uint64_t expected = 0; expected < message_count; ++expected) {
            auto sample = subscriber->take(20s);
            ASSERT_TRUE(sample) << explain(sample.error());
            std::uint64_t number = 0;
            std::memcpy(&number, sample->data(), sizeof(number));
            EXPECT_EQ(number, expected);
        }
        EXPECT_TRUE(writer->free(held));
        EXPECT_TRUE(reader->publisher("more").has_value()) << "the next host serves";
        for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
            EXPECT_NE(entry.path().extension(), ".new") << "left by a dead host";
        }
        const PlainObserver observer(next.socket());
        for (const auto& one : read_statistics(observer.pool->view())) {
            EXPECT_EQ(one.free + one.cached, one.slot_count);
        }
    }

    const TemporaryDirectory directory;
    DaemonSetup setup;
    std::optional<Peer> writer;
    std::optional<Peer> reader;
    std::optional<Publisher> publisher;
    std::optional<Subscriber> subscriber;
    SlotRef held{};
};

TEST_F(NextHostDies, ForWantOfDescriptors) {
    int failures = 0;
    bool all_are_back = false;
    for (setup.descriptor_limit = 6; !all_are_back; ++setup.descriptor_limit) {
        SCOPED_TRACE("with " + std::to_string(setup.descriptor_limit) + " descriptors");
        Daemon victim(directory, setup);
        const bool serves = victim.becomes_ready();
        expect_no_new_pool(victim);
        if (!serves) ++failures;
        if (serves) {  // Maybe with too few for those who come back.
            ASSERT_TRUE(eventually([&] {
                all_are_back = !writer->host_gone() && !reader->host_gone();
                const std::string log = victim.log();
                return all_are_back || log.find("was refused") != std::string::npos ||
                       log.find("do not fit this process") != std::string::npos;
            }));
        }
        kill(victim);
        ASSERT_TRUE(std::filesystem::is_socket(victim.socket())) << victim.log();
        if (HasFailure()) break;
    }
    EXPECT_GT(failures, 5);
    setup.descriptor_limit = 0;
    expect_that_a_next_host_takes_over();
}

#if defined(__x86_64__) && !defined(SHMPOOL_UNDER_THREAD_SANITIZER)

class NextHostIsTraced : public NextHostDies {
protected:
    void SetUp() override {
        NextHostDies::SetUp();
        setup.traced = true;
    }

    /// Makes so many calls, from the one on that sees to the directory of the socket, and enters
    /// the next. False: it is ready to serve, or has ended.
    static bool pass_calls(TracedProcess& traced, const Daemon& daemon, int count) {
        while (traced.enter_call() && traced.call() != SYS_mkdir) traced.leave_call();
        for (; traced.lives(); traced.enter_call()) {
            const bool may_wait = traced.call() == SYS_epoll_wait;
            if (may_wait && daemon.log().find(" ready: socket ") != std::string::npos) return false;
            if (count-- == 0) return true;
            traced.leave_call();
        }
        return false;
    }
    void expect_last_host_takes_over() {
        setup.traced = false;
        expect_that_a_next_host_takes_over();
    }
};

TEST_F(NextHostIsTraced, AndKilledBehindEachCall) {
    int calls = 0;
    for (bool goes_on = true; goes_on && !HasFailure(); ++calls) {
        SCOPED_TRACE("killed behind call " + std::to_string(calls));
        Daemon victim(directory, setup);
        TracedProcess traced(victim.pid());
        ASSERT_TRUE(traced.lives()) << "it may not be traced";
        goes_on = pass_calls(traced, victim, calls);
        kill(victim);
        expect_no_new_pool(victim);
        ASSERT_TRUE(std::filesystem::is_socket(victim.socket())) << victim.log();
    }
    EXPECT_GT(calls, 50);
    expect_last_host_takes_over();
}

/// With an error that the call may have.
int error_of(long call) {
    const bool gives_memory = call == SYS_mmap || call == SYS_brk || call == SYS_mprotect;
    return gives_memory ? ENOMEM : EMFILE;
}

/// Not the lines by which this test sees what happens, nor what never fails: a look at what is
/// open.
bool may_be_refused(const TracedProcess& traced) {
    const long call = traced.call();
    if (call == SYS_write) return traced.first_argument() > STDERR_FILENO;
    return call != SYS_fcntl && call != SYS_newfstatat && call != SYS_fstat;
}

TEST_F(NextHostIsTraced, AndRefusedEachCall) {
    int calls = 0;
    int failures = 0;
    for (bool goes_on = true; goes_on && !HasFailure(); ++calls) {
        Daemon victim(directory, setup);
        TracedProcess traced(victim.pid());
        ASSERT_TRUE(traced.lives()) << "it may not be traced";
        goes_on = pass_calls(traced, victim, calls);
        const long call = goes_on ? traced.call() : 0;

        SCOPED_TRACE("refused: call " + std::to_string(calls) + ", of number " +
                     std::to_string(call));
        if (goes_on && may_be_refused(traced)) traced.refuse_call(error_of(call));
        if (traced.lives()) traced.let_go();
        const bool serves = goes_on && victim.becomes_ready();
        if (goes_on && !serves) ++failures;
        kill(victim);
        expect_no_new_pool(victim);
        ASSERT_TRUE(std::filesystem::is_socket(victim.socket())) << victim.log();
    }
    EXPECT_GT(calls, 50);
    EXPECT_GT(failures, 20);
    expect_last_host_takes_over();
}

/// One that has found no file: peers may have its segment, and were not told that it ends.
TEST_F(NextHostIsTraced, AndRefusedItsWaitWhenItServes) {
    setup.name = "other";
    Daemon victim(directory, setup);
    TracedProcess traced(victim.pid());
    while (pass_calls(traced, victim, 100'000)) {
    }
    ASSERT_TRUE(traced.lives()) << victim.log();
    ASSERT_EQ(traced.call(), SYS_epoll_wait);
    ASSERT_TRUE(traced.refuse_call(ENOMEM));
    traced.let_go();
    EXPECT_EQ(victim.wait(), 1);
    EXPECT_THAT(victim.log(), HasSubstr("wait for events"));
    EXPECT_TRUE(std::filesystem::is_socket(victim.socket()));
}

/// The only one who has the segment is not heard: that is no reason to make another.
TEST_F(NextHostIsTraced, AndRefusedToWatchItsOnlyCaller) {
    subscriber.reset();
    reader.reset();
    Daemon victim(directory, setup);
    TracedProcess traced(victim.pid());
    while (traced.enter_call() && traced.call() != SYS_accept4) traced.leave_call();
    while (traced.leave_call() && traced.enter_call() && traced.call() != SYS_epoll_ctl) {
    }
    ASSERT_TRUE(traced.refuse_call(ENOSPC));
    traced.let_go();
    ASSERT_FALSE(victim.becomes_ready()) << victim.log();
    EXPECT_EQ(victim.wait(), 1);
    EXPECT_THAT(victim.log(), HasSubstr("peers of this pool live, but their segment can not be"));
    EXPECT_TRUE(std::filesystem::is_socket(victim.socket()));
}

#endif

}  // namespace
}  // namespace shmpool::test
