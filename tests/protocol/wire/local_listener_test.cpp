// SPDX-License-Identifier: Apache-2.0
/// The host's end: one host per path, dead hosts in nobody's way, and nothing left behind. Method:
/// real sockets in a directory of the test; other processes where a pid or a user must differ.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <barrier>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "protocol/wire/codec.hpp"
#include "protocol/wire/local_socket.hpp"
#include "tests/shmpool/platform/temporary_directory.hpp"

namespace shmpool {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
namespace fs = std::filesystem;

Deadline soon() {
    return Deadline::after(std::chrono::seconds(20));
}
Deadline now() {
    return Deadline::after(milliseconds(0));
}

mode_t mode_of(const std::string& path) {
    struct stat status {};
    EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
    return status.st_mode & 07777;
}

std::size_t entry_count(const std::string& directory) {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(directory), fs::directory_iterator()));
}

/// Another process that does `work` and then sleeps until it is killed; ready() waits for `work`.
class Child {
public:
    template <typename Work>
    explicit Child(Work work) {
        int ends[2];
        EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
        process_id_ = ::fork();
        if (process_id_ == 0) {
            const bool worked = work();
            const char answer = worked ? 'y' : 'n';
            if (::write(ends[1], &answer, 1) != 1) ::_exit(1);
            for (;;) ::pause();
        }
        ::close(ends[1]);
        char answer = 'n';
        ready_ = ::read(ends[0], &answer, 1) == 1 && answer == 'y';
        ::close(ends[0]);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child() { kill(); }

    void kill() {
        if (process_id_ <= 0) return;
        ::kill(process_id_, SIGKILL);
        ::waitpid(process_id_, nullptr, 0);
        process_id_ = -1;
    }
    [[nodiscard]] bool ready() const { return ready_; }
    [[nodiscard]] pid_t process_id() const { return process_id_; }

private:
    pid_t process_id_ = -1;
    bool ready_ = false;
};

/// A host in another process.
auto hosting(const std::string& path) {
    return [path] {
        static const auto listener = LocalListener::bind(path, {});
        return listener.has_value();
    };
}

class LocalListenerTest : public testing::Test {
protected:
    test::TemporaryDirectory directory_;
    std::string path_ = directory_.file("pool.sock");
};

TEST_F(LocalListenerTest, LetsPeersIn) {
    auto listener = LocalListener::bind(path_, {});
    ASSERT_TRUE(listener) << listener.error().message;
    auto peer = LocalConnection::connect(path_, soon());
    ASSERT_TRUE(peer) << peer.error().message;
    auto host = listener->accept(soon());
    ASSERT_TRUE(host);
    ASSERT_TRUE(peer->send(wire::encode(wire::Goodbye{}, 1), {}, soon()));
    const auto received = host->receive(soon());
    ASSERT_TRUE(received);
    EXPECT_TRUE(wire::decode(received->packet.bytes(), 0));
    EXPECT_EQ(host->credentials()->pid, ::getpid());
}

TEST_F(LocalListenerTest, SaysThatNobodyCameAtItsDeadline) {
    auto listener = LocalListener::bind(path_, {});
    ASSERT_TRUE(listener);
    EXPECT_EQ(listener->accept(now()).error().code, Errc::timed_out);
    EXPECT_EQ(listener->accept(Deadline::after(milliseconds(10))).error().code, Errc::timed_out);
}

TEST_F(LocalListenerTest, LeavesNothingBehind) {
    {
        const auto listener = LocalListener::bind(path_, {});
        ASSERT_TRUE(listener);
        EXPECT_EQ(entry_count(directory_.path()), 1U);
    }
    EXPECT_EQ(entry_count(directory_.path()), 0U);
}

TEST_F(LocalListenerTest, LeavesAFileAloneThatAnotherHostHasMadeSince) {
    auto first = LocalListener::bind(path_, {});
    ASSERT_TRUE(first);
    fs::remove(path_);
    const auto second = LocalListener::bind(path_, {});
    ASSERT_TRUE(second);
    { const LocalListener gone = *std::move(first); }
    EXPECT_TRUE(LocalConnection::connect(path_, soon()));
}

TEST_F(LocalListenerTest, LeavesTheFileAloneInAForkedChild) {
    const auto listener = LocalListener::bind(path_, {});
    ASSERT_TRUE(listener);
    const pid_t child = ::fork();
    if (child == 0) {
        // NOLINTNEXTLINE: destroys the child's copy, as an orderly exit would.
        const_cast<LocalListener&>(*listener).~LocalListener();
        ::_exit(0);
    }
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    EXPECT_TRUE(fs::exists(path_));
}

TEST_F(LocalListenerTest, MovesWithItsFile) {
    auto first = LocalListener::bind(path_, {});
    auto other = LocalListener::bind(directory_.file("other.sock"), {});
    ASSERT_TRUE(first && other);
    *other = *std::move(first);
    EXPECT_FALSE(fs::exists(directory_.file("other.sock")));
    EXPECT_TRUE(LocalConnection::connect(path_, soon()));
}

TEST_F(LocalListenerTest, RefusesAPathThatDoesNotFitSunPath) {
    const std::string path = directory_.file(std::string(120, 'x'));
    const auto listener = LocalListener::bind(path, {});
    ASSERT_FALSE(listener);
    EXPECT_EQ(listener.error().code, Errc::invalid_argument);
    EXPECT_THAT(listener.error().message,
                HasSubstr(path + " has " + std::to_string(path.size()) + " bytes"));
    EXPECT_THAT(listener.error().message, HasSubstr("the limit of the system is 107"));
}

TEST_F(LocalListenerTest, TakesAPathOfExactlyTheLimit) {
    const std::size_t room = socket_path_length_max - directory_.path().size() - 1;
    const auto listener = LocalListener::bind(directory_.file(std::string(room, 'x')), {});
    EXPECT_TRUE(listener);
}

TEST_F(LocalListenerTest, NamesThePidOfTheHostThatLivesThere) {
    const Child host(hosting(path_));
    ASSERT_TRUE(host.ready());
    const auto second = LocalListener::bind(path_, {});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::name_taken);
    EXPECT_THAT(second.error().message, HasSubstr("pid " + std::to_string(host.process_id())));
    EXPECT_THAT(second.error().message, HasSubstr(path_));
    EXPECT_TRUE(LocalConnection::connect(path_, soon())) << "the living host was disturbed";
}

