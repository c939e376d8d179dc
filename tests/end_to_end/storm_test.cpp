// SPDX-License-Identifier: Apache-2.0
/// Goal: whoever dies, whoever lives gets everything, in order and unchanged, and no slot is lost.
/// Method: a real host; readers and writers in processes of their own that are killed with -9 at
/// random moments and replaced; one reader and one writer that live through it all. Every payload
/// is filled from its own numbers and checked when it is taken and again before it is released.
#include <gtest/gtest.h>
#include <signal.h>

#include <cstring>
#include <deque>
#include <map>
#include <random>
#include <thread>

#include "peer/peer.hpp"
#include "shmpool/pool/pool_audit.hpp"
#include "shmpool/pool/pool_statistics.hpp"
#include "tests/peer/running_host.hpp"

namespace shmpool {
namespace {

using namespace std::chrono_literals;

constexpr char channel[] = "storm";

Peer attach(const std::string& pool) {
    auto peer = Peer::attach(pool);
    if (!peer) throw std::runtime_error(peer.error().message);
    return std::move(*peer);
}

void fill(std::span<std::byte> bytes, std::uint64_t seed) {
    std::minstd_rand random(static_cast<std::uint32_t>(seed));
    std::memcpy(bytes.data(), &seed, sizeof(seed));
    for (std::size_t i = sizeof(seed); i < bytes.size(); ++i) {
        bytes[i] = static_cast<std::byte>(random());
    }
}

bool is_sound(std::span<const std::byte> bytes) {
    std::uint64_t seed = 0;
    if (bytes.size() < sizeof(seed)) return false;
    std::memcpy(&seed, bytes.data(), sizeof(seed));
    std::vector<std::byte> expected(bytes.size());
    fill(expected, seed);
    return std::memcmp(expected.data(), bytes.data(), bytes.size()) == 0;
}

constexpr std::uint64_t immortal_word = 4711;  ///< User word of the writer that is never killed.

/// Publishes messages of 8 to about 3,000 bytes; `end` says when to stop. Returns how many.
template <typename End>
std::uint64_t write_messages(Publisher& publisher, std::uint64_t word, End&& end) {
    std::mt19937_64 random(word);
    std::uint64_t published = 0;
    while (!end()) {
        auto loan = publisher.loan(8 + random() % 3000, 50ms);
        if (!loan) continue;
        fill(loan->bytes(), random());
        loan->set_user_word(word);
        while (!publisher.publish(std::move(*loan), 50ms)) {
            if (end()) return published;
        }
        ++published;
    }
    return published;
}

/// Takes messages, holds up to four of them for a while, and counts what is wrong with them.
class CheckingReader {
public:
    void take_one(Subscriber& subscriber) {
        auto sample = subscriber.take(20ms);
        if (!sample) return;
        const std::uint64_t sequence = sample->sequence();
        std::uint64_t& last = last_sequence_[sample->publisher()];
        // The first one may come from the middle of a stream. A number that is given to the next
        // publisher begins again at 1.
        const bool in_order = last == 0 || sequence == last + 1 || sequence == 1;
        wrong_ += in_order && is_sound(sample->bytes()) ? 0U : 1U;
        last = sequence;
        ++taken_;
        taken_from_immortal_ += sample->user_word() == immortal_word ? 1U : 0U;
        held_.push_back(std::move(*sample));
        if (held_.size() > 4) release_oldest();
    }
    void release_all() {
        while (!held_.empty()) release_oldest();
    }
    [[nodiscard]] std::uint64_t taken() const { return taken_; }
    [[nodiscard]] std::uint64_t wrong() const { return wrong_; }
    [[nodiscard]] std::uint64_t taken_from_immortal() const { return taken_from_immortal_; }

private:
    void release_oldest() {
        wrong_ += is_sound(held_.front().bytes()) ? 0U : 1U;  // Nobody wrote into it meanwhile.
        held_.pop_front();
    }
    std::map<std::uint32_t, std::uint64_t> last_sequence_;
    std::deque<Sample> held_;
    std::uint64_t taken_ = 0;
    std::uint64_t taken_from_immortal_ = 0;
    std::uint64_t wrong_ = 0;
};

void play_reader(const std::string& pool) {
    Peer peer = attach(pool);
    auto subscriber = peer.subscriber(channel, {.depth = 4});
    if (!subscriber) return;
    CheckingReader reader;
    for (;;) reader.take_one(*subscriber);
}

void play_writer(const std::string& pool, std::uint64_t seed) {
    Peer peer = attach(pool);
    auto publisher = peer.publisher(channel);
    if (!publisher) return;
    (void)write_messages(*publisher, seed, [] { return false; });
}

TEST(Storm, TheLivingGetEverythingWhoeverIsKilled) {
    const auto seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    RunningHost host({"--class", "256:512", "--class", "4KiB:128"});
    std::deque<std::unique_ptr<Child>> mortals;
    const auto add_mortal = [&](std::uint32_t kind) {
        mortals.push_back(std::make_unique<Child>([&host, kind, child_seed = 10'000 + random()] {
            kind % 2 == 0 ? play_reader(host.pool()) : play_writer(host.pool(), child_seed);
        }));
    };
    for (std::uint32_t i = 0; i < 4; ++i) add_mortal(i);  // Before this process has threads.

    Peer peer = attach(host.pool());
    auto subscriber = peer.subscriber(channel, {.depth = 16});
    ASSERT_TRUE(subscriber) << subscriber.error().message;
    std::atomic<bool> done{false};
    std::atomic<bool> checked{false};
    std::atomic<std::uint64_t> published{0};
    std::thread writer([&] {
        Peer own = attach(host.pool());
        auto publisher = own.publisher(channel);
        ASSERT_TRUE(publisher) << publisher.error().message;
        published = write_messages(*publisher, immortal_word, [&] { return done.load(); });
        while (!checked) std::this_thread::sleep_for(1ms);  // Its number stays its own until then.
    });

    CheckingReader reader;
    int kills = 0;
    std::uint64_t next_kill = 20;
    while (kills < 120) {
        reader.take_one(*subscriber);
        if (reader.taken() < next_kill) continue;
        next_kill = reader.taken() + 1 + random() % 40;
        const std::size_t victim = random() % mortals.size();
        mortals[victim]->signal(SIGKILL);
        mortals[victim]->wait();
        mortals.erase(mortals.begin() + static_cast<std::ptrdiff_t>(victim));
        add_mortal(static_cast<std::uint32_t>(kills++));
    }
    mortals.clear();
    done = true;
    const auto idle = [&] {
        const std::uint64_t before = reader.taken();
        for (int i = 0; i < 10; ++i) reader.take_one(*subscriber);
        return reader.taken() == before;
    };
    EXPECT_TRUE(eventually(idle));
    reader.release_all();
    checked = true;
    writer.join();
    EXPECT_EQ(reader.wrong(), 0U);
    EXPECT_EQ(reader.taken_from_immortal(), published) << "all of the writer that was never killed";

    const PoolView& view = peer.pool().view();
    EXPECT_TRUE(eventually([&] {
        for (const auto& one : read_statistics(view)) {
            if (one.free + one.cached != one.slot_count) return false;
        }
        return true;
    }));
    for (const auto& finding : audit_moving(view)) {
        ADD_FAILURE() << finding.invariant << " class " << finding.class_index << " slot "
                      << finding.slot_index << ": " << finding.text;
    }
}

}  // namespace
}  // namespace shmpool
