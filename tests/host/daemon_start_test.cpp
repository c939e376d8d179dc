// SPDX-License-Identifier: Apache-2.0
/// A real shmpoold: its start, its command line, and what stands in the way of a second one.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "tests/host/daemon.hpp"
#include "tests/host/descriptor_store.hpp"
#include "tests/host/plain_peer.hpp"
#include "tests/shmpool/platform/scheduling_of.hpp"

namespace shmpool::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

std::vector<std::string> sockets_in(const TemporaryDirectory& directory) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
        if (entry.is_socket()) names.push_back(entry.path().filename().string());
    }
    return names;
}

TEST(DaemonStart, SaysThatItIsReadyAndWhere) {
    const TemporaryDirectory directory;
    const Daemon daemon(directory);
    ASSERT_TRUE(daemon.becomes_ready()) << daemon.log();
    EXPECT_THAT(daemon.log(),
                HasSubstr("pool 'test' ready: socket " + daemon.socket() + ", 2 classes, "));
}

TEST(DaemonStart, PublishesARunningSegmentWithItsPid) {
    const TemporaryDirectory directory;
    const Daemon daemon(directory);
    ASSERT_TRUE(daemon.becomes_ready()) << daemon.log();
    const PlainObserver observer(daemon.socket());
    const SegmentHeader& header = observer.segment->header();
    EXPECT_EQ(header.host_state.load(), static_cast<std::uint32_t>(HostState::running));
    EXPECT_EQ(header.host_pid.load(), static_cast<std::uint32_t>(daemon.pid()));
    EXPECT_STREQ(header.pool_name, "test");
    EXPECT_EQ(observer.free_slots(), 256U + 64U);
}

