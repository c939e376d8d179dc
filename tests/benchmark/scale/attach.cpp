// SPDX-License-Identifier: Apache-2.0
/// What the size of a segment costs: scale_attach CLASS..., each of which is a --class of a host of
/// its own. How long a host takes from its fork to READY, which systemd would hear, and how long
/// fresh processes take to attach, one after another and to each host in turn: single-threaded
/// ones, and such with the peer's control thread. All stay attached until the last has come, so
/// that nobody who leaves at once slows those behind him. Prints milliseconds for each host as
/// JSON, of attaching the median.
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <vector>

#include "peer/peer.hpp"
#include "shmpool/platform/descriptor.hpp"
#include "shmpool/platform/futex.hpp"
#include "shmpool/platform/monotonic_clock.hpp"
#include "tests/peer/running_host.hpp"
#include "tests/protocol/child_process.hpp"
#include "tests/shmpool/platform/temporary_directory.hpp"

namespace shmpool::contest {
namespace {

using testing_protocol::SharedWithChildren;

constexpr std::size_t attaches = 100;

double ms_between(std::uint64_t begin_ns, std::uint64_t end_ns) {
    return static_cast<double>(end_ns - begin_ns) * 1e-6;
}

/// Where a host says that it is ready, as it does to systemd.
class ServiceManager {
public:
    ServiceManager() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        const std::string path = directory_.file("notify");
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof(address.sun_path) - 1);
        if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address))) {
            throw std::runtime_error("bind");
        }
        ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
    }
    ~ServiceManager() { ::unsetenv("NOTIFY_SOCKET"); }
    ServiceManager(const ServiceManager&) = delete;
    ServiceManager& operator=(const ServiceManager&) = delete;

    [[nodiscard]] std::uint64_t ready_at_ns() const {
        constexpr std::string_view ready = "READY=1";
        std::array<char, 1024> said{};
        while (::recv(socket_.get(), said.data(), said.size(), 0) > 0) {
            if (std::string_view(said.data(), ready.size()) == ready) return monotonic_ns();
        }
        throw std::runtime_error("nobody says that the host is ready");
    }

private:
    test::TemporaryDirectory directory_;
    Descriptor socket_;
};

struct Contestant {
    std::unique_ptr<RunningHost> host;
    double ready_ms = 0;
    std::vector<double> attach_ms;
    std::vector<double> attach_with_thread_ms;
};

Contestant start_host(const std::string& size_class, std::size_t number) {
    const ServiceManager manager;
    std::uint64_t ready_ns = 0;
    std::thread listener([&] { ready_ns = manager.ready_at_ns(); });
    const std::uint64_t begin_ns = monotonic_ns();
    auto host = std::make_unique<RunningHost>(
        std::vector<std::string>{"--class", size_class, "--config", SHMPOOL_SCALE_CONFIG},
        "contest" + std::to_string(number));
    listener.join();  // Behind this the program has one thread again, as its children have.
    return {std::move(host), ms_between(begin_ns, ready_ns), {}, {}};
}

struct Stage {
    std::atomic<double> last_ms{0};
    std::atomic<std::size_t> attached{0};
    Atomic<std::uint32_t> over{0};
};

void play_peer(const std::string& pool, bool control_thread, Stage& stage) {
    PeerOptions options;
    options.control_thread = control_thread;
    const std::uint64_t begin_ns = monotonic_ns();
    const auto peer = Peer::attach(pool, options);
    const std::uint64_t end_ns = monotonic_ns();
    if (!peer) {
        std::fprintf(stderr, "%s\n", peer.error().message.c_str());
        _exit(1);
    }
    stage.last_ms = ms_between(begin_ns, end_ns);
    stage.attached += 1;
    while (stage.over == 0) futex_wait(stage.over, 0, std::chrono::nanoseconds::max());
}

void attach_to_all(std::vector<Contestant>& contestants, bool control_thread) {
    const SharedWithChildren<Stage> stage;
    std::vector<std::unique_ptr<Child>> peers;
    for (std::size_t i = 0; i < attaches; ++i) {
        for (Contestant& one : contestants) {
            peers.push_back(std::make_unique<Child>(
                [&] { play_peer(one.host->pool(), control_thread, *stage); }));
            if (!eventually([&] { return stage->attached == peers.size(); })) {
                throw std::runtime_error("a peer does not attach");
            }
            (control_thread ? one.attach_with_thread_ms : one.attach_ms).push_back(stage->last_ms);
        }
    }
    stage->over = 1;
    futex_wake(stage->over, static_cast<int>(peers.size()));
    for (const auto& one : peers) one->wait();
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

}  // namespace
}  // namespace shmpool::contest

int main(int argument_count, char** arguments) {
    using namespace shmpool::contest;
    std::vector<Contestant> contestants;
    for (int i = 1; i < argument_count; ++i) {
        contestants.push_back(start_host(arguments[i], contestants.size()));
    }
    attach_to_all(contestants, false);
    attach_to_all(contestants, true);
    std::string all;
    for (const Contestant& one : contestants) {
        all += (all.empty() ? "{\"ready_ms\": " : ", {\"ready_ms\": ") +
               std::to_string(one.ready_ms) +
               ", \"attach_ms\": " + std::to_string(median(one.attach_ms)) +
               ", \"attach_with_thread_ms\": " + std::to_string(median(one.attach_with_thread_ms)) +
               "}";
    }
    std::printf("[%s]\n", all.c_str());
    return 0;
}
