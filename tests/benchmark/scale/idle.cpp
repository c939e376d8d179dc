// SPDX-License-Identifier: Apache-2.0
/// What idle peers cost: scale_idle MILLISECONDS PEERS..., for each of which there is a host to
/// which so many processes attach that use the pool once and then sleep. First all hosts are
/// watched for so long; then one more peer of each works beside them, by turns. Prints JSON for
/// each: its share of one processor in per cent, how often its threads slept and woke in a second,
/// nanoseconds for a slot taken and given back and for a message sent and taken, microseconds for a
/// request to the host; of the last three the median.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "peer/peer.hpp"
#include "shmpool/platform/monotonic_clock.hpp"
#include "tests/benchmark/alloc/workloads.hpp"
#include "tests/peer/running_host.hpp"
#include "tests/protocol/child_process.hpp"

namespace shmpool::contest {
namespace {

using testing_protocol::SharedWithChildren;

template <typename Thing>
Thing need(Result<Thing> made) {
    if (!made) throw std::runtime_error(made.error().message);
    return std::move(*made);
}

[[noreturn]] void be_idle(const std::string& pool, std::atomic<int>& ready) {
    auto peer = need(Peer::attach(pool));
    const auto slot = peer.allocate(block_bytes);
    if (!slot || !peer.free(*slot)) _exit(1);
    ready += 1;
    for (;;) ::pause();
}

/// Of all threads of a process.
struct Activity {
    std::uint64_t running_ns = 0;
    std::uint64_t sleeps = 0;
};

Activity activity_of(pid_t pid) {
    Activity sum;
    const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
    for (const auto& task : std::filesystem::directory_iterator(tasks)) {
        std::uint64_t running_ns = 0;
        std::ifstream(task.path() / "schedstat") >> running_ns;
        sum.running_ns += running_ns;
        std::ifstream status(task.path() / "status");
        for (std::string word; status >> word;) {
            std::uint64_t sleeps = 0;
            if (word == "voluntary_ctxt_switches:" && status >> sleeps) sum.sleeps += sleeps;
        }
    }
    return sum;
}

struct Contestant {
    std::unique_ptr<RunningHost> host;
    std::vector<std::unique_ptr<Child>> idle;
    Activity before;
    double host_percent = 0;
    double host_wakes = 0;
    std::optional<Peer> peer;
    std::optional<Subscriber> reader;
    std::optional<Publisher> writer;
    std::vector<double> slot_ns;
    std::vector<double> message_ns;
    std::vector<double> request_us;
};

Contestant contestant_of(int peers, std::size_t number) {
    Contestant one;
    one.host = std::make_unique<RunningHost>(
        std::vector<std::string>{"--class", "1KiB:65536", "--config", SHMPOOL_SCALE_CONFIG},
        "contest" + std::to_string(number));
    const testing_protocol::SharedWithChildren<std::atomic<int>> ready;
    for (int i = 0; i < peers; ++i) {
        one.idle.push_back(std::make_unique<Child>([&] { be_idle(one.host->pool(), *ready); }));
    }
    if (!eventually([&] { return *ready == peers; })) {
        throw std::runtime_error("not all peers are there");
    }
    return one;
}

void watch(std::vector<Contestant>& all, std::chrono::milliseconds duration) {
    std::this_thread::sleep_for(std::chrono::seconds(1));  // What came with the peers is over.
    for (Contestant& one : all) one.before = activity_of(one.host->pid());
    const std::uint64_t begin_ns = monotonic_ns();
    std::this_thread::sleep_for(duration);
    for (Contestant& one : all) {
        const Activity now = activity_of(one.host->pid());
        const auto passed_ns = static_cast<double>(monotonic_ns() - begin_ns);
        one.host_percent =
            static_cast<double>(now.running_ns - one.before.running_ns) / passed_ns * 100;
        one.host_wakes = static_cast<double>(now.sleeps - one.before.sleeps) / passed_ns * 1e9;
    }
}

template <typename Act>
double ns_of(int times, Act act) {
    const std::uint64_t begin_ns = monotonic_ns();
    for (int i = 0; i < times; ++i) act();
    return static_cast<double>(monotonic_ns() - begin_ns) / times;
}

/// One turn of it.
void let_work(Contestant& one) {
    constexpr int slots = 8192;
    constexpr int messages = 2048;
    one.slot_ns.push_back(
        ns_of(slots, [&] { (void)one.peer->free(*one.peer->allocate(block_bytes)); }));
    one.message_ns.push_back(ns_of(messages, [&] {
        auto loan = *one.writer->loan(block_bytes);
        touch(loan.data());
        (void)one.writer->publish(std::move(loan));
        (void)one.reader->take();
    }));
    one.request_us.push_back(1e-3 * ns_of(1, [&] { (void)need(one.peer->publisher("asked")); }));
}

void let_all_work(std::vector<Contestant>& all) {
    constexpr int turns = 201;
    SubscriberOptions polls;
    polls.may_sleep = false;
    for (Contestant& one : all) {
        one.peer = need(Peer::attach(one.host->pool()));
        one.reader = need(one.peer->subscriber("work", polls));
        one.writer = need(one.peer->publisher("work"));
    }
    for (int turn = 0; turn < turns; ++turn) {
        for (Contestant& one : all) let_work(one);
    }
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

void print(const Contestant& one) {
    std::printf("{\"host_percent\": %.4f, \"host_wakes\": %.2f, \"slot_ns\": %.3f, ",
                one.host_percent, one.host_wakes, median(one.slot_ns));
    std::printf("\"message_ns\": %.3f, \"request_us\": %.3f}", median(one.message_ns),
                median(one.request_us));
}

}  // namespace
}  // namespace shmpool::contest

int main(int argument_count, char** arguments) {
    using namespace shmpool::contest;
    if (argument_count < 3) return 2;
    std::vector<Contestant> all;
    for (int i = 2; i < argument_count; ++i) {
        all.push_back(contestant_of(std::atoi(arguments[i]), all.size()));
    }
    watch(all, std::chrono::milliseconds(std::atoi(arguments[1])));
    let_all_work(all);
    const char* before = "[";
    for (const Contestant& one : all) {
        std::printf("%s", std::exchange(before, ", "));
        print(one);
    }
    std::printf("]\n");
    return 0;
}
