// SPDX-License-Identifier: Apache-2.0
/// Goal: what `scripts/crash sweep` says can be believed. Method: a thin sweep of every operation;
/// and planted operations that do what no operation may, each of which must be found.
#include "sweep.hpp"

#include <gmock/gmock.h>

#include <ostream>

namespace shmpool::sweep {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Of the short form: so many points that each list of operations takes a few seconds.
constexpr std::uint32_t short_every = 150;

using List = std::vector<Operation> (*)();
struct Named {
    const char* name;
    List list;
    std::uint32_t every = short_every;
};
void PrintTo(const Named& named, std::ostream* out) {
    *out << named.name;
}

class ShortSweep : public ::testing::TestWithParam<Named> {};

TEST_P(ShortSweep, FindsNothing) {
    const std::vector<Operation> operations = GetParam().list();
    Arena arena({.limits = operations.front().limits});
    std::uint32_t visits = 0;
    std::uint32_t missed = 0;
    for (const Operation& operation : operations) {
        const Row row = Sweep(arena).run(operation, {.every = GetParam().every});
        EXPECT_EQ(row.wrong_path, "") << row.name;
        EXPECT_GE(row.points, 1U) << row.name;
        EXPECT_EQ(row.visits + row.missed, 2 * row.points) << row.name;
        missed += row.missed;
        visits += row.visits;
        for (const Finding& one : row.findings) {
            ADD_FAILURE() << row.name << " at point " << one.point << ": " << one.account.text;
        }
    }
    EXPECT_GT(visits, 4 * missed) << "rivals and the host decide now and then, not always";
}

INSTANTIATE_TEST_SUITE_P(
    Of, ShortSweep,
    ::testing::Values(Named{"Slots", slot_operations}, Named{"Publish", publish_operations},
                      Named{"Take", take_operations}, Named{"Sleep", sleep_operations},
                      Named{"Connect", connect_operations}, Named{"Class", class_operations},
                      Named{"Limits", limits_operations}, Named{"Reading", reading_operations},
                      Named{"Heaps", heap_operations}, Named{"Units", unit_operations},
                      Named{"Stacks", stack_operations, 300},
                      // These are visited at their stores only.
                      Named{"Buffer", buffer_operations, 50}),
    [](const auto& tested) { return std::string(tested.param.name); });

class Planted : public ::testing::Test {
protected:
    Row sweep(const Operation& operation, const Extent& extent = {}) {
        return Sweep(arena_).run(operation, extent);
    }
    void lose_patience_soon() { arena_.set_patience(std::chrono::seconds(1)); }
    static std::vector<std::size_t> points_found(const Row& row, const std::string& visit) {
        std::vector<std::size_t> points;
        for (const Finding& one : row.findings) {
            if (one.visit == visit) points.push_back(one.point);
        }
        return points;
    }
    Arena arena_;
};

void take_slot(Victim& victim) {
    victim.attach();
    victim.raw.push_back(must(victim.peer->allocate(small_bytes), "the victim's slot"));
}

Atomic<std::uint64_t>& word_of(Victim& victim, const SlotRef& ref) {
    return victim.peer->pool().view().classes[ref.class_index].records[ref.slot_index].word;
}

bool always(const Victim&) {
    return true;
}

/// For a moment nothing names the slot: as between the exchange and the name in other pools.
Operation hides_a_slot() {
    return {"hides a slot", Lists::untouched, take_slot,
            [](Victim& victim) {
                Atomic<std::uint64_t>& word = word_of(victim, victim.raw.front());
                const SlotWord named = word;
                word = make_word(word_generation(named), SlotState::listed, 0);
                word = named;
            },
            always};
}

TEST_F(Planted, LossIsFoundWhereItHappensAndNowhereElse) {
    const Row row = sweep(hides_a_slot());
    const auto calm = points_found(row, "calm");
    ASSERT_FALSE(calm.empty());
    EXPECT_EQ(calm, points_found(row, "busy"));
    EXPECT_EQ(calm.back() - calm.front() + 1, calm.size()) << "one window";
    EXPECT_GT(calm.front(), 0U);
    EXPECT_LT(calm.back() + 1, row.points) << "it is named again at the end";
    EXPECT_EQ(row.lost, row.findings.size()) << "one slot each";
    EXPECT_EQ(row.doubled + row.stuck, 0U);
    EXPECT_FALSE(row.is_clean());
    EXPECT_NE(row.findings.front().address, 0U);
    const Row again = sweep(hides_a_slot(), {.only = calm.front()});
    EXPECT_EQ(again.points, 1U);
    EXPECT_EQ(again.lost, 2U) << "calm and busy";
    EXPECT_TRUE(sweep(hides_a_slot(), {.only = calm.front() - 1}).is_clean());
}

/// One raw slot that a rival believes to be its own.
SlotRef look_at_what_a_rival_has(Victim& victim) {
    while (victim.board.gift == 0) victim.let_rivals(Order::work);
    return victim.peer->pool().view().ref_of(middle_class, victim.board.gift);
}

TEST_F(Planted, SlotInTwoHandsIsFound) {
    const Row row =
        sweep({"frees what a rival has", Lists::either,
               [](Victim& victim) {
                   take_slot(victim);
                   victim.raw.front() = look_at_what_a_rival_has(victim);
               },
               [](Victim& victim) { (void)victim.peer->free(victim.raw.front()); }, always},
              {.every = 50});
    EXPECT_GT(row.doubled, 0U);
    EXPECT_EQ(row.lost, 0U);
}

TEST_F(Planted, OverwrittenPayloadIsFound) {
    const Row row = sweep(
        {"writes into what a rival has", Lists::either,
         [](Victim& victim) {
             take_slot(victim);
             victim.raw.front() = look_at_what_a_rival_has(victim);
         },
         [](Victim& victim) { victim.peer->slot_data(victim.raw.front())->back() ^= std::byte{1}; },
         always},
        {.every = 50});
    EXPECT_GT(row.doubled, 0U);
    EXPECT_EQ(row.lost + row.stuck, 0U);
}

TEST_F(Planted, LivingOneThatWaitsForTheDeadIsFound) {
    lose_patience_soon();
    const Row row = sweep({"locks", Lists::untouched, [](Victim& victim) { victim.attach(); },
                           [](Victim& victim) {
                               victim.board.planted_lock = true;
                               victim.board.planted_lock = false;
                           },
                           always});
    EXPECT_GT(row.stuck, 0U);
    EXPECT_LT(row.stuck, row.visits) << "not before it has locked and not after it has unlocked";
    EXPECT_EQ(row.lost + row.doubled, 0U);
    EXPECT_THAT(row.findings.front().account.text, HasSubstr("is stuck"));
}

TEST_F(Planted, BrokenInvariantIsFound) {
    const Row row =
        sweep({"damages", Lists::untouched, take_slot,
               [](Victim& victim) { victim.peer->pool().view().mark_damaged(); }, always},
              {.every = 50});
    EXPECT_GT(row.broken, 0U);
}

TEST_F(Planted, OperationThatIsNotWhatItsNameSaysIsFound) {
    const auto nothing = [](Victim&) {};
    EXPECT_THAT(sweep({"nothing", Lists::untouched, take_slot, nothing, always}).wrong_path,
                IsEmpty());
    EXPECT_THAT(sweep({"nothing", Lists::changed, take_slot, nothing, always}).wrong_path,
                HasSubstr("changed no free list"));
    const Row row =
        sweep({"nothing", Lists::untouched, take_slot, nothing, [](Victim&) { return false; }});
    EXPECT_THAT(row.wrong_path, HasSubstr("what its name says"));
    EXPECT_FALSE(row.is_clean());
}

TEST_F(Planted, PlaceThatIsNeverReachedIsNoKill) {
    int traced = 0;  // Longer in the traced run than ever after.
    const Row row = sweep({"short", Lists::untouched, take_slot,
                           [&traced](Victim& victim) {
                               const bool first = victim.board.victims == 1;
                               for (int i = 0; i < (first ? 200 : 10); ++i) ++traced;
                           },
                           always},
                          {.every = 10});
    EXPECT_GT(row.missed, 0U);
    EXPECT_GT(row.visits, 0U);
    EXPECT_EQ(row.visits + row.missed, 2 * row.points);
    EXPECT_TRUE(row.is_clean()) << "a miss is no loss";
}

TEST_F(Planted, LongOperationIsKilledAtItsStoresAndCallsOnly) {
    const Row row = sweep({"long", Lists::untouched, take_slot,
                           [](Victim& victim) {
                               Atomic<std::uint64_t>& word = word_of(victim, victim.raw.front());
                               const SlotWord named = word;
                               std::atomic<std::uint32_t> steps{0};
                               while (steps < instructions_max) steps.fetch_add(1);
                               word = make_word(word_generation(named), SlotState::listed, 0);
                               word = named;
                               (void)::getppid();
                           },
                           always});
    EXPECT_TRUE(is_long(row.instructions));
    EXPECT_GE(row.points, 6U) << "two stores and a call, before and after each";
    EXPECT_LT(row.points, 20U);
    EXPECT_GE(row.lost, 4U) << "after the first store and before the second, calm and busy";
    EXPECT_LT(row.lost, row.visits);
}

}  // namespace
}  // namespace shmpool::sweep
