// SPDX-License-Identifier: Apache-2.0
#include "host/beacon_watcher.hpp"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include "shmpool/platform/monotonic_clock.hpp"
#include "shmpool/platform/thread.hpp"

namespace shmpool::host {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::size_t beacons_per_sleeper = futex_wait_any_max - 1;
constexpr nanoseconds first_look_again = milliseconds(1);
constexpr nanoseconds last_look_again = std::chrono::seconds(1);

/// An honest word changes a few times in its life. After this many wake-ups without a death
/// somebody plays with his word, and the sleeper naps instead of following him.
constexpr int idle_wake_ups_max = 64;

}  // namespace

/// One thread and its beacons. The beacons are mapped as long as they are listed, and only the
/// thread itself takes one off the list: it may be asleep on it.
class BeaconWatcher::Sleeper {
public:
    explicit Sleeper(EventFlag& flag) : flag_(flag) {
        beacons_.reserve(beacons_per_sleeper);
        thread_ = std::thread([this] { run(); });
    }
    ~Sleeper() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        ring();
        thread_.join();
    }
    Sleeper(const Sleeper&) = delete;
    Sleeper& operator=(const Sleeper&) = delete;

    [[nodiscard]] bool add(PeerId peer, BeaconWatch& beacon) {
        {
            const std::lock_guard lock(mutex_);
            if (beacons_.size() == beacons_per_sleeper) return false;
            beacons_.push_back({peer, std::move(beacon)});
            pause_ = first_look_again;
        }
        ring();
        return true;
    }

    void forget(PeerId peer) {
        change(peer, [](Watched& one) {
            one.forgotten = true;
            return true;
        });
    }

    void look_again(PeerId peer) {
        change(peer, [this](Watched& one) {
            if (one.armed || one.fired) return false;
            pause_ = first_look_again;
            return true;
        });
    }

    /// None: this one does not watch it.
    std::optional<std::uint32_t> word_of(PeerId peer) {
        const std::lock_guard lock(mutex_);
        const auto found = std::ranges::find(beacons_, peer, &Watched::peer);
        if (found == beacons_.end()) return std::nullopt;
        return found->beacon.word().load(std::memory_order_relaxed);
    }

    void collect(std::vector<Notice>& notices) {
        const std::lock_guard lock(mutex_);
        notices.insert(notices.end(), notices_.begin(), notices_.end());
        notices_.clear();
    }

private:
    struct Watched {
        PeerId peer;
        BeaconWatch beacon;
        bool armed = false;
        bool fired = false;
        bool forgotten = false;
    };

    template <typename Change>
    void change(PeerId peer, Change&& apply) {
        bool changed = false;
        {
            const std::lock_guard lock(mutex_);
            const auto found = std::ranges::find(beacons_, peer, &Watched::peer);
            changed = found != beacons_.end() && apply(*found);
        }
        if (changed) ring();
    }

    void ring() {
        doorbell_.fetch_add(1, std::memory_order_release);  // [R-sleeper]
        futex_wake(doorbell_, 1);
    }

    void run() {
        ask_for_short_slices();  // Also where a thread does not inherit them (reset-on-fork).
        std::vector<FutexTarget> targets;
        int idle_wake_ups = 0;
        for (;;) {
            const std::uint32_t rung = doorbell_.load(std::memory_order_acquire);  // [A-sleeper]
            targets.assign(1, {&doorbell_, rung});
            bool died = false;
            const nanoseconds timeout = look_at_all(targets, died);
            if (timeout == nanoseconds::zero()) return;
            if (died) {
                flag_.raise();
                idle_wake_ups = 0;
            }
            if (++idle_wake_ups > idle_wake_ups_max) {
                const WaitOutcome outcome = futex_wait(doorbell_, rung, last_look_again);
                if (outcome == WaitOutcome::timed_out) idle_wake_ups = 0;
                continue;
            }
            const WaitAnyOutcome woken = futex_wait_any(targets, timeout);
            const bool by_doorbell = doorbell_.load(std::memory_order_relaxed) != rung;
            if (by_doorbell || woken.outcome == WaitOutcome::timed_out) idle_wake_ups = 0;
        }
    }

    /// Appends what is to be slept on; returns for how long, or 0: stop.
    nanoseconds look_at_all(std::vector<FutexTarget>& targets, bool& died) {
        const std::lock_guard lock(mutex_);
        if (stopping_) return nanoseconds::zero();
        std::erase_if(beacons_, [](const Watched& one) { return one.forgotten; });
        bool unheld = false;
        for (Watched& one : beacons_) {
            if (one.fired) continue;
            one.armed = one.beacon.arm();
            if (one.armed) {
                targets.push_back(one.beacon.target());
            } else if (one.beacon.owner_died()) {
                one.fired = true;
                died = true;
                notices_.push_back({one.peer, monotonic_ns()});
            } else {
                unheld = true;
            }
        }
        if (!unheld) return nanoseconds::max();
        const nanoseconds timeout = pause_;
        pause_ = std::min(2 * pause_, last_look_again);
        return timeout;
    }

    EventFlag& flag_;
    Atomic<std::uint32_t> doorbell_{0};
    std::mutex mutex_;  // Guards all below; never held while asleep.
    std::vector<Watched> beacons_;
    std::vector<Notice> notices_;
    nanoseconds pause_ = first_look_again;
    bool stopping_ = false;
    std::thread thread_;  // Last: it uses everything above.
};

BeaconWatcher::BeaconWatcher(EventFlag flag) : flag_(std::move(flag)) {}
BeaconWatcher::~BeaconWatcher() = default;

Result<std::unique_ptr<BeaconWatcher>> BeaconWatcher::create() {
    auto flag = EventFlag::create();
    if (!flag) return tl::unexpected(flag.error());
    return std::unique_ptr<BeaconWatcher>(new BeaconWatcher(std::move(*flag)));
}

Result<void> BeaconWatcher::watch(PeerId peer, BeaconWatch beacon) {
    for (const auto& sleeper : sleepers_) {
        if (sleeper->add(peer, beacon)) return {};
    }
    try {
        sleepers_.push_back(std::make_unique<Sleeper>(flag_));
    } catch (const std::system_error& problem) {
        return fail_errno(Errc::system, "start a thread that watches beacons",
                          problem.code().value());
    }
    [[maybe_unused]] const bool added = sleepers_.back()->add(peer, beacon);
    return {};
}

void BeaconWatcher::forget(PeerId peer) {
    for (const auto& sleeper : sleepers_) sleeper->forget(peer);
}

bool BeaconWatcher::watches(PeerId peer) {
    return std::ranges::any_of(
        sleepers_, [&](const auto& sleeper) { return sleeper->word_of(peer).has_value(); });
}

void BeaconWatcher::look_again(PeerId peer) {
    for (const auto& sleeper : sleepers_) sleeper->look_again(peer);
}

bool BeaconWatcher::may_use_the_pool(PeerId peer) {
    for (const auto& sleeper : sleepers_) {
        if (const auto word = sleeper->word_of(peer)) return *word != 0;
    }
    return true;
}

std::vector<BeaconWatcher::Notice> BeaconWatcher::collect() {
    flag_.lower();
    std::vector<Notice> notices;
    for (const auto& sleeper : sleepers_) sleeper->collect(notices);
    return notices;
}

}  // namespace shmpool::host
