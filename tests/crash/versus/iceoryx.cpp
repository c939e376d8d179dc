// SPDX-License-Identifier: Apache-2.0
/// iceoryx with its daemon RouDi, which watches its processes (monitoring on, as by default) and
/// takes back what a dead one had. A process is removed when it has been silent for 1.5 seconds.
#include <iceoryx_hoofs/log/logmanager.hpp>
#include <iceoryx_posh/popo/untyped_publisher.hpp>
#include <iceoryx_posh/popo/untyped_subscriber.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>
#include <iceoryx_versions.hpp>

#include <fcntl.h>

#include <algorithm>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "contest.hpp"
#include "report.hpp"
#include "tests/protocol/child_process.hpp"

namespace shmpool::versus {
namespace {

using namespace std::chrono_literals;
using iox::popo::UntypedPublisher;
using iox::popo::UntypedSubscriber;

/// A publisher can have 8 loans: so many of them can take everything.
constexpr std::uint32_t publishers_for_all = slots_wanted / 8 + 1;

iox::capro::ServiceDescription topic(const char* name) {
    return {"versus", {iox::cxx::TruncateToCapacity, name}, "event"};
}
/// Whoever may be killed reads it; the survivor writes.
iox::capro::ServiceDescription roll_call() {
    return topic("roll-call");
}
/// From the sender to the reader.
iox::capro::ServiceDescription stream() {
    return topic("stream");
}

/// What everything of this contest is called that lies in the file system.
std::string prefix_of(pid_t contest) {
    return "shmpool-versus-" + std::to_string(contest);
}

/// In a child of the contest.
void begin_runtime() {
    iox::log::LogManager::GetLogManager().SetDefaultLogLevel(
        iox::log::LogLevel::kOff, iox::log::LogLevelOutput::kHideLogLevel);
    const std::string name = prefix_of(::getppid()) + "-" + std::to_string(::getpid());
    iox::runtime::PoshRuntime::initRuntime({iox::cxx::TruncateToCapacity, name});
}

class IceoryxWorker : public Worker {
public:
    explicit IceoryxWorker(Role role) {
        begin_runtime();
        working_.emplace(topic("work"));
        if (role == Role::survivor) {
            roll_.emplace(roll_call());
            while (for_all_.size() < publishers_for_all) for_all_.emplace_back(topic("all"));
        }
        if (role == Role::victim || role == Role::sender) present_.emplace(roll_call());
        if (role == Role::sender) sending_.emplace(stream());
        if (role == Role::reader) receiving_.emplace(stream());
    }

    void work() override {
        working_->loan(slot_bytes).and_then([&](void* chunk) { working_->release(chunk); });
    }

    std::uint32_t take_all(std::byte filler) override {
        std::set<void*> met;
        std::vector<std::pair<UntypedPublisher*, void*>> taken;
        for (UntypedPublisher& publisher : for_all_) {
            while (void* const chunk = loan(publisher)) {
                std::fill_n(static_cast<std::byte*>(chunk), slot_bytes, filler);
                taken.emplace_back(&publisher, chunk);
                met.insert(chunk);
            }
        }
        for (const auto& [publisher, chunk] : taken) publisher->release(chunk);
        return static_cast<std::uint32_t>(met.size());
    }

    bool sees_another() override { return roll_->hasSubscribers(); }

    void send(std::uint32_t count, std::byte filler) override {
        while (!sending_->hasSubscribers()) std::this_thread::sleep_for(1ms);
        for (std::uint32_t i = 0; i < count; ++i) {
            void* const chunk = loan(*sending_);
            if (chunk == nullptr) throw std::runtime_error("no chunk to send");
            std::fill_n(static_cast<std::byte*>(chunk), slot_bytes, filler);
            sending_->publish(chunk);
        }
    }

