// SPDX-License-Identifier: Apache-2.0
/// Peers that may only read: they take and read, are refused everything else before anything has
/// changed, and come back to a next host as what they are.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <thread>

#include "shmpool/pool/pool_statistics.hpp"
#include "tests/host/other_user.hpp"
#include "tests/peer/configured_host.hpp"

namespace shmpool {
namespace {

using test::as_user;
using testing::HasSubstr;

constexpr bool read_only = true;

void send(Publisher& publisher, std::string_view text) {
    auto loan = publisher.loan(text.size());
    ASSERT_TRUE(loan) << name_of(loan.error());
    std::memcpy(loan->data(), text.data(), text.size());
    ASSERT_TRUE(publisher.publish(std::move(*loan)));
}

std::string text_of(const Sample& sample) {
    return {reinterpret_cast<const char*>(sample.data()), sample.size()};
}

std::uint64_t allocations(Peer& peer) {
    std::uint64_t sum = 0;
    for (const auto& one : read_statistics(peer.pool().view())) sum += one.allocations_total;
    return sum;
}

TEST(ReadOnlyPeer, TakesAndReads) {
    const ConfiguredHost host("");
    Peer writer = host.attach("writer");
    Peer reader = host.attach("reader", read_only);
    auto subscriber = reader.subscriber("c").value();
    auto publisher = writer.publisher("c").value();
    for (const char* text : {"one", "two", "three"}) {
        ASSERT_NO_FATAL_FAILURE(send(publisher, text));
        const auto sample = subscriber.take();
        ASSERT_TRUE(sample);
        EXPECT_EQ(text_of(*sample), text);
    }
}

TEST(ReadOnlyPeer, IsRefusedEverythingElseAndChangesNothing) {
    const ConfiguredHost host("");
    Peer writer = host.attach("writer");
    const SlotRef slot = writer.allocate(100).value();
    std::memset(writer.slot_data(slot)->data(), 7, 100);
    Peer reader = host.attach("reader", read_only);
    const std::uint64_t before = allocations(writer);

    EXPECT_EQ(reader.allocate(100).error(), Errc::read_only);
    EXPECT_EQ(reader.slot_data(slot).error(), Errc::read_only);
    const auto publisher = reader.publisher("c");
    ASSERT_FALSE(publisher);
    EXPECT_EQ(publisher.error().code, Errc::read_only);
    EXPECT_THAT(publisher.error().message, HasSubstr("attach without read_only"));
    EXPECT_EQ(allocations(writer), before);

    const auto bytes = reader.read_slot(slot);
    ASSERT_TRUE(bytes);
    EXPECT_EQ((*bytes)[99], std::byte{7});
    EXPECT_TRUE(reader.free(slot)) << "who got a raw slot ends it";
}

TEST(ReadOnlyPeer, DiesWhenItWritesIntoAMessage) {
    const ConfiguredHost host("");
    Peer writer = host.attach("writer");
    auto publisher = writer.publisher("c").value();
    Child forger([&] {
        ::signal(SIGSEGV, SIG_DFL);
        Peer reader = host.attach_in_child("reader", read_only);
        auto subscriber = reader.subscriber("c").value();
        const auto sample = subscriber.take(std::chrono::seconds(30));
        if (!sample) ::_exit(1);
        *const_cast<std::byte*>(sample->data()) = std::byte{1};
        ::_exit(2);
    });
    ASSERT_TRUE(publisher.wait_for_readers(1, std::chrono::seconds(30)));
    ASSERT_NO_FATAL_FAILURE(send(publisher, "text"));
    EXPECT_EQ(forger.wait(), 1000 + SIGSEGV);
}

TEST(ReadOnlyPeer, ComesBackToTheNextHostAsWhatItIs) {
    ConfiguredHost host("");
    Peer writer = host.attach("writer");
    Peer reader = host.attach("reader", read_only);
    auto subscriber = reader.subscriber("c").value();
    auto publisher = writer.publisher("c").value();
    host.die_and_return("");
    ASSERT_NO_FATAL_FAILURE(send(publisher, "text"));
    EXPECT_EQ(text_of(*subscriber.take()), "text");
    EXPECT_TRUE(reader.subscriber("d")) << "a request to the next host";
    EXPECT_EQ(reader.publisher("c").error().code, Errc::read_only);
}

/// It has the payload to read only; the next host belongs to the user who made it, and may more.
TEST(ReadOnlyPeer, HandsTheSegmentToTheNextHost) {
    ConfiguredHost host("");
    Peer reader = host.attach("reader", read_only);
    auto subscriber = reader.subscriber("c").value();
    {
        Peer writer = host.attach("writer");
        auto publisher = writer.publisher("c").value();
        ASSERT_NO_FATAL_FAILURE(send(publisher, "before"));
    }
    host.die_and_return("");
    Peer writer = host.attach("writer");
    auto publisher = writer.publisher("c").value();
    ASSERT_NO_FATAL_FAILURE(send(publisher, "after"));
    EXPECT_EQ(text_of(*subscriber.take()), "before");
    EXPECT_EQ(text_of(*subscriber.take(std::chrono::seconds(30))), "after");
}

class ReadOnlyUser : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
        const auto folder = std::filesystem::path(host.host().socket()).parent_path();
        ASSERT_EQ(::chmod(folder.c_str(), 0755), 0);
    }
    /// The word for what came of an attachment as another user.
    std::string attach_as_other(bool only_to_read) {
        return as_user({}, [&] {
            PeerOptions options;
            options.socket_path = host.host().socket();
            options.read_only = only_to_read;
            auto peer = Peer::attach(host.host().pool(), options);
            return peer ? "attached" : peer.error().message;
        });
    }

    ConfiguredHost host{
        "[access]\nsocket_mode = \"0666\"\n[access.attach_read_only]\nallow_users = [65534]\n"};
};

TEST_F(ReadOnlyUser, MayAttachReadOnlyAndIsToldSo) {
    EXPECT_EQ(attach_as_other(read_only), "attached");
    EXPECT_THAT(attach_as_other(!read_only),
                AllOf(HasSubstr("user 65534 may not attach"), HasSubstr("may attach read-only")));
}

TEST_F(ReadOnlyUser, ReadsWhatAnotherUserWrites) {
    // In a process of its own: this one is forked again below, and must have no threads.
    const Child writer([this] {
        Peer peer = host.attach("writer");
        auto publisher = peer.publisher("c").value();
        EXPECT_TRUE(publisher.wait_for_readers(1, std::chrono::seconds(30)));
        send(publisher, "text");
    });
    EXPECT_EQ(as_user({},
                      [&] {
                          PeerOptions options;
                          options.socket_path = host.host().socket();
                          options.read_only = true;
                          Peer peer = Peer::attach(host.host().pool(), options).value();
                          auto subscriber = peer.subscriber("c").value();
                          return text_of(subscriber.take(std::chrono::seconds(30)).value());
                      }),
              "text");
}

}  // namespace
}  // namespace shmpool
