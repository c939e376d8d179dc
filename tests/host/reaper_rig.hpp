// SPDX-License-Identifier: Apache-2.0
/// A reaper under a clock and a kernel of the test's own, over a real segment.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "host/event_tokens.hpp"
#include "host/reaper.hpp"
#include "tests/shmpool/platform/temporary_directory.hpp"

namespace shmpool::host {

inline constexpr std::uint64_t ms = 1'000'000;

inline PoolConfig small_pool(SuspectPolicy policy) {
    PoolConfig config;
    config.name = "test";
    config.classes = {{64, 256}};
    config.limits.peers = 4;
    config.limits.lanes = 8;
    config.suspect_policy = policy;
    config.suspect_after_ms = 1000;
    return config;
}

class ReaperTest : public testing::Test {
protected:
    void build(SuspectPolicy policy) {
        config = small_pool(policy);
        build();
    }
    void build() {
        log = std::make_unique<HostLog>(*HostLog::open(LogLevel::debug, directory.file("log")));
        steward = *SegmentSteward::create(config);
        build_reaper();
    }
    /// What a next host would have: the same segment, and nothing else.
    void build_reaper() {
        reaper.reset();
        channels =
            std::make_unique<ChannelDirectory>(steward->pool(), steward->lane(), steward->view());
        registry = std::make_unique<PeerRegistry>(steward->view(), config.quota);
        beacons = *BeaconWatcher::create();
        queue = std::make_unique<EventQueue>(*EventQueue::create());
        reaper = std::make_unique<Reaper>(
            *steward, *channels, *registry, *beacons, *queue, config, *log,
            ReaperSenses{[this] { return now_ns; }, [this](const Descriptor&) { return ended; },
                         [this](const Descriptor&) -> Result<void> {
                             ++kills;
                             if (may_kill) return {};
                             return fail(Errc::no_permission, "not allowed; run as root");
                         },
                         [this](std::int64_t pid) {
                             looks.push_back(pid);
                             return stopped || pid == stopped_pid;
                         },
                         [this](pid_t, std::uint64_t) -> Result<std::optional<Descriptor>> {
                             if (ended) return std::nullopt;
                             return std::optional(std::move(found_process));
                         },
                         [this](pid_t, const Descriptor&) -> Result<bool> {
                             shown_at_look = shown({0, 0});
                             return maps;
                         }});
    }

    Peer& attach(pid_t pid = 4711) {
        Peer& peer = **registry->attach({pid, 1000, 1000}, "camera", false, Descriptor(), now_ns);
        reaper->peer_attached();
        return peer;
    }

    /// Lets the clock run to the next tick that the reaper asks for.
    void run_to_next_tick() {
        const auto next = reaper->next_tick_ns();
        ASSERT_TRUE(next);
        now_ns = std::max(now_ns, *next);
        reaper->tick();
    }

    void run_for(std::uint64_t duration_ns) {
        const std::uint64_t start_ns = now_ns;
        while (now_ns < start_ns + duration_ns && !HasFatalFailure()) run_to_next_tick();
    }
    /// As if the process had ended.
    [[nodiscard]] Descriptor readable_pidfd() {
        flag.raise();
        return *Descriptor::duplicate(flag.descriptor());
    }
    void expect_end_is_noticed(const PeerId& id) {
        const auto tokens = queue->wait(std::chrono::nanoseconds::zero());
        ASSERT_TRUE(tokens);
        EXPECT_THAT(*tokens, testing::ElementsAre(token_of(id)));
    }

    [[nodiscard]] PeerState shown(const PeerId& id) const {
        return static_cast<PeerState>(steward->view().peers.at(id.index).state.load());
    }
    [[nodiscard]] std::string log_text() const {
        std::ostringstream text;
        text << std::ifstream(directory.file("log")).rdbuf();
        return text.str();
    }

    test::TemporaryDirectory directory;
    PoolConfig config;
    std::unique_ptr<HostLog> log;
    std::unique_ptr<SegmentSteward> steward;
    std::unique_ptr<ChannelDirectory> channels;
    std::unique_ptr<PeerRegistry> registry;
    std::unique_ptr<BeaconWatcher> beacons;
    std::unique_ptr<EventQueue> queue;
    std::unique_ptr<Reaper> reaper;
    std::uint64_t now_ns = 5'000 * ms;
    EventFlag flag = *EventFlag::create();
    Descriptor found_process;
    PeerState shown_at_look = PeerState::empty;  ///< Of the first place, at a look at mappings.
    bool ended = false;
    bool maps = true;
    bool stopped = false;  ///< All of them.
    std::int64_t stopped_pid = 0;
    std::vector<std::int64_t> looks;  ///< At whom, to see whether he is stopped.
    bool may_kill = true;
    int kills = 0;
};

}  // namespace shmpool::host
