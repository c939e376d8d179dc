// SPDX-License-Identifier: Apache-2.0
/// Goal: whoever asks a real shmpoold for a large heap keeps nobody else waiting, and leaves
/// nothing behind when he goes before it is done. Method: connections that do not wait for their
/// answers, and the order in which answers come.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>

#include "protocol/wire/presence_mark.hpp"
#include "tests/host/daemon.hpp"
#include "tests/host/plain_peer.hpp"

namespace shmpool::test {
namespace {

constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t all_bytes = 512 * mib;  // More than a hundred pieces.

Deadline soon() {
    return Deadline::after(std::chrono::seconds(30));
}

void send(LocalConnection& connection, const wire::Body& request, std::uint32_t id = 7) {
    EXPECT_TRUE(connection.send(wire::encode(request, id), {}, soon()));
}

bool has_heard(LocalConnection& connection) {
    auto received = connection.try_receive();
    EXPECT_TRUE(received);
    return received && received->has_value();
}

wire::CreateHeap creation(const char* name, std::uint64_t bytes, std::uint64_t ticket,
                          std::uint64_t max_bytes = 0) {
    wire::CreateHeap request{};
    request.name = *wire::Text<name_bytes>::of(name);
    request.kind = static_cast<std::uint32_t>(HeapKind::tlsf);
    request.bytes = bytes;
    request.max_bytes = max_bytes;
    request.ticket = ticket;
    request.map_alignment = page_bytes;
    request.bytes_per_page = page_bytes;
    request.block_bytes = 64;
    return request;
}

/// Refused, at once.
const wire::Body small_request = wire::ClosePublisher{0xFFFF'FFFF};

/// How many answers another one gets before this one gets his.
unsigned answers_before(LocalConnection& waiting, LocalConnection& other) {
    for (unsigned answers = 0;; ++answers) {
        (void)expect<wire::Refused>(ask(other, small_request));
        if (has_heard(waiting)) return answers;
    }
}

/// A turn of the host's loop serves up to eight messages of a connection.
constexpr unsigned in_few_turns = 32;

class DaemonHeaps : public testing::Test {
protected:
    DaemonHeaps() {
        setup.config = "[takeover]\npatience = \"30s\"\n\n[limits]\nheap_bytes = \"512MiB\"\n";
        daemon = std::make_unique<Daemon>(directory, setup);
    }
    void SetUp() override { ASSERT_TRUE(daemon->becomes_ready()) << daemon->log(); }

    static HeapState state_of(const PlainPeer& peer, std::uint32_t index) {
        return static_cast<HeapState>(
            peer.view.heaps.at(index).state.load(std::memory_order_acquire));  // [A-heaps]
    }
    static void wait_until_it_is_being_made(const PlainPeer& looking) {
        ASSERT_TRUE(eventually([&] { return state_of(looking, 0) == HeapState::creating; }));
    }

    const TemporaryDirectory directory;
    DaemonSetup setup;
    std::unique_ptr<Daemon> daemon;
};

TEST_F(DaemonHeaps, KeepNobodyWaitingWhileTheyAreMadeGrownAndDestroyed) {
    PlainPeer asking(daemon->socket());
    PlainPeer other(daemon->socket());
    send(asking.connection, creation("large", all_bytes / 2, 1, all_bytes));
    EXPECT_GT(answers_before(asking.connection, other.connection), in_few_turns);
    const auto& image = other.view.heaps.at(0);
    ASSERT_EQ(state_of(other, 0), HeapState::open);
    send(asking.connection, wire::GrowHeap{0, image.incarnation, all_bytes});
    EXPECT_GT(answers_before(asking.connection, other.connection), in_few_turns);
    EXPECT_EQ(image.committed_bytes, all_bytes);
    send(asking.connection, wire::DestroyHeap{0, image.incarnation});
    EXPECT_GT(answers_before(asking.connection, other.connection), in_few_turns);
    EXPECT_EQ(state_of(other, 0), HeapState::empty);
}

/// What can not be cut into pieces.
TEST_F(DaemonHeaps, AreBuiltOnAThreadOfTheirOwn) {
    const auto builders = [&] { return std::ranges::count(daemon->threads(), "shmpoold-heaps"); };
    EXPECT_EQ(builders(), 0) << "nobody needs it yet";
    PlainPeer peer(daemon->socket());
    (void)expect<wire::HeapCreated>(ask(peer.connection, creation("first", mib, 1, 2 * mib)));
    EXPECT_EQ(builders(), 1);
    const auto incarnation = peer.view.heaps.at(0).incarnation.load();
    (void)expect<wire::HeapGrown>(ask(peer.connection, wire::GrowHeap{0, incarnation, 2 * mib}));
    EXPECT_EQ(builders(), 1);
}

/// Nobody is attached, so there is nothing else that the host's loop would wake up for.
TEST_F(DaemonHeaps, AreGivenToWhoWaitsAsSoonAsTheyAreBuilt) {
    PlainObserver alone(daemon->socket());
    (void)expect<wire::HeapCreated>(ask(alone.connection, creation("first", mib, 1)));
}

TEST_F(DaemonHeaps, AreTakenBackWhenNobodyWaitsForThemAnyMore) {
    PlainPeer other(daemon->socket());
    {
        PlainPeer asking(daemon->socket());
        send(asking.connection, creation("large", all_bytes, 1));
        wait_until_it_is_being_made(other);
    }
    EXPECT_TRUE(daemon->logs("has hung up on 1 requests about heaps"));
    (void)expect<wire::HeapCreated>(ask(other.connection, creation("large", all_bytes, 2)));
    EXPECT_EQ(daemon->log().find("was created by pid"), daemon->log().rfind("was created by pid"))
        << "once";
}

TEST_F(DaemonHeaps, AreGivenToAllWhoWaitWithTheSameTicket) {
    PlainPeer other(daemon->socket());
    auto first = std::make_unique<PlainPeer>(daemon->socket());
    send(first->connection, creation("large", all_bytes, 9));
    wait_until_it_is_being_made(other);
    PlainPeer second(daemon->socket());
    PlainPeer third(daemon->socket());
    send(second.connection, creation("large", all_bytes, 9));
    send(third.connection, creation("large", all_bytes, 9));
    const auto refused =
        expect<wire::Refused>(ask(other.connection, creation("large", all_bytes, 10)));
    EXPECT_EQ(refused.code, static_cast<std::uint32_t>(Errc::name_taken));
    first.reset();
    const auto created = expect<wire::HeapCreated>(next_message(second.connection));
    EXPECT_EQ(expect<wire::HeapCreated>(next_message(third.connection)).incarnation,
              created.incarnation);
    EXPECT_EQ(state_of(other, created.heap_index), HeapState::open);
}

TEST_F(DaemonHeaps, AreOpenedByWhoComesWhileTheyAreMade) {
    PlainPeer asking(daemon->socket());
    PlainPeer other(daemon->socket());
    send(asking.connection, creation("large", all_bytes, 1));
    wait_until_it_is_being_made(other);
    const auto taken = expect<wire::Refused>(ask(other.connection, creation("large", 100, 2)));
    EXPECT_EQ(taken.code, static_cast<std::uint32_t>(Errc::name_taken));
    const wire::OpenHeap open{*wire::Text<name_bytes>::of("large")};
    const auto opened = expect<wire::HeapOpened>(ask(other.connection, open));
    const auto created = expect<wire::HeapCreated>(next_message(asking.connection));
    EXPECT_EQ(opened.heap_index, created.heap_index);
    EXPECT_EQ(opened.incarnation, created.incarnation);
    const auto in_use = expect<wire::Refused>(
        ask(asking.connection, wire::DestroyHeap{created.heap_index, created.incarnation}));
    EXPECT_EQ(in_use.code, static_cast<std::uint32_t>(Errc::heap_in_use)) << "the other has it";
}

TEST_F(DaemonHeaps, AreMadeForWhoWaitsToOpenThemThoughTheAskerHasGone) {
    PlainPeer other(daemon->socket());
    PlainPeer looking(daemon->socket());
    auto asking = std::make_unique<PlainPeer>(daemon->socket());
    send(asking->connection, creation("large", all_bytes, 1));
    wait_until_it_is_being_made(looking);
    send(other.connection, wire::OpenHeap{*wire::Text<name_bytes>::of("large")});
    (void)expect<wire::Refused>(ask(looking.connection, wire::ClosePublisher{0xFFFF}));
    asking.reset();
    (void)expect<wire::HeapOpened>(next_message(other.connection));
}

TEST_F(DaemonHeaps, AreNotAskedForByOneConnectionWithoutEnd) {
    PlainPeer asking(daemon->socket());
    for (std::uint32_t id = 100; id < 116; ++id) {
        send(asking.connection, creation("large", all_bytes, 9), id);
    }
    const auto refused =
        expect<wire::Refused>(ask(asking.connection, creation("large", all_bytes, 9)));
    EXPECT_EQ(refused.code, static_cast<std::uint32_t>(Errc::would_block));
    for (std::uint32_t id = 100; id < 116; ++id) {
        const auto received = asking.connection.receive(soon());
        ASSERT_TRUE(received);
        const auto answer = wire::decode(received->packet.bytes(), 0);
        EXPECT_EQ(answer->request_id, id) << "each under the number of its request";
        (void)expect<wire::HeapCreated>(answer->body);
    }
}

TEST_F(DaemonHeaps, DoNotKeepTheHostFromItsEnd) {
    PlainObserver asking(daemon->socket());
    send(asking.connection, creation("large", all_bytes, 1));
    daemon->signal(SIGTERM);
    EXPECT_EQ(daemon->wait(), 0);
    EXPECT_TRUE(is_closed_by_host(asking.connection));
}

TEST_F(DaemonHeaps, EndWithThePoolThatIsMadeAnew) {
    PlainPeer asking(daemon->socket());
    send(asking.connection, creation("large", all_bytes, 1));
    wait_until_it_is_being_made(asking);
    PlainObserver people(daemon->socket());
    (void)expect<wire::Rebuilt>(ask(people.connection, wire::Rebuild{}));
    EXPECT_TRUE(is_closed_by_host(asking.connection));
    PlainPeer next(daemon->socket());
    (void)expect<wire::HeapCreated>(ask(next.connection, creation("large", all_bytes, 1)));
}

TEST_F(DaemonHeaps, OfAHostThatDiesAreMadeByTheNextOneWhenAskedForAgain) {
    PlainPeer asking(daemon->socket());
    const Descriptor mark = mark_presence(daemon->socket());
    send(asking.connection, creation("large", all_bytes, 1));
    wait_until_it_is_being_made(asking);
    daemon->signal(SIGKILL);
    daemon->wait();
    ASSERT_EQ(state_of(asking, 0), HeapState::creating);
    const std::uint32_t first_incarnation = asking.view.heaps.at(0).incarnation;
    daemon = std::make_unique<Daemon>(directory, setup);
    ASSERT_TRUE(eventually([&] {
        return LocalConnection::connect(daemon->socket(), Deadline::passed()).has_value();
    }));
    (void)expect<wire::Rejoined>(asking.rejoin(daemon->socket(), asking.rejoin_request()));
    const auto created =
        expect<wire::HeapCreated>(ask(asking.connection, creation("large", all_bytes, 1)));
    EXPECT_EQ(created.incarnation, first_incarnation + 1) << "the first one was taken back";
    EXPECT_EQ(state_of(asking, created.heap_index), HeapState::open);
}

}  // namespace
}  // namespace shmpool::test
