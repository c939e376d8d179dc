// SPDX-License-Identifier: Apache-2.0
/// Goal: the stale file of a dead host, which is all that tells the next one that peers may live,
/// is there until a living host's is, wherever the hosts in between die or fail. Method: a child
/// that begins to listen, killed behind each of its system calls, or refused each of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "protocol/wire/local_socket.hpp"
#include "protocol/wire/socket_address.hpp"
#include "tests/shmpool/platform/forked_child.hpp"
#include "tests/shmpool/platform/temporary_directory.hpp"
#include "tests/shmpool/platform/traced_process.hpp"

namespace shmpool {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class ListenerFileTest : public testing::Test {
protected:
    /// The file of a host that has died.
    static void leave_stale(const std::string& path) {
        const Descriptor dead(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
        const sockaddr_un address = socket_address(path);
        const auto* generic = reinterpret_cast<const sockaddr*>(&address);
        ASSERT_EQ(::bind(dead.get(), generic, sizeof(address)), 0);
    }
    [[nodiscard]] std::vector<std::string> entries() const {
        std::vector<std::string> names;
        for (const auto& entry : fs::directory_iterator(directory_.path())) {
            names.push_back(entry.path().filename().string());
        }
        return names;
    }
    /// The file of a host that died here is there, and nothing else is when the next one listens.
    void expect_next_host_knows() {
        ASSERT_TRUE(fs::is_socket(path_));
        auto next = LocalListener::bind(path_, {});
        ASSERT_TRUE(next) << next.error().message;
        EXPECT_TRUE(next->replaced_stale());
        EXPECT_TRUE(LocalConnection::connect(path_, Deadline::passed()));
        EXPECT_THAT(entries(), testing::ElementsAre("pool.sock"));
    }

    test::TemporaryDirectory directory_;
    std::string path_ = directory_.file("pool.sock");
    std::string birth_name_ = directory_.file(".shmpool-" + std::to_string(::geteuid()) + ".new");
};

TEST_F(ListenerFileTest, IsGoneAfterAListenerThatFoundNone) {
    ASSERT_TRUE(LocalListener::bind(path_, {}));
    EXPECT_TRUE(entries().empty());
}

TEST_F(ListenerFileTest, StaysAfterAListenerThatFoundAStaleOne) {
    leave_stale(path_);
    ASSERT_TRUE(LocalListener::bind(path_, {}));
    expect_next_host_knows();
}

TEST_F(ListenerFileTest, StaysOrIsGoneAsWasSaid) {
    {
        auto listener = LocalListener::bind(path_, {});
        ASSERT_TRUE(listener);
        EXPECT_FALSE(listener->replaced_stale());
        listener->keep_file_at_end(true);
        const LocalListener moved = *std::move(listener);
    }
    EXPECT_TRUE(fs::is_socket(path_));
    {
        auto listener = LocalListener::bind(path_, {});
        ASSERT_TRUE(listener);
        listener->keep_file_at_end(false);
    }
    EXPECT_TRUE(entries().empty());
}

TEST_F(ListenerFileTest, ThatAKilledHostHasLeftUnderItsBirthNameIsRemoved) {
    leave_stale(birth_name_);
    const auto listener = LocalListener::bind(path_, {});
    ASSERT_TRUE(listener) << listener.error().message;
    EXPECT_FALSE(listener->replaced_stale());
    EXPECT_THAT(entries(), testing::ElementsAre("pool.sock"));
}

TEST_F(ListenerFileTest, UnderTheBirthNameIsLeftAloneIfItIsNoDeadHosts) {
    leave_stale(path_);
    { std::ofstream(birth_name_) << "precious"; }
    const auto listener = LocalListener::bind(path_, {});
    ASSERT_FALSE(listener);
    EXPECT_THAT(listener.error().message, HasSubstr(birth_name_ + " exists and is not a socket"));
    EXPECT_EQ(fs::file_size(birth_name_), 8U);
    fs::remove(birth_name_);
    expect_next_host_knows();
    const auto living = LocalListener::bind(directory_.file("other.sock"), {});
    ASSERT_TRUE(living);
    fs::rename(directory_.file("other.sock"), birth_name_);
    EXPECT_EQ(LocalListener::bind(path_, {}).error().code, Errc::name_taken);
    EXPECT_TRUE(LocalConnection::connect(birth_name_, Deadline::passed()));
}

#if defined(__x86_64__) && !defined(SHMPOOL_UNDER_THREAD_SANITIZER)

constexpr int could_not_listen = 1;

/// Begins to listen, and ends as if killed: nothing is removed.
class ChildThatListens {
public:
    explicit ChildThatListens(const std::string& path)
        : child_([&path]() -> int {
              if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) return 2;
              ::raise(SIGSTOP);
              const auto listener = LocalListener::bind(path, {});
              ::_exit(listener ? 0 : could_not_listen);
          }),
          traced(child_.pid()) {}