TEST_F(LocalListenerTest, ReplacesTheSocketOfAKilledHost) {
    Child host(hosting(path_));
    ASSERT_TRUE(host.ready());
    host.kill();
    ASSERT_TRUE(fs::exists(path_)) << "this test needs a stale file";
    const auto next = LocalListener::bind(path_, {});
    ASSERT_TRUE(next) << next.error().message;
    EXPECT_TRUE(LocalConnection::connect(path_, soon()));
}

TEST_F(LocalListenerTest, LetsExactlyOneOfManyHostsStart) {
    for (int round = 0; round < 50; ++round) {
        {
            // The hard case: a stale file that each of them wants to replace.
            Descriptor dead(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
            sockaddr_un address{};
            address.sun_family = AF_UNIX;
            std::memcpy(address.sun_path, path_.data(), path_.size());
            const auto* generic = reinterpret_cast<const sockaddr*>(&address);
            ASSERT_EQ(::bind(dead.get(), generic, sizeof(address)), 0);
        }
        std::barrier start(8);
        std::vector<std::thread> threads;
        std::vector<Result<LocalListener>> results;
        for (int host = 0; host < 8; ++host) results.emplace_back(fail(Errc::empty, ""));
        for (auto& result : results) {
            threads.emplace_back([this, &result, &start] {
                start.arrive_and_wait();
                result = LocalListener::bind(path_, {});
            });
        }
        for (auto& thread : threads) thread.join();
        std::size_t winners = 0;
        for (const auto& result : results) {
            if (result) {
                ++winners;
            } else {
                EXPECT_EQ(result.error().code, Errc::name_taken) << result.error().message;
            }
        }
        EXPECT_EQ(winners, 1U);
        EXPECT_TRUE(LocalConnection::connect(path_, soon())) << "the winner can not be reached";
        for (auto& result : results) {
            if (result) result->keep_file_at_end(false);
        }
        results.clear();
        EXPECT_EQ(entry_count(directory_.path()), 0U);
    }
}

TEST_F(LocalListenerTest, GivesUpWhenSomebodyKeepsTheDirectoryLocked) {
    const Descriptor directory(::open(directory_.path().c_str(), O_RDONLY | O_DIRECTORY));
    ASSERT_EQ(::flock(directory.get(), LOCK_EX), 0);
    const auto listener = LocalListener::bind(path_, {});
    ASSERT_FALSE(listener);
    EXPECT_EQ(listener.error().code, Errc::timed_out);
    EXPECT_THAT(listener.error().message, HasSubstr("lock"));
}

TEST_F(LocalListenerTest, LeavesAFileAloneThatIsNoSocket) {
    { std::ofstream(path_) << "precious"; }
    const auto listener = LocalListener::bind(path_, {});
    ASSERT_FALSE(listener);
    EXPECT_EQ(listener.error().code, Errc::invalid_argument);
    EXPECT_THAT(listener.error().message, HasSubstr("not a socket"));
    EXPECT_EQ(fs::file_size(path_), 8U);
}

TEST_F(LocalListenerTest, RefusesAMissingDirectory) {
    const auto listener = LocalListener::bind(directory_.file("none/pool.sock"), {});
    ASSERT_FALSE(listener);
    EXPECT_EQ(listener.error().code, Errc::invalid_argument);
    EXPECT_THAT(listener.error().message, HasSubstr(directory_.file("none")));
}

TEST_F(LocalListenerTest, MakesADirectoryThatIsADefault) {
    ListenOptions options;
    options.directory = SocketDirectory::created_and_own;
    const auto listener = LocalListener::bind(directory_.file("made/pool.sock"), options);
    ASSERT_TRUE(listener) << listener.error().message;
    EXPECT_EQ(mode_of(directory_.file("made")), ::geteuid() == 0 ? 0755U : 0700U);
}

TEST_F(LocalListenerTest, RefusesADefaultDirectoryThatOthersMayWriteTo) {
    ListenOptions options;
    options.directory = SocketDirectory::created_and_own;
    ASSERT_TRUE(fs::create_directory(directory_.file("open")));
    ASSERT_EQ(::chmod(directory_.file("open").c_str(), 0777), 0);
    const auto listener = LocalListener::bind(directory_.file("open/pool.sock"), options);
    ASSERT_FALSE(listener);
    EXPECT_EQ(listener.error().code, Errc::no_permission);
    EXPECT_THAT(listener.error().message, HasSubstr("writable by others"));
}

TEST_F(LocalListenerTest, RefusesADefaultDirectoryThatIsALink) {
    ListenOptions options;
    options.directory = SocketDirectory::created_and_own;
    fs::create_directory_symlink(directory_.path(), directory_.file("link"));
    EXPECT_FALSE(LocalListener::bind(directory_.file("link/pool.sock"), options));
}

TEST_F(LocalListenerTest, GivesTheSocketItsModeWhateverTheUmask) {
    const mode_t before = ::umask(0077);
    ListenOptions options;
    options.mode = 0660;
    const auto shared = LocalListener::bind(path_, options);
    ::umask(0);
    const auto own = LocalListener::bind(directory_.file("own.sock"), {});
    ::umask(before);
    ASSERT_TRUE(shared && own);
    EXPECT_EQ(mode_of(path_), 0660U);
    EXPECT_EQ(mode_of(directory_.file("own.sock")), 0600U);
}

TEST_F(LocalListenerTest, SaysWhoMayNotConnect) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
    const auto listener = LocalListener::bind(path_, {});
    ASSERT_TRUE(listener);
    ASSERT_EQ(::chmod(directory_.path().c_str(), 0755), 0);
    const Child stranger([this] {
        if (::setresuid(65534, 65534, 65534) != 0) return false;
        const auto connection = LocalConnection::connect(path_, soon());
        const auto second = LocalListener::bind(path_, {});
        return !connection && connection.error().code == Errc::no_permission &&
               connection.error().message.find(path_) != std::string::npos && !second &&
               second.error().code == Errc::no_permission;
    });
    EXPECT_TRUE(stranger.ready());
}

