// SPDX-License-Identifier: Apache-2.0
/// What bad clients of the control socket cost an honest one: the time from its request to the
/// host's answer, alone, and beside clients that are silent, that flood the host with nonsense on
/// ever new connections, that attach and hang up, that are attached and ask for more than they
/// read, that send descriptors whose close waits, that create and destroy heaps of 1 GiB, or let
/// them grow to that, and that let a class of a million slots grow and shrink, or ask for slots
/// that they do not need.
/// Beside four busy processes everybody waits for a processor, so there is a row for four that only
/// compute.
#include <benchmark/benchmark.h>
#include <sys/socket.h>

#include <algorithm>
#include <random>
#include <stdexcept>
#include <thread>

#include "peer/heaps.hpp"
#include "peer/peer.hpp"
#include "protocol/wire/codec.hpp"
#include "protocol/wire/local_socket.hpp"
#include "shmpool/layout/abi_constants.hpp"
#include "shmpool/platform/monotonic_clock.hpp"
#include "shmpool/platform/thread.hpp"
#include "tests/host/plain_peer.hpp"
#include "tests/host/waiting_descriptors.hpp"
#include "tests/peer/running_host.hpp"

namespace shmpool {
namespace {

using namespace std::chrono_literals;

using BadClient = void (*)(const std::string& socket);

LocalConnection connect(const std::string& socket) {
    for (;;) {
        auto connection = LocalConnection::connect(socket, Deadline::after(1s));
        if (connection) return std::move(*connection);
    }
}

/// Never speaks to the host: what any busy process costs others.
[[noreturn]] void compute(const std::string&) {
    for (std::uint64_t i = 0;; ++i) benchmark::DoNotOptimize(i);
}

/// As many as the host keeps, and again whenever it drops them.
[[noreturn]] void be_silent(const std::string& socket) {
    std::vector<LocalConnection> connections;
    for (;;) {
        connections.clear();
        for (int i = 0; i < 200; ++i) connections.push_back(connect(socket));
        std::this_thread::sleep_for(100ms);
    }
}

[[noreturn]] void talk_nonsense(const std::string& socket) {
    const std::array<char, 256> nonsense{};
    for (;;) {
        const LocalConnection connection = connect(socket);
        for (int i = 0; i < 10; ++i) {
            (void)::send(connection.socket().get(), nonsense.data(), nonsense.size(),
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        }
    }
}

/// Ten minutes each, if the host let them: as many in one packet as the kernel takes, and others
/// behind it which nobody reads.
[[noreturn]] void send_what_lingers(const std::string& socket) {
    constexpr std::size_t most_in_one_packet = 253;
    const std::array<std::byte, 200> nonsense{};
    WaitInterrupter interrupter;  // The last reference may be left to us.
    interrupter.begin();
    for (;;) {
        test::LingeringSockets sockets;
        const LocalConnection connection = connect(socket);
        try {
            test::send_with(connection, nonsense, sockets.make(most_in_one_packet));
            test::send_with(connection, nonsense, sockets.make(most_in_one_packet));
        } catch (const std::runtime_error&) {
            continue;  // The host has hung up already.
        }
        std::this_thread::sleep_for(50ms);  // As long as the readers are there, all of them linger.
    }
}

/// What costs the host most of all that anybody can ask, and never waits for it.
[[noreturn]] void attach_and_hang_up(const std::string& socket) {
    const wire::Packet hello = wire::encode(test::honest_hello(), 1);
    for (;;) {
        LocalConnection connection = connect(socket);
        (void)connection.send(hello, {}, Deadline::after(1s));
    }
}

/// The same, but waits until it is attached.
[[noreturn]] void attach_and_leave(const std::string& socket) {
    for (;;) {
        try {
            const test::PlainPeer peer(socket);
        } catch (const std::runtime_error&) {
            continue;  // Refused: its places are not free again yet.
        }
    }
}

/// Attached, asks as fast as it can and never reads an answer, until the host has had enough; then
/// another does the same.
[[noreturn]] void ask_and_not_read(const std::string& socket) {
    wire::ClosePublisher request{};
    request.publisher_index = 0xFFFF;  // Refused, at once.
    const wire::Packet packet = wire::encode(request, 1);
    for (;;) {
        Child client([&] {
            const test::PlainPeer peer(socket);
            while (::send(peer.connection.socket().get(), packet.bytes().data(),
                          packet.bytes().size(), MSG_NOSIGNAL) > 0) {
            }
        });
        client.wait();
    }
}

/// Attached, well-behaved and busy: the host makes and ends 64 rings for each turn.
[[noreturn]] void open_and_close(const std::string&) {
    for (;;) {
        auto peer = Peer::attach("test");
        if (!peer) continue;
        std::vector<Publisher> publishers;
        for (int i = 0; i < 64; ++i) {
            if (auto one = peer->publisher("busy")) publishers.push_back(std::move(*one));
        }
        while (peer->subscriber("busy").has_value()) {
        }
    }
}

/// All the memory that heaps may have, over and over.
[[noreturn]] void create_and_destroy_heaps(const std::string&) {
    HeapSpec spec;
    spec.bytes = 1 << 30;
    for (;;) {
        auto peer = Peer::attach("test");
        while (peer && peer->create_heap("large", spec) && peer->destroy_heap("large")) {
        }
    }
}

/// A table of 1/32 of the heap is copied each time.
[[noreturn]] void let_heaps_grow(const std::string&) {
    HeapSpec spec;
    spec.kind = HeapKind::slab;
    spec.bytes = 1 << 29;
    spec.max_bytes = 1 << 30;
    for (;;) {
        auto peer = Peer::attach("test");
        while (peer && peer->create_heap("growing", spec) &&
               peer->grow_heap("growing", spec.max_bytes) && peer->destroy_heap("growing")) {
        }
    }
}

constexpr std::uint64_t many_slots_bytes = 64;
constexpr std::uint32_t many_slots = 1'000'000;

/// A class whose list is in another order than its slots are in memory, so that to look through it
/// takes as long as it can. In a thread that ends, and leaves none of them in its cache.
void grow_and_shuffle(Peer& peer) {
    std::thread([&] {
        (void)peer.grow_class(many_slots_bytes, many_slots);
        std::vector<SlotRef> all;
        for (std::uint32_t i = 0; i < many_slots; ++i) {
            if (const auto ref = peer.allocate(many_slots_bytes)) all.push_back(*ref);
        }
        std::shuffle(all.begin(), all.end(), std::minstd_rand(1));
        for (const SlotRef& ref : all) (void)peer.free(ref);
    }).join();
}

/// The list is looked through to its end each time, and comes back each time.
[[noreturn]] void let_a_class_grow_and_shrink(const std::string&) {
    for (;;) {
        auto peer = Peer::attach("test");
        while (peer && peer->shrink_class(many_slots_bytes) &&
               peer->grow_class(many_slots_bytes, 1)) {
        }
    }
}

/// Says again and again that there is no slot left, as only a bad client does that has enough,
/// until there may be no more; then gives them back.
[[noreturn]] void ask_for_relief(const std::string& socket) {
    constexpr std::uint32_t all_that_may_be = ~0U;
    const wire::RelieveClass relief{many_slots_bytes, all_that_may_be, 0};
    for (;;) {
        try {
            test::PlainPeer peer(socket);
            for (;;) {
                while (
                    std::holds_alternative<wire::ClassGrown>(test::ask(peer.connection, relief))) {
                }
                (void)test::ask(peer.connection, wire::ShrinkClass{many_slots_bytes, 0, 0});
            }
        } catch (const std::runtime_error&) {
            continue;
        }
    }
}

using Step = Result<void> (*)(const std::string& pool, Peer& peer);

Result<void> ask(const std::string&, Peer& peer) {
    return peer.publisher("honest").map([](const Publisher&) {});
}

Result<void> attach(const std::string& pool, Peer&) {
    return Peer::attach(pool).map([](const Peer&) {});
}

/// Which classes it has, and what is done before the others come.
struct Setting {
    std::vector<std::string> arguments{"--class", "1KiB:256", "--class", "64KiB:16"};
    void (*prepare)(Peer& peer) = [](Peer&) {};
};
const Setting usual;
const Setting with_a_growing_class{{"--config", SHMPOOL_CLIENTS_CONFIG}, grow_and_shuffle};

void honest(benchmark::State& state, Step step, BadClient bad_client, int bad_clients,
            const Setting& setting) {
    const RunningHost host(setting.arguments);
    auto peer =
        Peer::attach(host.pool());  // First: the host may refuse more of a bad client's user.
    if (!peer) return state.SkipWithError(peer.error().message.c_str());
    setting.prepare(*peer);
    std::vector<std::unique_ptr<Child>> others;
    for (int i = 0; i < bad_clients; ++i) {
        others.push_back(std::make_unique<Child>([&] { bad_client(host.socket()); }));
    }
    std::this_thread::sleep_for(200ms);
    std::vector<double> all_ms;
    for (auto _ : state) {
        const std::uint64_t begin_ns = monotonic_ns();
        const auto done = step(host.pool(), *peer);
        const std::uint64_t end_ns = monotonic_ns();
        if (!done) return state.SkipWithError(done.error().message.c_str());
        all_ms.push_back(static_cast<double>(end_ns - begin_ns) * 1e-6);
        state.SetIterationTime(all_ms.back() * 1e-3);
    }
    std::ranges::sort(all_ms);
    state.counters["p50_ms"] = all_ms[all_ms.size() / 2];
    state.counters["p99_ms"] = all_ms[all_ms.size() * 99 / 100];
    state.counters["max_ms"] = all_ms.back();
}

void an_honest_request(benchmark::State& state, BadClient bad_client, int bad_clients,
                       const Setting& setting = usual) {
    honest(state, ask, bad_client, bad_clients, setting);
}

void an_honest_attach(benchmark::State& state, BadClient bad_client, int bad_clients) {
    honest(state, attach, bad_client, bad_clients, usual);
}

#define SHMPOOL_BESIDE(step, name, ...)        \
    BENCHMARK_CAPTURE(step, name, __VA_ARGS__) \
        ->Iterations(5000)                     \
        ->UseManualTime()                      \
        ->Unit(benchmark::kMillisecond)
SHMPOOL_BESIDE(an_honest_request, alone, nullptr, 0);
SHMPOOL_BESIDE(an_honest_request, beside_silent_ones, be_silent, 2);
SHMPOOL_BESIDE(an_honest_request, beside_one_that_floods, talk_nonsense, 1);
SHMPOOL_BESIDE(an_honest_request, beside_four_that_flood, talk_nonsense, 4);
SHMPOOL_BESIDE(an_honest_request, beside_one_that_hangs_up, attach_and_hang_up, 1);
SHMPOOL_BESIDE(an_honest_request, beside_four_that_hang_up, attach_and_hang_up, 4);
SHMPOOL_BESIDE(an_honest_request, beside_one_that_attaches_and_leaves, attach_and_leave, 1);
SHMPOOL_BESIDE(an_honest_request, beside_four_that_attach_and_leave, attach_and_leave, 4);
SHMPOOL_BESIDE(an_honest_request, beside_one_that_sends_what_lingers, send_what_lingers, 1);
SHMPOOL_BESIDE(an_honest_request, beside_four_that_send_what_lingers, send_what_lingers, 4);
SHMPOOL_BESIDE(an_honest_request, beside_one_that_opens_and_closes, open_and_close, 1);
SHMPOOL_BESIDE(an_honest_request, beside_four_that_open_and_close, open_and_close, 4);
SHMPOOL_BESIDE(an_honest_request, beside_four_that_compute, compute, 4);
SHMPOOL_BESIDE(an_honest_request, beside_one_that_does_not_read, ask_and_not_read, 1);
SHMPOOL_BESIDE(an_honest_request, beside_four_that_do_not_read, ask_and_not_read, 4);
SHMPOOL_BESIDE(an_honest_request, beside_one_that_creates_heaps, create_and_destroy_heaps, 1);
SHMPOOL_BESIDE(an_honest_request, beside_one_that_lets_heaps_grow, let_heaps_grow, 1);
SHMPOOL_BESIDE(an_honest_request, beside_one_that_lets_a_class_grow_and_shrink,
               let_a_class_grow_and_shrink, 1, with_a_growing_class);
SHMPOOL_BESIDE(an_honest_request, beside_one_that_asks_for_relief, ask_for_relief, 1,
               with_a_growing_class);
SHMPOOL_BESIDE(an_honest_request, beside_four_that_ask_for_relief, ask_for_relief, 4,
               with_a_growing_class);
SHMPOOL_BESIDE(an_honest_attach, alone, nullptr, 0);
SHMPOOL_BESIDE(an_honest_attach, beside_one_that_floods, talk_nonsense, 1);
SHMPOOL_BESIDE(an_honest_attach, beside_four_that_flood, talk_nonsense, 4);
SHMPOOL_BESIDE(an_honest_attach, beside_one_that_hangs_up, attach_and_hang_up, 1);
SHMPOOL_BESIDE(an_honest_attach, beside_four_that_hang_up, attach_and_hang_up, 4);
SHMPOOL_BESIDE(an_honest_attach, beside_one_that_attaches_and_leaves, attach_and_leave, 1);
SHMPOOL_BESIDE(an_honest_attach, beside_four_that_attach_and_leave, attach_and_leave, 4);
SHMPOOL_BESIDE(an_honest_attach, beside_four_that_compute, compute, 4);

}  // namespace
}  // namespace shmpool

BENCHMARK_MAIN();
