// SPDX-License-Identifier: Apache-2.0
/// Goal: what judges a storm sees what it must see, and a seed gives the same blows again.
#include <gtest/gtest.h>

#include <vector>

#include "board.hpp"
#include "payload.hpp"
#include "plan.hpp"
#include "seats.hpp"
#include "stream_check.hpp"

namespace shmpool::storm {
namespace {

using Words = std::vector<std::uint64_t>;

TEST(Payload, ShowsEveryForeignByte) {
    Words words(20);
    const auto bytes = std::as_writable_bytes(std::span(words));
    write_payload(bytes, {7, 3});
    const auto message = read_payload(bytes);
    ASSERT_TRUE(message);
    EXPECT_EQ(message->writer, 7U);
    EXPECT_EQ(message->number, 3U);
    for (std::byte& one : bytes) {
        one ^= std::byte{1};
        EXPECT_FALSE(read_payload(bytes)) << "byte " << &one - bytes.data();
        one ^= std::byte{1};
    }
}

TEST(Payload, ShowsAnotherLengthAndAnotherMessagesRest) {
    Words words(20);
    const auto bytes = std::as_writable_bytes(std::span(words));
    write_payload(bytes, {7, 3});
    EXPECT_FALSE(read_payload(bytes.first(152)));
    EXPECT_FALSE(read_payload(bytes.first(least_bytes - 1)));
    Words next(20);
    const auto next_bytes = std::as_writable_bytes(std::span(next));
    write_payload(next_bytes, {7, 4});
    next.back() = words.back();
    EXPECT_FALSE(read_payload(next_bytes)) << "half of one message, half of another";
}

TEST(Stream, MustBeWholeAndInOrder) {
    StreamCheck check({});
    EXPECT_FALSE(check.next({1, 5})) << "what came before it was there does not count";
    EXPECT_FALSE(check.next({1, 6}));
    EXPECT_FALSE(check.next({2, 1}));
    EXPECT_TRUE(check.next({1, 8})) << "one is missing";
    EXPECT_TRUE(check.next({1, 8})) << "twice";
    EXPECT_TRUE(check.next({1, 7})) << "back";
    EXPECT_EQ(check.last_of(2), 1U);
    EXPECT_EQ(check.last_of(3), 0U);
}

TEST(Stream, BeginsWithTheFirstForWhoWasThereBefore) {
    StreamCheck check({.from_the_first = true});
    EXPECT_FALSE(check.next({1, 1}));
    EXPECT_TRUE(check.next({2, 2}));
}

TEST(Stream, MissesOnlyWhatWasCounted) {
    StreamCheck check({.may_drop = true});
    EXPECT_FALSE(check.next({1, 1}));
    EXPECT_FALSE(check.next({1, 5}));
    EXPECT_FALSE(check.misses_more_than(2)) << "the last drop may be counted a moment later";
    EXPECT_TRUE(check.misses_more_than(1));
    EXPECT_TRUE(check.next({1, 5}));
    EXPECT_TRUE(check.next({1, 4}));
}

TEST(Blows, AreTheSameForTheSameSeed) {
    Plan one(42, 80);
    Plan same(42, 80);
    Plan other(43, 80);
    std::vector<int> kinds(4);
    bool differs = false;
    double seconds = 0;
    for (int i = 0; i < 10'000; ++i) {
        const Step step = one.next();
        const Step again = same.next();
        EXPECT_EQ(step.pause, again.pause);
        EXPECT_EQ(step.blow, again.blow);
        EXPECT_EQ(step.seat, again.seat);
        EXPECT_EQ(step.lasts, again.lasts);
        differs = differs || step.pause != other.next().pause;
        ++kinds[static_cast<std::size_t>(step.blow)];
        seconds += std::chrono::duration<double>(step.pause).count();
        EXPECT_TRUE(step.blow != Blow::kill || seats[step.seat].killed);
    }
    EXPECT_TRUE(differs);
    for (const int count : kinds) EXPECT_GT(count, 100);
    const int kills = kinds[static_cast<std::size_t>(Blow::kill)] +
                      kinds[static_cast<std::size_t>(Blow::kill_host)];
    EXPECT_NEAR(kills / seconds, 80, 8) << "per second, if the machine keeps up";
}

TEST(StormRecord, SeesWhatWasLostOrCameBack) {
    Record<100> record;
    record.changes(3);
    record.is(3, true);
    record.changes(70);
    record.is(70, true);
    EXPECT_EQ(record.settle([](std::size_t one) { return one == 3 || one == 70; }), 0U);
    EXPECT_EQ(record.settle([](std::size_t one) { return one == 3; }), 1U) << "70 was lost";
    record.changes(3);
    record.is(3, false);
    EXPECT_EQ(record.settle([](std::size_t one) { return one == 3 || one == 70; }), 1U);
}

TEST(StormRecord, BelievesWhatItFindsOfWhatALifeWasKilledIn) {
    Record<100> record;
    record.changes(64);
    EXPECT_EQ(record.settle([](std::size_t one) { return one == 64; }), 0U);
    EXPECT_TRUE(record.has(64));
    EXPECT_EQ(record.settle([](std::size_t) { return false; }), 1U) << "in doubt no more";
    record.changes(64);
    record.is_as_before();
    EXPECT_TRUE(record.has(64));
}

}  // namespace
}  // namespace shmpool::storm