TEST(DaemonStart, RunsSoonBesideWhoComputes) {
    if (Scheduling(0).slice_ns() == 0 || Scheduling(0).policy() != SCHED_OTHER) {
        GTEST_SKIP() << "before Linux 6.12 it can not ask for that, nor under another policy";
    }
    const TemporaryDirectory directory;
    const Daemon daemon(directory);
    ASSERT_TRUE(daemon.becomes_ready()) << daemon.log();
    const PlainPeer peer(daemon.socket());  // For a thread that watches its beacon.
    const auto threads = "/proc/" + std::to_string(daemon.pid()) + "/task";
    int count = 0;
    for (const auto& thread : std::filesystem::directory_iterator(threads)) {
        EXPECT_EQ(Scheduling(std::stoi(thread.path().filename())).slice_ns(), 100'000U);
        ++count;
    }
    EXPECT_GE(count, 2);
}

TEST(DaemonStart, TellsTheDescriptorStoreWhenItIsReadyAndWhenItStops) {
    const TemporaryDirectory directory;
    const DescriptorStore store(directory.file("notify"));
    DaemonSetup setup;
    setup.environment = {{"NOTIFY_SOCKET", directory.file("notify")}};
    Daemon daemon(directory, setup);
    EXPECT_THAT(store.next_about("READY").text, HasSubstr("STATUS=pool 'test'"));
    EXPECT_TRUE(std::filesystem::is_socket(daemon.socket()));
    daemon.signal(SIGTERM);
    EXPECT_THAT(store.next_about("STOPPING").text, StartsWith("STOPPING=1\n"));
    EXPECT_EQ(daemon.wait(), 0);
}

TEST(DaemonStart, RefusesASecondHostOfItsNameWithThePidOfTheFirst) {
    const TemporaryDirectory directory;
    const Daemon first(directory);
    ASSERT_TRUE(first.becomes_ready()) << first.log();
    Daemon second(directory);
    EXPECT_EQ(second.wait(), 1);
    EXPECT_THAT(second.log(), HasSubstr("a host with pid " + std::to_string(first.pid()) + " "));
    EXPECT_NO_THROW(PlainPeer(first.socket()));
}

TEST(DaemonStart, LetsPoolsOfDifferentNamesLiveSideBySide) {
    const TemporaryDirectory directory;
    const Daemon first(directory);
    DaemonSetup setup;
    setup.name = "other";
    const Daemon second(directory, setup);
    ASSERT_TRUE(first.becomes_ready()) << first.log();
    ASSERT_TRUE(second.becomes_ready()) << second.log();
    EXPECT_NO_THROW(PlainPeer(first.socket()));
    EXPECT_NO_THROW(PlainPeer(second.socket(), honest_hello("other")));
}

TEST(DaemonStart, StartsAtOnceAfterHostAndPeerWereKilled) {
    const TemporaryDirectory directory;
    Daemon first(directory);
    ASSERT_TRUE(first.becomes_ready()) << first.log();
    first.signal(SIGKILL);
    EXPECT_EQ(first.wait(), 1000 + SIGKILL);
    EXPECT_EQ(sockets_in(directory), std::vector<std::string>{"test.sock"});

    const Daemon next(directory);
    EXPECT_TRUE(next.becomes_ready()) << next.log();
    EXPECT_NO_THROW(PlainPeer(next.socket()));
}

TEST(DaemonStart, FailsClearlyWithoutEnoughMemory) {
    const TemporaryDirectory directory;
    const auto bytes = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                       static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    // Less than the machine has, more than can be free.
    const std::uint64_t slots = bytes / 1024 * 999 / 1000;
    const std::uint64_t slot_kib = slots / 1'000'000 + 1;
    const Finished finished = run_to_end(
        directory, {"--class", std::to_string(slot_kib) +
                                   "KiB:" + std::to_string(slots / slot_kib * 995 / 1000)});
    EXPECT_EQ(finished.code, 1) << finished.output;
    EXPECT_THAT(finished.output, HasSubstr("available"));
    EXPECT_THAT(sockets_in(directory), IsEmpty());
}

TEST(DaemonStart, FailsClearlyWhenItsFilesMayNotBeThatLarge) {
    const TemporaryDirectory directory;
    DaemonSetup setup;
    setup.file_bytes_limit = 64 * 1024;
    Daemon daemon(directory, setup);
    EXPECT_EQ(daemon.wait(), 1) << daemon.log();
    EXPECT_THAT(daemon.log(), HasSubstr("raise its limit of file sizes (ulimit -f)"));
}

TEST(DaemonStart, ExitsWithTwoOnAWrongCommandLine) {
    const TemporaryDirectory directory;
    const std::vector<std::pair<std::vector<std::string>, std::string>> cases{
        {{"--nonsense"}, "--nonsense"},    {{"--class", "64"}, "SIZE:COUNT"},
        {{"--name", "a/b"}, "a/b"},        {{"--socket", "relative"}, "absolute"},
        {{"--log-level", "loud"}, "loud"}, {{"stray"}, "stray"},
    };
    for (const auto& [arguments, expected] : cases) {
        const Finished finished = run_to_end(directory, arguments);
        EXPECT_EQ(finished.code, 2) << finished.output;
        EXPECT_THAT(finished.output, HasSubstr(expected));
    }
}

TEST(DaemonStart, ExitsWithOneOnAWrongConfiguration) {
    const TemporaryDirectory directory;
    const Finished twice = run_to_end(directory, {"--class", "64:1", "--class", "64:2"});
    EXPECT_EQ(twice.code, 1);
    EXPECT_THAT(twice.output, HasSubstr("both have slot_size 64B"));
    const Finished fixed = run_to_end(directory, {"--class", "64:1", "--grow-when-exhausted"});
    EXPECT_EQ(fixed.code, 1);
    EXPECT_THAT(fixed.output, HasSubstr("no class may grow; give one a LIMIT"));
    const Finished missing = run_to_end(directory, {"--config", directory.file("missing.toml")});
    EXPECT_EQ(missing.code, 1);
    EXPECT_THAT(missing.output, HasSubstr("missing.toml"));
}

TEST(DaemonStart, ExplainsItselfAndItsVersionAndItsConfiguration) {
    const TemporaryDirectory directory;
    const Finished help = run_to_end(directory, {"--help"});
    EXPECT_EQ(help.code, 0);
    EXPECT_THAT(help.output, AllOf(HasSubstr("--print-layout"), HasSubstr("SHMPOOL_RUNTIME_DIR")));
    const Finished version = run_to_end(directory, {"--version"});
    EXPECT_EQ(version.code, 0);
    EXPECT_THAT(version.output, StartsWith("shmpoold "));
    const Finished check = run_to_end(directory, {"--check-config", "--class", "64:10"});
    EXPECT_EQ(check.code, 0);
    EXPECT_THAT(check.output, HasSubstr("1 classes"));
    EXPECT_THAT(sockets_in(directory), IsEmpty());
}

TEST(DaemonStart, KeepsItsLogInTheFileThatTheConfigurationNames) {
    const TemporaryDirectory directory;
    DaemonSetup setup;
    setup.config = "[log]\nfile = \"" + directory.file("pool.log") + "\"\n";
    const Daemon daemon(directory, setup);
    ASSERT_TRUE(eventually([&] { return std::filesystem::exists(daemon.socket()); }));
    EXPECT_TRUE(
        eventually([&] { return std::filesystem::file_size(directory.file("pool.log")) > 0; }));
    EXPECT_THAT(daemon.log(), Not(HasSubstr("ready")));
}

TEST(DaemonStart, LeaksNoDescriptorIntoWhatItWouldExecute) {
    const TemporaryDirectory directory;
    const Daemon daemon(directory);
    ASSERT_TRUE(daemon.becomes_ready()) << daemon.log();
    const PlainPeer peer(daemon.socket());
    const PlainObserver observer(daemon.socket());  // By now the peer's welcome is over and done.
    const std::string process = "/proc/" + std::to_string(daemon.pid());
    for (const auto& entry : std::filesystem::directory_iterator(process + "/fdinfo")) {
        const std::string number = entry.path().filename().string();
        if (std::stoi(number) <= 2) continue;
        std::ifstream info(entry.path());
        std::string word;
        unsigned long flags = 0;
        while (info >> word && word != "flags:") {
        }
        if (!(info >> std::oct >> flags)) continue;  // Closed meanwhile.
        EXPECT_NE(flags & static_cast<unsigned long>(O_CLOEXEC), 0UL)
            << number << " in " << process;
    }
}

}  // namespace
}  // namespace shmpool::test
