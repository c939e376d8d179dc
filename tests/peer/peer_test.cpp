// SPDX-License-Identifier: Apache-2.0
/// Goal: what a user of the library relies on, each against a real host. Method: peers in this
/// process, so that every step is in order.
#include "peer/peer.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "shmpool/pool/pool_statistics.hpp"
#include "tests/peer/peer_fixture.hpp"

namespace shmpool {
namespace {

using namespace std::chrono_literals;

struct Pose {
    double x, y, z;
    std::uint64_t stamp;
};
struct WiderPose {
    double x, y, z, w;
    std::uint64_t stamp;
};

TEST_F(PeerTest, DeliversWhatWasPublishedInOrder) {
    auto publisher = peer_.publisher("words");
    auto subscriber = other_.subscriber("words");
    ASSERT_TRUE(publisher && subscriber);
    send(*publisher, "one");
    send(*publisher, "two");
    auto first = subscriber->take();
    auto second = subscriber->take();
    ASSERT_TRUE(first && second);
    EXPECT_EQ(text_of(*first), "one");
    EXPECT_EQ(text_of(*second), "two");
    EXPECT_EQ(first->sequence() + 1, second->sequence());
    EXPECT_NE(first->publish_time_ns(), 0U);
    EXPECT_EQ(subscriber->take().error(), Errc::empty);
}

TEST_F(PeerTest, LeasesOneSlotToSeveralReaders) {
    auto publisher = peer_.publisher("words");
    auto one = other_.subscriber("words");
    auto two = other_.subscriber("words");
    ASSERT_TRUE(publisher && one && two);
    EXPECT_EQ(publisher->reader_count(), 2U);
    send(*publisher, "shared");
    auto first = one->take();
    auto second = two->take();
    ASSERT_TRUE(first && second);
    EXPECT_EQ(first->data(), second->data()) << "the same bytes, not copies";
    first->release();
    EXPECT_EQ(text_of(*second), "shared");
    second->release();
    expect_nothing_lost(other_);
}

TEST_F(PeerTest, CarriesTypedMessagesAndChecksTheType) {
    auto publisher = peer_.publisher<Pose>("pose");
    auto subscriber = other_.subscriber<Pose>("pose");
    ASSERT_TRUE(publisher && subscriber);
    ASSERT_TRUE(publisher->send(Pose{1, 2, 3, 4}));
    auto pose = subscriber->take();
    ASSERT_TRUE(pose);
    EXPECT_EQ((*pose)->z, 3);

    const auto wrong = other_.subscriber<WiderPose>("pose");
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().code, Errc::type_mismatch);
    EXPECT_NE(wrong.error().message.find("32"), std::string::npos) << wrong.error().message;
    EXPECT_NE(wrong.error().message.find("40"), std::string::npos) << wrong.error().message;
    EXPECT_EQ(other_.subscriber("pose").error().code, Errc::type_mismatch);
}

TEST_F(PeerTest, RefusesAnotherPolicyThanTheChannels) {
    auto publisher = peer_.publisher("words", {.policy = ChannelPolicy::drop_newest});
    ASSERT_TRUE(publisher);
    EXPECT_EQ(other_.subscriber("words", {.policy = ChannelPolicy::block}).error().code,
              Errc::policy_mismatch);
    EXPECT_TRUE(other_.subscriber("words"));
}

TEST_F(PeerTest, KeepsTheUserWordAndAShorterSize) {
    auto publisher = peer_.publisher("words");
    auto subscriber = other_.subscriber("words");
    auto loan = publisher->loan(100);
    ASSERT_TRUE(loan);
    ASSERT_TRUE(loan->set_size(3));
    EXPECT_EQ(loan->set_size(1U << 20).error(), Errc::too_large);
    loan->set_user_word(42);
    ASSERT_TRUE(publisher->publish(std::move(*loan)));
    auto sample = subscriber->take();
    ASSERT_TRUE(sample);
    EXPECT_EQ(sample->size(), 3U);
    EXPECT_EQ(sample->user_word(), 42U);
}

TEST_F(PeerTest, AlignsALoanUpToAPage) {
    auto publisher = peer_.publisher("words");
    auto subscriber = other_.subscriber("words");
    for (const std::size_t alignment : {1U, 64U, 128U, 512U, 4096U}) {
        auto loan = publisher->loan(1000, {}, alignment);
        ASSERT_TRUE(loan) << alignment;
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(loan->data()) % alignment, 0U);
        std::memset(loan->data(), 7, loan->size());
        ASSERT_TRUE(publisher->publish(std::move(*loan)));
        auto sample = subscriber->take();
        ASSERT_TRUE(sample);
        EXPECT_EQ(sample->size(), 1000U);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(sample->data()) % alignment, 0U);
        EXPECT_EQ(sample->bytes()[999], std::byte{7});
    }
    EXPECT_EQ(publisher->loan(10, {}, 3).error(), Errc::invalid_argument);
    EXPECT_EQ(publisher->loan(10, {}, 8192).error(), Errc::invalid_argument);
}