/// A stranger who tries all the while: the file is born closed, and opened before anybody listens.
TEST_F(LocalListenerTest, IsNeverOpenToOthersWhileItIsMade) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
    ASSERT_EQ(::chmod(directory_.path().c_str(), 0755), 0);
    const std::string success = directory_.file("success");
    const Child stranger([this, &success] {
        const Descriptor mark(::open(success.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        if (::setresuid(65534, 65534, 65534) != 0) return false;
        std::thread([this, number = ::dup(mark.get())] {
            for (;;) {
                for (const auto& name : {path_, directory_.file(".shmpool-0.new")}) {
                    if (LocalConnection::connect(name, now())) (void)!::write(number, "!", 1);
                }
            }
        }).detach();
        return true;
    });
    ASSERT_TRUE(stranger.ready());
    const mode_t before = ::umask(0);
    ListenOptions root_only;
    root_only.group = 4242;  // Given away in between, to none of the stranger's groups.
    root_only.mode = 0660;
    for (int i = 0; i < 300; ++i) EXPECT_TRUE(LocalListener::bind(path_, root_only));
    ::umask(before);
    EXPECT_EQ(fs::file_size(success), 0U);
}

TEST_F(LocalListenerTest, TurnsClientsAwayWhenNoDescriptorIsLeft) {
    auto listener = LocalListener::bind(path_, {});
    ASSERT_TRUE(listener);
    auto peer = LocalConnection::connect(path_, soon());
    ASSERT_TRUE(peer);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    const int next = ::dup(STDERR_FILENO);
    ASSERT_GE(next, 0);
    ::close(next);
    rlimit tight = before;
    tight.rlim_cur = static_cast<rlim_t>(next);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
    const auto accepted = listener->accept(soon());
    const auto again = listener->accept(now());
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    ASSERT_FALSE(accepted);
    EXPECT_EQ(accepted.error().code, Errc::descriptor_limit) << accepted.error().message;
    ASSERT_FALSE(again);
    EXPECT_EQ(peer->receive(soon()).error().code, Errc::host_gone) << "the client was left waiting";
    ASSERT_TRUE(LocalConnection::connect(path_, soon()));
    EXPECT_TRUE(listener->accept(soon())) << "the listener did not recover";
}

TEST_F(LocalListenerTest, SurvivesAThousandClientsThatConnectAndLeave) {
    auto listener = LocalListener::bind(path_, {});
    ASSERT_TRUE(listener);
    for (int client = 0; client < 1000; ++client) {
        ASSERT_TRUE(LocalConnection::connect(path_, soon()));
        auto host = listener->accept(soon());
        ASSERT_TRUE(host);
        EXPECT_EQ(host->receive(soon()).error().code, Errc::host_gone);
    }
}

}  // namespace
}  // namespace shmpool
