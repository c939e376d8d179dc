// SPDX-License-Identifier: Apache-2.0
/// Goal: the host sees that somebody has written what nobody may, marks the pool for good, and says
/// so once. Method: the watch alone, over a real segment into which the test writes.
#include "host/damage_watch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <sstream>

#include "tests/shmpool/platform/temporary_directory.hpp"

namespace shmpool::host {
namespace {

using testing::HasSubstr;
using testing::Not;

class DamageWatchTest : public testing::Test {
protected:
    DamageWatchTest() { build(); }

    void build() {
        watch.reset();
        channels.reset();
        PoolConfig config;
        config.name = "test";
        config.classes = {{64, 256, 1024}, {4096, 16}};
        config.limits.peers = 4;
        config.limits.lanes = 8;
        log = std::make_unique<HostLog>(*HostLog::open(LogLevel::debug, directory.file("log")));
        steward = *SegmentSteward::create(config);
        steward->set_state(HostState::running);
        channels =
            std::make_unique<ChannelDirectory>(steward->pool(), steward->lane(), steward->view());
        watch = std::make_unique<DamageWatch>(*steward, *channels, *log);
    }
    [[nodiscard]] const PoolView& pool() const { return steward->pool().view(); }
    [[nodiscard]] std::string log_text() const {
        std::ostringstream text;
        text << std::ifstream(directory.file("log")).rdbuf();
        return text.str();
    }
    void expect_found(const std::string& what, const std::function<void()>& write) {
        build();
        write();
        EXPECT_FALSE(pool().damaged());
        watch->look();
        EXPECT_TRUE(pool().damaged()) << what;
        EXPECT_THAT(log_text(), HasSubstr(what + " has changed"));
    }

    test::TemporaryDirectory directory;
    std::unique_ptr<HostLog> log;
    std::unique_ptr<SegmentSteward> steward;
    std::unique_ptr<ChannelDirectory> channels;
    std::unique_ptr<DamageWatch> watch;
};

TEST_F(DamageWatchTest, FindsNothingInASoundPool) {
    const auto loan = steward->pool().loan(steward->lane(), 64);
    ASSERT_TRUE(loan);
    watch->look();
    EXPECT_FALSE(pool().damaged());
    EXPECT_THAT(log_text(), Not(HasSubstr("damaged")));
}

TEST_F(DamageWatchTest, SeesAChangeOfEverythingThatIsWrittenOnce) {
    expect_found("the segment's header", [&] { steward->header().control_bytes += 1; });
    expect_found("the segment's count of regions", [&] { steward->header().region_count += 1; });
    expect_found("the pool's name", [&] { steward->header().pool_name[0] = 'T'; });
    expect_found("the directory of regions",
                 [&] { steward->header().regions[1].offset_bytes += 64; });
    expect_found("the pool's header", [&] { pool().header->class_count += 1; });
    expect_found("the image of a size class", [&] { pool().classes[1].image->slot_bytes += 64; });
    expect_found("the image of a size class", [&] { pool().classes[1].image->first_block += 1; });
    expect_found("the image of a size class", [&] { ++pool().classes[1].image->extent_count; });
    expect_found("the extent of a size class",
                 [&] { pool().classes[1].extents[0].slot_count += 1; });
}

TEST_F(DamageWatchTest, IsNotBlindedByWhatTheHostChangesItself) {
    const auto grow = [&] {
        PoolGrowth& growth = steward->growth();
        ASSERT_TRUE(growth.grow(64, 300));
        while (growth.has_work()) (void)growth.do_a_piece();
    };
    build();
    for (int round = 0; round < 2; ++round) {
        grow();
        watch->look();
        EXPECT_FALSE(pool().damaged()) << log_text();
        ASSERT_TRUE(steward->growth().shrink(64, 0));
        while (steward->growth().has_work()) {
            (void)steward->growth().do_a_piece();
            watch->look();
            EXPECT_FALSE(pool().damaged()) << log_text();
        }
    }
    grow();
    watch->look();
    pool().classes[0].extents[1].slot_count += 1;
    watch->look();
    EXPECT_TRUE(pool().damaged()) << "what has come is watched as well";
    const auto expect_found_beside_growth = [&](const std::function<void()>& write) {
        build();
        write();
        grow();
        watch->look();
        EXPECT_TRUE(pool().damaged());
    };
    expect_found_beside_growth([&] { pool().classes[0].extents[0].slot_count += 1; });
    expect_found_beside_growth([&] { ++pool().classes[1].image->extent_count; });
    expect_found_beside_growth([&] { pool().classes[1].extents[0].withdrawn.store(1); });
}

TEST_F(DamageWatchTest, KeepsTheMarkThatSomebodyTakesAway) {
    pool().mark_damaged();
    watch->look();
    pool().header->damaged.store(0);
    watch->look();
    EXPECT_TRUE(pool().damaged());
}

TEST_F(DamageWatchTest, ShowsTheHostsStateAgain) {
    steward->header().host_state.store(static_cast<std::uint32_t>(HostState::stopped));
    watch->look();
    EXPECT_TRUE(pool().damaged());
    EXPECT_TRUE(steward->shows_its_state());
}

TEST_F(DamageWatchTest, WakesEverybodyOnceForEachPieceOfNews) {
    ChannelRequest request;
    request.channel = "c";
    const auto opened = channels->open_subscriber(request, 0, 4, subscriber_may_sleep);
    ASSERT_TRUE(opened) << opened.error().message;
    const auto& doorbell = steward->view().subscribers.at(opened->endpoint_index).doorbell;
    const std::uint32_t before = doorbell.load();
    watch->look();
    EXPECT_EQ(doorbell.load(), before) << "there is no news";
    pool().mark_damaged();
    watch->look();
    EXPECT_EQ(doorbell.load(), before + 1);
    watch->look();
    EXPECT_EQ(doorbell.load(), before + 1) << "they know it";
}

}  // namespace
}  // namespace shmpool::host
