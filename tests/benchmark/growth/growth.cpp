// SPDX-License-Identifier: Apache-2.0
/// What it costs a size class to grow by 64 MiB: growth_step STEPS BUSY. So many steps of a fresh
/// host's class, and beside each the kernel's fallocate of 64 MiB of a new memfd, at once and in
/// pieces as the host takes it, in turns first. With BUSY 1 messages flow meanwhile through the
/// class that grows and another: one every 0.1 ms, from one process to another. Then the class
/// shrinks again. Prints JSON: milliseconds of all steps and of what fallocate took beside each,
/// messages sent and lost, how much payload there was before, with all steps, and after (MiB, by
/// the kernel's count of the host's memory).
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "peer/peer.hpp"
#include "protocol/memory_pieces.hpp"
#include "shmpool/platform/descriptor.hpp"
#include "shmpool/platform/monotonic_clock.hpp"
#include "tests/peer/running_host.hpp"
#include "tests/protocol/child_process.hpp"

namespace shmpool::contest {
namespace {

using namespace std::chrono_literals;
using testing_protocol::SharedWithChildren;

constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t step_bytes = 64 * mib;
constexpr std::uint64_t slot_bytes = 64 * 1024;
constexpr std::uint32_t step_slots = step_bytes / slot_bytes;

template <typename Thing>
Thing need(Result<Thing> made) {
    if (!made) throw std::runtime_error(made.error().message);
    return std::move(*made);
}

// --- traffic -------------------------------------------------------------------------------------

struct Traffic {
    std::atomic<bool> reading{false};
    std::atomic<bool> over{false};
    std::atomic<std::uint64_t> sent{0};
    std::atomic<std::uint64_t> taken{0};  ///< In order, without a gap.
};

void write_messages(const std::string& pool, Traffic& traffic) {
    auto peer = need(Peer::attach(pool));
    PublisherOptions blocking;
    blocking.policy = ChannelPolicy::block;
    auto writer = need(peer.publisher("traffic", blocking));
    if (!writer.wait_for_readers(1, 10s)) _exit(1);
    for (std::uint64_t i = 0; !traffic.over; ++i) {
        auto loan = writer.loan(i % 7 == 0 ? slot_bytes - 4096 : 600, 10s);
        if (!loan) _exit(1);
        std::memcpy(loan->data(), &i, sizeof(i));
        if (!writer.publish(std::move(*loan), 10s)) _exit(1);
        traffic.sent = i + 1;
        std::this_thread::sleep_for(100us);
    }
}

void read_messages(const std::string& pool, Traffic& traffic) {
    auto peer = need(Peer::attach(pool));
    SubscriberOptions options;
    options.depth = 64;
    auto reader = need(peer.subscriber("traffic", options));
    traffic.reading = true;
    for (std::uint64_t expected = 0;;) {
        const auto sample = reader.take(10s);
        if (!sample) return;  // Ended.
        std::uint64_t number = 0;
        std::memcpy(&number, sample->data(), sizeof(number));
        if (number == expected) traffic.taken = ++expected;
    }
}

// --- measuring -----------------------------------------------------------------------------------

/// Of the host's memory; 0 if the kernel does not show it.
std::uint64_t payload_mib(pid_t host) {
    const std::string descriptors = "/proc/" + std::to_string(host) + "/fd";
    for (const auto& one : std::filesystem::directory_iterator(descriptors)) {
        std::error_code gone;
        const auto target = std::filesystem::read_symlink(one.path(), gone);
        if (target.string().find("shmpool-payload") == std::string::npos) continue;
        struct stat status {};
        if (::stat(one.path().c_str(), &status) != 0) continue;
        return static_cast<std::uint64_t>(status.st_blocks) * 512 / mib;
    }
    return 0;
}

template <typename Act>
double ms_of(Act&& act) {
    const std::uint64_t begin_ns = monotonic_ns();
    act();
    return static_cast<double>(monotonic_ns() - begin_ns) * 1e-6;
}

/// Of memory that is `kept`, as the pool keeps its own: pages that were just given back are
/// cheaper.
double ms_of_fallocate(std::vector<Descriptor>& kept, std::uint64_t piece_bytes) {
    const Descriptor& memory = kept.emplace_back(::memfd_create("contest", MFD_CLOEXEC));
    if (::ftruncate(memory.get(), step_bytes) != 0) throw std::runtime_error("ftruncate");
    return ms_of([&] {
        for (std::uint64_t at = 0; at < step_bytes; at += piece_bytes) {
            const auto offset = static_cast<off_t>(at);
            if (::fallocate(memory.get(), 0, offset, static_cast<off_t>(piece_bytes)) != 0) {
                throw std::runtime_error("fallocate");
            }
        }
    });
}

void print(const char* name, const std::vector<double>& values) {
    std::printf("\"%s\": [", name);
    for (std::size_t i = 0; i < values.size(); ++i) {
        std::printf("%s%.4f", i == 0 ? "" : ", ", values[i]);
    }
    std::printf("], ");
}

void grow_in_steps(Peer& peer, int steps) {
    std::array<std::vector<double>, 3> times_ms;
    std::vector<Descriptor> kept;
    for (int i = 0; i < steps; ++i) {
        for (int turn = i; turn < i + 3; ++turn) {
            std::vector<double>& times = times_ms[static_cast<std::size_t>(turn % 3)];
            switch (turn % 3) {
                case 0:
                    times.push_back(ms_of([&] { need(peer.grow_class(slot_bytes, step_slots)); }));
                    break;
                case 1: times.push_back(ms_of_fallocate(kept, step_bytes)); break;
                default: times.push_back(ms_of_fallocate(kept, memory_piece_bytes));
            }
        }
    }
    print("grow_ms", times_ms[0]);
    print("fallocate_ms", times_ms[1]);
    print("pieces_ms", times_ms[2]);
}

void run(int steps, bool busy) {
    const std::uint32_t first_slots = 256;
    const std::uint32_t limit = first_slots + static_cast<std::uint32_t>(steps) * step_slots;
    const RunningHost host({"--class", "1KiB:1024", "--class",
                            "64KiB:" + std::to_string(first_slots) + ":" + std::to_string(limit)});
    const SharedWithChildren<Traffic> traffic;
    std::optional<Child> reader;
    std::optional<Child> writer;
    if (busy) {
        reader.emplace([&] { read_messages(host.pool(), *traffic); });
        writer.emplace([&] { write_messages(host.pool(), *traffic); });
        if (!eventually([&] { return traffic->taken > 100; })) throw std::runtime_error("traffic");
    }
    auto peer = need(Peer::attach(host.pool()));
    const std::uint64_t before = payload_mib(host.pid());
    std::printf("{");
    grow_in_steps(peer, steps);
    const std::uint64_t grown = payload_mib(host.pid());
    traffic->over = true;
    if (busy && (writer->wait() != 0 || reader->wait() != 0)) throw std::runtime_error("traffic");
    need(peer.shrink_class(slot_bytes));
    std::printf("\"sent\": %llu, \"lost\": %llu, ",
                static_cast<unsigned long long>(traffic->sent.load()),
                static_cast<unsigned long long>(traffic->sent - traffic->taken));
    std::printf("\"payload_mib\": [%llu, %llu, %llu]}\n", static_cast<unsigned long long>(before),
                static_cast<unsigned long long>(grown),
                static_cast<unsigned long long>(payload_mib(host.pid())));
}

}  // namespace
}  // namespace shmpool::contest

int main(int argument_count, char** arguments) {
    if (argument_count != 3) return 2;
    shmpool::contest::run(std::atoi(arguments[1]), std::atoi(arguments[2]) != 0);
    return 0;
}