    /// False: it has ended before.
    bool pass_calls(int count) {
        while (count > 0 && traced.enter_call() && traced.leave_call()) --count;
        return count == 0;
    }
    bool come_to(long call) {
        while (traced.enter_call()) {
            if (traced.call() == call) return true;
            traced.leave_call();
        }
        return false;
    }
    void kill() {
        child_.kill();
        child_.wait();
    }
    int end() {
        if (traced.lives()) traced.let_go();
        return child_.wait();
    }

private:
    test::ForkedChild child_;

public:
    test::TracedProcess traced;
};

TEST_F(ListenerFileTest, IsThereBehindEachCallOfAHostThatIsKilled) {
    leave_stale(path_);
    int calls = 0;
    for (bool goes_on = true; goes_on; ++calls) {
        SCOPED_TRACE("killed behind call " + std::to_string(calls));
        ChildThatListens child(path_);
        goes_on = child.pass_calls(calls);
        child.kill();
        ASSERT_TRUE(fs::is_socket(path_));
        if (calls % 2 == 0) expect_next_host_knows();  // Else the next child is the next host.
        if (HasFailure()) break;
    }
    EXPECT_GT(calls, 15) << "it was not stepped through";
    expect_next_host_knows();
}

TEST_F(ListenerFileTest, IsThereWhicheverCallOfAHostFails) {
    leave_stale(path_);
    int failures = 0;
    int calls = 0;
    for (bool goes_on = true; goes_on && !HasFailure(); ++calls) {
        SCOPED_TRACE("failed: call " + std::to_string(calls));
        ChildThatListens child(path_);
        goes_on = child.pass_calls(calls) && child.traced.enter_call() &&
                  child.traced.refuse_call(EMFILE);
        if (child.end() == could_not_listen) ++failures;
        expect_next_host_knows();
    }
    EXPECT_GT(failures, 8) << "nothing was refused";
}

TEST_F(ListenerFileTest, IsNotThereWhicheverCallFailsOfAHostThatFoundNone) {
    for (int calls = 0; !HasFailure(); ++calls) {
        SCOPED_TRACE("failed: call " + std::to_string(calls));
        ChildThatListens child(path_);
        const bool goes_on = child.pass_calls(calls) && child.traced.enter_call() &&
                             child.traced.refuse_call(EMFILE);
        const bool listened = child.end() == 0;
        EXPECT_EQ(entries().size(), listened ? 1U : 0U);
        fs::remove(path_);
        if (!goes_on) break;
    }
}

TEST_F(ListenerFileTest, IsNotPutOverOneThatAnotherProgramHasJustMade) {
    ChildThatListens child(path_);
    ASSERT_TRUE(child.come_to(SYS_renameat2));
    { std::ofstream(path_) << "precious"; }
    EXPECT_EQ(child.end(), could_not_listen);
    EXPECT_EQ(fs::file_size(path_), 8U);
    EXPECT_THAT(entries(), testing::ElementsAre("pool.sock"));
}

TEST_F(ListenerFileTest, IsPutInPlaceWhereTheFileSystemKnowsNoRules) {
    ChildThatListens child(path_);
    ASSERT_TRUE(child.come_to(SYS_renameat2));
    ASSERT_TRUE(child.traced.refuse_call(EINVAL));
    EXPECT_EQ(child.end(), 0);
    expect_next_host_knows();
}

#endif

}  // namespace
}  // namespace shmpool