    void receive(std::uint32_t count) override {
        while (samples_.size() < count) {
            receiving_->take()
                .and_then([&](const void* sample) { samples_.push_back(sample); })
                .or_else([](auto&) { std::this_thread::sleep_for(1ms); });
        }
    }

    std::uint32_t count_changed(std::byte filler) override {
        return static_cast<std::uint32_t>(std::ranges::count_if(samples_, [&](const void* sample) {
            const auto* const bytes = static_cast<const std::byte*>(sample);
            return std::any_of(bytes, bytes + slot_bytes, [&](std::byte b) { return b != filler; });
        }));
    }

private:
    static void* loan(UntypedPublisher& publisher) {
        void* loaned = nullptr;
        publisher.loan(slot_bytes).and_then([&](void* chunk) { loaned = chunk; });
        return loaned;
    }

    std::optional<UntypedPublisher> working_;
    std::optional<UntypedPublisher> roll_;
    std::deque<UntypedPublisher> for_all_;
    std::optional<UntypedSubscriber> present_;
    std::optional<UntypedPublisher> sending_;
    std::optional<UntypedSubscriber> receiving_;
    std::vector<const void*> samples_;
};

constexpr std::chrono::milliseconds silence_until_removed{1500};
constexpr char folder[] = "/tmp";  ///< Of iceoryx's sockets and locks.

/// The daemon, with one pool of chunks.
class RouDi {
public:
    RouDi() {
        std::ofstream(config_)
            << "[general]\nversion = 1\n[[segment]]\n[[segment.mempool]]\nsize = " << slot_bytes
            << "\ncount = " << slots_wanted << "\n";
        process_.emplace([this] {
            const int nowhere = ::open("/dev/null", O_WRONLY);
            ::dup2(nowhere, STDOUT_FILENO);
            ::dup2(nowhere, STDERR_FILENO);
            ::execlp("iox-roudi", "iox-roudi", "--monitoring-mode", "on", "--config-file",
                     config_.c_str(), nullptr);
            return 127;
        });
        std::this_thread::sleep_for(500ms);
        if (process_->has_ended()) {
            remove_files();
            throw std::runtime_error("iox-roudi ended at once: does another one run?");
        }
    }
    RouDi(const RouDi&) = delete;
    RouDi& operator=(const RouDi&) = delete;
    ~RouDi() {
        // It aborts at its stop, and leaves its memory behind, over a dead process that it has not
        // removed yet.
        std::this_thread::sleep_for(silence_until_removed + 500ms);
        process_->send(SIGTERM);
        process_->wait();
        remove_files();
    }

private:
    /// The configuration, and what killed processes leave: a socket and a lock of each.
    void remove_files() const {
        for (const auto& entry : std::filesystem::directory_iterator(folder)) {
            const std::string name = entry.path().filename();
            if (name.starts_with(prefix_)) std::filesystem::remove(entry.path());
        }
    }

    std::string prefix_ = prefix_of(::getpid());
    std::string config_ = folder + ("/" + prefix_ + ".toml");
    std::optional<testing_protocol::ChildProcess> process_;
};

class Iceoryx : public Contestant {
public:
    [[nodiscard]] const Traits& traits() const override { return traits_; }
    void renew() override {
        roudi_.reset();
        roudi_.emplace();
    }
    [[nodiscard]] std::unique_ptr<Worker> join(Role role) override {
        if (std::freopen("/dev/null", "w", stderr) == nullptr) throw std::runtime_error("freopen");
        return std::make_unique<IceoryxWorker>(role);
    }

private:
    Traits traits_{.system = "iceoryx",
                   .version = ICEORYX_LATEST_RELEASE_VERSION,
                   .notices_deaths = true,
                   .hands_on = true,
                   .grace = 500ms};
    std::optional<RouDi> roudi_;
};

}  // namespace
}  // namespace shmpool::versus

int main(int argc, char** argv) {
    shmpool::versus::Iceoryx contestant;
    return shmpool::versus::hold_contest(contestant, argc, argv);
}