TEST_F(PeerTest, TellsTooLargeFromExhausted) {
    auto publisher = peer_.publisher("words");
    EXPECT_EQ(publisher->loan(64 * 1024 + 1).error(), Errc::too_large);
    std::vector<Loan> loans;
    for (;;) {
        auto loan = publisher->loan(64 * 1024);
        if (!loan) {
            EXPECT_EQ(loan.error(), Errc::exhausted);
            break;
        }
        loans.push_back(std::move(*loan));
    }
    EXPECT_EQ(loans.size(), 16U);
    EXPECT_EQ(publisher->loan(64 * 1024, 20ms).error(), Errc::timed_out);
    loans.clear();
    EXPECT_TRUE(publisher->loan(64 * 1024));
}

TEST_F(PeerTest, KeepsALoanThatCouldNotBePublished) {
    auto publisher = peer_.publisher("words");
    auto subscriber = other_.subscriber("words", {.depth = 1});
    send(*publisher, "fills the queue");
    auto loan = publisher->loan(4);
    EXPECT_EQ(publisher->publish(std::move(*loan), 10ms).error(), Errc::timed_out);
    EXPECT_TRUE(*loan) << "still the caller's";
    ASSERT_TRUE(subscriber->take());
    EXPECT_TRUE(publisher->publish(std::move(*loan), 10ms));
    EXPECT_EQ(publisher->publish(std::move(*loan)).error(), Errc::moved_from);
}

TEST_F(PeerTest, LoansAndTakesIntoWhatIsEmptyOnly) {
    auto publisher = peer_.publisher("words");
    auto subscriber = other_.subscriber("words");
    Loan loan;
    ASSERT_EQ(publisher->loan_into(loan, 4), Errc{});
    EXPECT_EQ(publisher->loan_into(loan, 4), Errc::invalid_argument);
    EXPECT_EQ(loan.size(), 4U) << "it is what it was";
    for (int i = 0; i < 2; ++i) send(*publisher, "one");
    Sample sample;
    ASSERT_EQ(subscriber->take_into(sample), Errc{});
    EXPECT_EQ(subscriber->take_into(sample), Errc::invalid_argument);
    EXPECT_EQ(sample.sequence(), 1U) << "and the next message still waits";
    sample.release();
    ASSERT_EQ(subscriber->take_into(sample), Errc{});
    EXPECT_EQ(sample.sequence(), 2U);
    sample.release();
    EXPECT_EQ(subscriber->take_into(sample), Errc::empty);
    Publisher left = std::move(*publisher);
    EXPECT_EQ(publisher->loan_into(loan, 4), Errc::moved_from);
}

TEST_F(PeerTest, RefusesALoanOfAnotherPeer) {
    auto publisher = peer_.publisher("words");
    auto foreign = other_.publisher("words");
    auto loan = foreign->loan(4);
    EXPECT_EQ(publisher->publish(std::move(*loan)).error(), Errc::invalid_argument);
    EXPECT_TRUE(*loan);
}

TEST_F(PeerTest, EndsWhenEveryPublisherHasLeft) {
    auto subscriber = other_.subscriber("words");
    EXPECT_EQ(subscriber->take(10ms).error(), Errc::timed_out) << "nobody has been there yet";
    {
        auto publisher = peer_.publisher("words");
        send(*publisher, "last");
    }
    ASSERT_TRUE(subscriber->take());
    EXPECT_EQ(subscriber->take(5s).error(), Errc::ended);
    auto again = peer_.publisher("words");
    EXPECT_EQ(subscriber->take().error(), Errc::empty) << "a newcomer revives the channel";
}

