// SPDX-License-Identifier: Apache-2.0
/// Goal: what the contest says about a system can be believed. Method: the seed's algorithm and our
/// own, with the victim killed before each instruction of a take and a give, so that a kill falls
/// into every window for certain; and planted systems that hang, fail and are never told.
#include "contest.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "ours.hpp"
#include "seed.hpp"

namespace shmpool::versus {
namespace {

using namespace std::chrono_literals;

/// Kills before every `stride`-th instruction; how many there were.
std::uint32_t kill_everywhere(Contest& contest, std::uint32_t stride) {
    std::uint32_t instruction = 0;
    while (contest.kill_at_instruction(instruction)) instruction += stride;
    return instruction;
}

TEST(Contest, SeesTheSeedLoseASlotWhereverTheKillFallsIntoAWindow) {
    Seed seed;
    Contest contest(seed);
    const std::uint32_t instructions = kill_everywhere(contest, 1);
    const Result& result = contest.result();
    EXPECT_GT(instructions, 20U) << "a take and a give";
    EXPECT_EQ(result.slots, slots_wanted);
    EXPECT_GE(result.kills_with_loss, 4U)
        << "between exchange and owner, and between state and exchange";
    EXPECT_LT(result.kills_with_loss, result.kills) << "before and after it loses nothing";
    EXPECT_EQ(result.slots_lost, static_cast<std::int32_t>(result.kills_with_loss))
        << "one at a time";
    EXPECT_EQ(result.survivors_hung + result.survivors_failed, 0U);
}

TEST(Contest, SeesTheSeedHandOutEverySlotThatAReaderHas) {
    Seed seed;
    Contest contest(seed);
    contest.kill_sender();
    EXPECT_EQ(contest.result().overwritten, slots_read);
}

void expect_nothing_wrong(const Result& result) {
    EXPECT_EQ(result.slots, slots_wanted);
    EXPECT_EQ(result.slots_lost, 0);
    EXPECT_EQ(result.kills_with_loss, 0U);
    EXPECT_EQ(result.survivors_hung, 0U);
    EXPECT_EQ(result.survivors_failed, 0U);
    EXPECT_EQ(result.unnoticed, 0U);
}

TEST(Contest, SeesOursLoseNothingAtAnyInstruction) {
    Ours ours;
    Contest contest(ours);
    EXPECT_GT(kill_everywhere(contest, 3), 50U) << "instructions of a take and a give";
    expect_nothing_wrong(contest.result());
    EXPECT_EQ(contest.result().notice_us.size(), contest.result().kills);
}

TEST(Contest, SeesOursLoseNothingAtRandomMomentsAndLeaveTheReaderWhatItHas) {
    Ours ours;
    Contest contest(ours);
    for (int i = 0; i < 20; ++i) contest.kill_after(i * 37us);
    contest.kill_sender();
    expect_nothing_wrong(contest.result());
    EXPECT_EQ(contest.result().kills, 20U);
    EXPECT_EQ(contest.result().overwritten, 0U);
}

enum class Plant : std::uint8_t { hangs, fails, is_never_told };

/// Always has one slot. When its victim has begun, the plant is in the ground for certain.
class Planted : public Contestant {
public:
    explicit Planted(Plant plant)
        : plant_(plant),
          traits_{.system = "planted", .notices_deaths = plant == Plant::is_never_told} {}
    [[nodiscard]] const Traits& traits() const override { return traits_; }
    void renew() override { victims_work_.emplace(); }
    [[nodiscard]] std::unique_ptr<Worker> join(Role role) override {
        return std::make_unique<PlantedWorker>(plant_, role, **victims_work_);
    }

private:
    struct PlantedWorker : Worker {
        PlantedWorker(Plant of, Role as, std::atomic<int>& work)
            : plant(of), role(as), victims_work(work) {}
        void work() override {
            if (role == Role::victim) ++victims_work;
            if (role == Role::victim || victims_work < 2) return;
            while (plant == Plant::hangs) ::usleep(1000);
            if (plant == Plant::fails) throw std::runtime_error("planted");
        }
        std::uint32_t take_all(std::byte /*filler*/) override { return 1; }
        bool sees_another() override { return victims_work >= 2; }
        Plant plant;
        Role role;
        std::atomic<int>& victims_work;
    };

    Plant plant_;
    Traits traits_;
    std::optional<testing_protocol::SharedWithChildren<std::atomic<int>>> victims_work_;
};

Result killed(int times, Plant plant) {
    Planted planted(plant);
    Contest contest(planted);
    for (int i = 0; i < times; ++i) contest.kill_after(1ms);
    return contest.result();
}

TEST(Contest, TellsSurvivorsThatHangFromThoseThatFailAndBeginsAnewAfterBoth) {
    const Result hung = killed(2, Plant::hangs);
    EXPECT_EQ(hung.survivors_hung, 2U);
    EXPECT_EQ(hung.survivors_failed, 0U);
    const Result failed = killed(2, Plant::fails);
    EXPECT_EQ(failed.survivors_hung, 0U);
    EXPECT_EQ(failed.survivors_failed, 2U);
}

TEST(Contest, SeesThatADeathIsNeverNoticed) {
    const Result result = killed(1, Plant::is_never_told);
    EXPECT_EQ(result.unnoticed, 1U);
    EXPECT_TRUE(result.notice_us.empty());
}

}  // namespace
}  // namespace shmpool::versus
