// SPDX-License-Identifier: Apache-2.0
/// Goal: who writes into the head of a ring without end stops neither its reader nor its publisher
/// for ever: the verb ends, and the pool is marked (I6). Method: a rival comes between each look at
/// the head and the exchange, twice as often as an honest one could be met; so a verb without a
/// bound would succeed in the end.
#include <cstring>

#include "crash_rig.hpp"
#include "endpoints.hpp"
#include "shmpool/pool/retry_limit.hpp"

namespace shmpool::testing_protocol {
namespace {

const char* rival_point = "";
std::uint32_t rival_turns = 0;
std::uint64_t rival_bit = 0;
RingImage* rival_ring = nullptr;

void come_between(const char* name) {
    if (rival_turns == 0 || std::strcmp(name, rival_point) != 0) return;
    --rival_turns;
    rival_ring->head.fetch_xor(rival_bit, std::memory_order_relaxed);
}

class EndlessRivalAtARing : public ::testing::Test {
protected:
    static constexpr ChannelPolicy policy = ChannelPolicy::drop_oldest;

    void TearDown() override { crash_hook.store(nullptr); }

    /// And flips this bit of the head.
    void comes_at(const char* point, std::uint64_t bit) {
        rival_point = point;
        rival_bit = bit;
        rival_turns = 2 * retry_limit;
        rival_ring = &host.view().rings.at(0);
        crash_hook.store(&come_between);
    }
    void send(std::uint32_t count) {
        for (std::uint32_t i = 0; i < count; ++i) ASSERT_EQ(writer.send(), 1U);
    }

    TestHost host;
    TestPeer peer{host, host.admit()};
    Reader reader{peer, host.open_subscriber(peer.index(), 4, policy)};
    Writer writer{peer, host.open_publisher(peer.index(), policy), policy, 1};
};

TEST_F(EndlessRivalAtARing, EndsATake) {
    send(2);
    comes_at("take_touched", make_head(1, false));  // The first entry, the second, the first...
    const auto message = reader.next();
    ASSERT_FALSE(message);
    EXPECT_EQ(message.error(), Errc::pool_damaged);
    EXPECT_TRUE(host.pool().view().damaged());
    EXPECT_GT(rival_turns, 0U);
}

TEST_F(EndlessRivalAtARing, EndsADropOfTheOldest) {
    send(4);
    comes_at("drop_announced", make_head(0, true));
    (void)writer.send();
    EXPECT_TRUE(host.pool().view().damaged());
    EXPECT_GT(rival_turns, 0U);
    EXPECT_EQ(host.view().publishers.at(0).intent_kind.load(), 0U);
}

}  // namespace
}  // namespace shmpool::testing_protocol