TEST_F(PeerTest, AHandleThatIsAssignedEndsWhatItWas) {
    auto publisher = peer_.publisher("words");
    auto subscriber = other_.subscriber("words", {.depth = 1});
    ASSERT_TRUE(publisher && subscriber);
    *publisher = std::move(*peer_.publisher("others"));
    EXPECT_EQ(subscriber->take(5s).error(), Errc::ended);
    auto again = peer_.publisher("words");
    ASSERT_TRUE(again);
    send(*again, "fills the queue");
    *subscriber = std::move(*other_.subscriber("others"));
    send(*again, "to nobody");
}

TEST_F(PeerTest, AMovedFromPeerSaysSo) {
    const Peer moved = std::move(other_);
    EXPECT_FALSE(other_);
    EXPECT_EQ(other_.allocate(1).error(), Errc::moved_from);
    EXPECT_EQ(other_.free({}).error(), Errc::moved_from);
    EXPECT_EQ(other_.slot_data({}).error(), Errc::moved_from);
    EXPECT_EQ(other_.drive().error(), Errc::moved_from);
    EXPECT_EQ(other_.publisher("words").error().code, Errc::moved_from);
    EXPECT_EQ(other_.subscriber<Pose>("words").error().code, Errc::moved_from);
}

TEST_F(PeerTest, SamplesOutliveTheirSubscriber) {
    auto publisher = peer_.publisher("words");
    auto one = other_.subscriber("words");
    auto two = other_.subscriber("words");
    send(*publisher, "kept");
    auto sample = one->take();
    ASSERT_TRUE(sample);
    { auto gone = std::move(*one); }
    { auto gone = std::move(*two); }
    for (int i = 0; i < 300; ++i) send(*publisher, "noise");
    EXPECT_EQ(text_of(*sample), "kept");
    sample->release();
    expect_nothing_lost(peer_);
}

TEST_F(PeerTest, ASampleOfAKilledWriterStaysAsItIs) {  // T-VS-22
    auto subscriber = other_.subscriber("words");
    auto second = other_.subscriber("words");
    ASSERT_TRUE(subscriber && second);
    Child writer([&] {
        PeerOptions options;
        options.control_thread = false;  // The thread sanitizer wants none after a fork.
        auto own = Peer::attach(host_.pool(), options);
        auto publisher = own->publisher("words");
        send(*publisher, "its last words");
        for (;;) ::pause();
    });
    auto sample = subscriber->take(5s);
    auto beside = second->take(5s);
    ASSERT_TRUE(sample && beside);
    beside->release();
    writer.signal(SIGKILL);
    EXPECT_EQ(subscriber->take(5s).error(), Errc::ended_by_death);
    std::vector<SlotRef> all;
    EXPECT_TRUE(eventually([&] {  // Whoever wants to overwrite it gets every other slot.
        while (const auto slot = peer_.allocate(1)) {
            std::ranges::fill(*peer_.slot_data(*slot), std::byte{0xEE});
            all.push_back(*slot);
        }
        return all.size() >= 256U + 16U - 1U;
    }));
    EXPECT_EQ(all.size(), 256U + 16U - 1U);
    EXPECT_EQ(text_of(*sample), "its last words");
    sample->release();
    for (const SlotRef& slot : all) EXPECT_TRUE(peer_.free(slot));
    expect_nothing_lost(peer_);
}

