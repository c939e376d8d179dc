// SPDX-License-Identifier: Apache-2.0
/// Goal: what a message costs between cores is what was promised: no locked instruction to move it
/// to a reader that only polls, one if the reader may sleep, at most one to release a lease.
/// Method: the release build, single-stepped (ptrace, x86-64); every instruction that a verb really
/// executes is looked at.
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "endpoints.hpp"

namespace shmpool::testing_protocol {
namespace {

enum class Verb { nothing, publish, take, release_first, release_last, locked_addition };

struct Case {
    const char* name;
    Verb verb;
    ChannelPolicy policy;
    std::size_t readers;
    std::uint32_t reader_flags;
    unsigned locked;
};

constexpr std::size_t message_bytes = 200;  // A class with magazines.

/// What the host has opened before the victim begins.
struct Stage {
    explicit Stage(const Case& one) : writing(host.admit()), taking(host.admit()) {
        from = host.open_publisher(writing, one.policy);
        for (std::size_t i = 0; i < one.readers; ++i) {
            to.push_back(host.open_subscriber(taking, 4, one.policy, "c", one.reader_flags));
        }
    }
    TestHost host;
    std::uint32_t writing;
    std::uint32_t taking;
    Opened from;
    std::vector<Opened> to;
};

/// In the child: everything up to the verb, a stop, the verb, a stop.
class Victim {
public:
    Victim(Stage& stage, const Case& one)
        : verb_(one.verb),
          writing_(open_segment(stage.host.segment()), stage.writing),
          taking_(open_segment(stage.host.segment()), stage.taking),
          writer_(writing_, stage.from, one.policy, 1) {
        for (const Opened& opened : stage.to) {
            readers_.push_back(std::make_unique<SubscriberCore>(taking_.pool(), taking_.view(),
                                                                opened.endpoint_index));
        }
    }

    void play() {
        for (int warm_up = 0; warm_up < 3; ++warm_up) {
            (void)writer_.send(Deadline::passed(), message_bytes);
            for (auto& reader : readers_) release(reader->take(taking_.lane()));
        }
        const auto slot = writing_.pool().loan(writing_.lane(), message_bytes);
        between_stops(Verb::publish, [&] {
            (void)writer_.core().publish(writing_.lane(), *slot, Deadline::passed());
        });
        std::vector<Outcome<Taken>> taken(readers_.size(), tl::unexpected(Errc::empty));
        between_stops(Verb::take, [&] { taken[0] = readers_[0]->take(taking_.lane()); });
        for (std::size_t i = 1; i < taken.size(); ++i) {
            taken[i] = readers_[i]->take(taking_.lane());
        }
        between_stops(Verb::release_first, [&] { release(taken[0]); });
        for (std::size_t i = 1; i + 1 < taken.size(); ++i) release(taken[i]);
        if (taken.size() > 1) between_stops(Verb::release_last, [&] { release(taken.back()); });
        between_stops(Verb::nothing, [] {});
        Atomic<unsigned> counter{0};
        between_stops(Verb::locked_addition, [&] { counter.fetch_add(1); });
    }

private:
    template <typename Act>
    void between_stops(Verb verb, Act act) {
        if (verb == verb_) ::raise(SIGSTOP);
        act();
        if (verb == verb_) ::raise(SIGSTOP);
    }
    void release(const Outcome<Taken>& taken) {
        if (!taken) ::_exit(3);
        SubscriberCore::release(taking_.pool(), taking_.lane(), *taken);
    }

    Verb verb_;
    TestPeer writing_;
    TestPeer taking_;
    Writer writer_;
    std::vector<std::unique_ptr<SubscriberCore>> readers_;
};

/// The processor locks for a LOCK prefix, for an exchange with memory, and mfence waits as long.
bool is_locked(pid_t pid) {
    user_regs_struct registers{};
    ::ptrace(PTRACE_GETREGS, pid, nullptr, &registers);
    std::array<unsigned char, 16> code{};
    for (std::size_t i = 0; i < code.size(); i += sizeof(long)) {
        const long word = ::ptrace(PTRACE_PEEKTEXT, pid, registers.rip + i, nullptr);
        std::memcpy(code.data() + i, &word, sizeof(word));
    }
    constexpr std::array<unsigned char, 10> prefixes{0x26, 0x2E, 0x36, 0x3E, 0x64,
                                                     0x65, 0x66, 0x67, 0xF2, 0xF3};
    std::size_t at = 0;
    while (std::ranges::find(prefixes, code[at]) != prefixes.end()) ++at;
    if (code[at] == 0xF0) return true;
    if ((code[at] & 0xF0) == 0x40) ++at;  // REX
    const bool exchange = code[at] == 0x86 || code[at] == 0x87;
    if (exchange) return (code[at + 1] & 0xC0) != 0xC0;
    return code[at] == 0x0F && code[at + 1] == 0xAE && code[at + 2] == 0xF0;
}

/// How many locked instructions lie between the two stops; -1 if they were not reached.
int locked_between_stops(pid_t pid) {
    int locked = 0;
    int status = 0;
    if (::waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) return -1;
    for (int step = 0; step < 100'000; ++step) {
        locked += is_locked(pid) ? 1 : 0;
        ::ptrace(PTRACE_SINGLESTEP, pid, nullptr, nullptr);
        if (::waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) return -1;
        if (WSTOPSIG(status) == SIGSTOP) return locked;
    }
    return -1;
}

int locked_instructions_of(const Case& one) {
    Stage stage(one);
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        Victim(stage, one).play();
        ::_exit(0);
    }
    const int locked = locked_between_stops(pid);
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return locked;
}

class LockedInstructions : public ::testing::TestWithParam<Case> {};

TEST_P(LockedInstructions, AreAsManyAsPromised) {
    EXPECT_EQ(locked_instructions_of(GetParam()), static_cast<int>(GetParam().locked));
}

constexpr ChannelPolicy block = ChannelPolicy::block;
constexpr std::uint32_t may_sleep = subscriber_may_sleep;

INSTANTIATE_TEST_SUITE_P(
    Of, LockedInstructions,
    ::testing::Values(Case{"Nothing", Verb::nothing, block, 1, 0, 0},
                      Case{"OneAddition", Verb::locked_addition, block, 1, 0, 1},
                      Case{"PublishToOneWhoPolls", Verb::publish, block, 1, 0, 0},
                      Case{"PublishToOneWhoMaySleep", Verb::publish, block, 1, may_sleep, 1},
                      Case{"PublishToThreeWhoPoll", Verb::publish, block, 3, 0, 1},
                      Case{"PublishToThreeWhoMaySleep", Verb::publish, block, 3, may_sleep, 2},
                      Case{"TakeOfAMovedSlot", Verb::take, block, 1, 0, 0},
                      Case{"ReleaseOfAMovedSlot", Verb::release_first, block, 1, 0, 0},
                      Case{"TakeOfALease", Verb::take, block, 3, 0, 0},
                      Case{"ReleaseOfALease", Verb::release_first, block, 3, 0, 1},
                      Case{"ReleaseOfTheLastLease", Verb::release_last, block, 3, 0, 0}),
    [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace shmpool::testing_protocol