TEST_F(PeerTest, ADescriptorIsReadableWhileThereIsSomethingToTake) {
    auto publisher = peer_.publisher("words");
    auto subscriber = other_.subscriber("words");
    const auto descriptor = subscriber->descriptor();
    ASSERT_TRUE(descriptor) << descriptor.error().message;
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_event wanted{.events = EPOLLIN, .data = {}};
    ASSERT_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, *descriptor, &wanted), 0);
    const auto readable = [&](int limit_ms) {
        epoll_event event{};
        return epoll_wait(epoll, &event, 1, limit_ms) == 1;
    };
    EXPECT_EQ(subscriber->take().error(), Errc::empty);
    EXPECT_FALSE(readable(0));
    for (int round = 0; round < 100; ++round) {
        send(*publisher, "a");
        send(*publisher, "b");
        ASSERT_TRUE(readable(20000)) << round;
        ASSERT_TRUE(subscriber->take());
        ASSERT_TRUE(readable(20000)) << "one is left: level-triggered";
        ASSERT_TRUE(subscriber->take());
        while (subscriber->take()) {
        }
    }
    close(epoll);
}

TEST_F(PeerTest, AForkedChildIsRefusedAndHarmsNothing) {
    auto publisher = peer_.publisher("words");
    auto subscriber = other_.subscriber("words");
    auto loan = publisher->loan(4);
    send(*publisher, "kept");
    auto sample = subscriber->take();
    Child child([&] {
        int wrong = 0;
        wrong += publisher->loan(4).error() == Errc::forked ? 0 : 1;
        wrong += publisher->publish(std::move(*loan)).error() == Errc::forked ? 0 : 1;
        wrong += subscriber->take().error() == Errc::forked ? 0 : 1;
        wrong += subscriber->wait(1s).error() == Errc::forked ? 0 : 1;
        wrong += peer_.allocate(4).error() == Errc::forked ? 0 : 1;
        wrong += peer_.publisher("more").error().code == Errc::forked ? 0 : 1;
        { Loan ended = std::move(*loan); }
        sample->release();
        { Publisher ended = std::move(*publisher); }
        { Subscriber ended = std::move(*subscriber); }
        { Peer ended = std::move(peer_); }
        _exit(wrong);
    });
    EXPECT_EQ(child.wait(), 0);
    EXPECT_EQ(text_of(*sample), "kept");
    EXPECT_TRUE(publisher->publish(std::move(*loan)));
    EXPECT_TRUE(subscriber->take());
}

TEST_F(PeerTest, OffersRawSlots) {
    const auto ref = peer_.allocate(1000);
    ASSERT_TRUE(ref);
    ASSERT_TRUE(other_.slot_data(*ref));
    EXPECT_TRUE(other_.free(*ref)) << "the receiver frees";
    EXPECT_EQ(peer_.free(*ref).error(), Errc::double_free);
    SlotRef forged = *ref;
    forged.class_index = 9;
    EXPECT_EQ(peer_.free(forged).error(), Errc::invalid_ref);
    forged = *ref;
    forged.slot_index = 1U << 30;
    EXPECT_EQ(peer_.slot_data(forged).error(), Errc::invalid_ref);

    auto publisher = peer_.publisher("words");
    auto loan = publisher->loan(10);
    EXPECT_EQ(peer_.free(loan->slot()).error(), Errc::handle_owned);
}

TEST_F(PeerTest, StaysAttachedForASampleThatOutlivesIt) {
    auto publisher = peer_.publisher("words");
    Sample kept;
    {
        Peer brief = attach("brief");
        auto subscriber = brief.subscriber("words");
        send(*publisher, "kept");
        auto sample = subscriber->take();
        ASSERT_TRUE(sample);
        kept = std::move(*sample);
    }
    for (int i = 0; i < 300; ++i) send(*publisher, "noise");
    EXPECT_EQ(text_of(kept), "kept");
    kept.release();
    expect_nothing_lost(peer_);
}

TEST_F(PeerTest, RefusesTheSixtyFirstSubscriber) {
    std::vector<Subscriber> subscribers;
    for (int i = 0; i < 60; ++i) {
        auto one = other_.subscriber("words");
        ASSERT_TRUE(one) << i << ": " << one.error().message;
        subscribers.push_back(std::move(*one));
    }
    const auto refused = other_.subscriber("words");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::too_many_subscribers);
    auto publisher = peer_.publisher("words");
    ASSERT_TRUE(publisher);
    send(*publisher, "to all");
    for (auto& one : subscribers) EXPECT_TRUE(one.take());
    subscribers.pop_back();
    EXPECT_TRUE(eventually([&] { return other_.subscriber("words").has_value(); }));
}

}  // namespace
}  // namespace shmpool
