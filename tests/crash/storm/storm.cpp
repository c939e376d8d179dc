// SPDX-License-Identifier: Apache-2.0
#include "storm.hpp"

#include <unistd.h>

#include <algorithm>
#include <thread>

#include "founded.hpp"
#include "peer/cli/protocol_audit.hpp"
#include "peer/cli/snapshot.hpp"
#include "shmpool/pool/pool_audit.hpp"
#include "table.hpp"

namespace shmpool::storm {

using namespace std::chrono_literals;

namespace {

/// In which everybody who may must get on, and the last one must have ended. Only turns a hang into
/// a violation.
constexpr auto patience = 60s;

/// All of them grow, one by itself too.
std::string classes_config() {
    return "[[class]]\nslot_size = \"256B\"\nslot_count = 256\nslot_limit = 2048\n"
           "[[class]]\nslot_size = \"4KiB\"\nslot_count = 128\nslot_limit = 300\n"
           "grow_when_exhausted = true\n"
           "[[class]]\nslot_size = \"64KiB\"\nslot_count = 48\nslot_limit = 128\n";
}

test::DaemonSetup host_setup() {
    test::DaemonSetup setup;
    setup.name = pool_name;
    // Small enough to run dry now and then.
    setup.arguments = {};
    setup.config = "[takeover]\npatience = \"60s\"\n" + classes_config() + heaps_config();
    setup.log_level = "info";
    return setup;
}

std::uint32_t count_rings(const ProtocolView& view) {
    std::uint32_t count = 0;
    for (std::uint32_t i = 0; i < view.rings.count; ++i) {
        const std::uint32_t state = view.rings.at(i).state.load(std::memory_order_relaxed);
        count += state != static_cast<std::uint32_t>(EndpointState::empty) ? 1U : 0U;
    }
    return count;
}

std::string text_of(const AuditFinding& one) {
    return one.invariant + ", class " + std::to_string(one.class_index) + ", slot " +
           std::to_string(one.slot_index) + ": " + one.text;
}

}  // namespace

Storm::Storm(const StormOptions& options) : options_(options), board_(folder_.file("board")) {
    ::setenv("SHMPOOL_RUNTIME_DIR", folder_.path().c_str(), 1);
    start_host();
    if (!host_->becomes_ready()) throw std::runtime_error("no host: " + host_->log());
    auto observer = cli::Observer::attach({.pool = pool_name, .socket_path = ""});
    if (!observer) throw std::runtime_error("no look into the pool: " + observer.error().message);
    observer_ = std::move(*observer);
    measure_memory();
    start(steady_reader);
    const bool reads = test::eventually([this] {
        const auto channels = cli::take_snapshot(*observer_).channels;
        return !channels.empty() && !channels[0].subscribers.empty();
    });
    if (!reads) throw std::runtime_error("the first reader does not come up");
    for (std::size_t seat = steady_reader + 1; seat < seats.size(); ++seat) start(seat);
}

void Storm::measure_memory() {
    const auto peer = Peer::attach(pool_name);
    if (!peer) throw std::runtime_error("nobody can attach: " + peer.error().message);
    memory_at_first_ = memory_in_use(observer_->header(), observer_->pool());
}

void Storm::rage() {
    Plan plan(options_.seed, options_.kills_per_second);
    const auto end_of_it =
        Clock::now() + std::chrono::microseconds(static_cast<std::int64_t>(options_.seconds * 1e6));
    auto moment = Clock::now();
    while (moment < end_of_it) {
        const Step step = plan.next();
        moment = std::max(moment, Clock::now() - 1s) + step.pause;  // Does not catch up for ever.
        go_on_until(moment);
        strike(step);
    }
    end();
    count();
}

// --- who is there

void Storm::start_host() {
    host_ = std::make_unique<test::Daemon>(folder_, host_setup());
    next_host_at_.reset();
}

void Storm::start(std::size_t seat) {
    Cast& cast = cast_[seat];
    const std::string words[] = {std::to_string(seat), std::to_string(cast.life),
                                 std::to_string(options_.seed)};
    cast.child.emplace([&] {
        ::execl("/proc/self/exe", "storm", "--seat", words[0].c_str(), "--life", words[1].c_str(),
                "--seed", words[2].c_str(), "--folder", folder_.path().c_str(), nullptr);
        return 127;
    });
    cast.stopped_until.reset();
    cast.got_on = Clock::now();
}

// --- blows

void Storm::strike(const Step& step) {
    const auto until = Clock::now() + step.lasts;
    switch (step.blow) {
        case Blow::kill: return kill(step.seat);
        case Blow::stop: return stop(step.seat, until);
        case Blow::kill_host: return kill_host(until);
        case Blow::stop_host: return stop_host(until);
    }
}

void Storm::kill(std::size_t seat) {
    look_at(seat, Clock::now());
    cast_[seat].child->kill();
    cast_[seat].life += 1;
    toll_.kills += 1;
    start(seat);
}

void Storm::stop(std::size_t seat, Clock::time_point until) {
    cast_[seat].child->send(SIGSTOP);
    cast_[seat].stopped_until = until;
    toll_.stops += 1;
}

void Storm::kill_host(Clock::time_point until) {
    if (next_host_at_) return;  // There is none.
    look_at_the_host();
    host_->signal(SIGKILL);
    host_->wait();
    host_stopped_until_.reset();
    toll_.host_kills += 1;
    next_host_at_ = until;
}

void Storm::stop_host(Clock::time_point until) {
    if (next_host_at_) return;
    host_->signal(SIGSTOP);
    host_stopped_until_ = until;
    toll_.host_stops += 1;
}

// --- between the blows

void Storm::go_on_until(Clock::time_point moment) {
    for (;;) {
        const auto now = Clock::now();
        resume_who_is_due(now);
        if (now >= next_look_) {
            look_at_all(now);
            audit();
            next_look_ = now + 1s;
        }
        if (now >= moment) return;
        std::this_thread::sleep_for(std::min<Clock::duration>(moment - now, 2ms));
    }
}

void Storm::resume_who_is_due(Clock::time_point now) {
    for (Cast& cast : cast_) {
        if (!cast.stopped_until || *cast.stopped_until > now) continue;
        cast.child->send(SIGCONT);
        cast.stopped_until.reset();
        cast.got_on = now;
    }
    if (next_host_at_ && *next_host_at_ <= now) start_host();
    if (host_stopped_until_ && *host_stopped_until_ <= now) {
        host_->signal(SIGCONT);
        host_stopped_until_.reset();
    }
}

void Storm::look_at_all(Clock::time_point now) {
    if (!next_host_at_) look_at_the_host();
    for (std::size_t seat = 0; seat < seats.size(); ++seat) look_at(seat, now);
}

void Storm::look_at_the_host() {
    if (host_->running()) return;
    complain("the host has ended by itself: " + host_->log());
    host_->wait();
    start_host();
}

/// Replaces who has ended, and complains about who does not get on.
void Storm::look_at(std::size_t seat, Clock::time_point now) {
    Cast& cast = cast_[seat];
    if (cast.child->has_ended()) {
        (void)cast.child->wait();
        complain(describe(seat) + " has ended by itself: code " +
                 std::to_string(cast.child->code()) + ", signal " +
                 std::to_string(cast.child->signal()));
        cast.life += 1;
        return start(seat);
    }
    const std::uint64_t steps = board_->steps[seat];
    if (steps != cast.steps || cast.stopped_until) {
        cast.steps = steps;
        cast.got_on = now;
    } else if (now - cast.got_on > patience) {
        complain(describe(seat) + " does not get on");
        cast.got_on = now;
    }
}

void Storm::audit() {
    auto findings = audit_moving(observer_->pool());
    const auto more = found_at_every_look(
        [this] { return cli::audit_protocol(observer_->pool(), observer_->view()); });
    findings.insert(findings.end(), more.begin(), more.end());
    for (const AuditFinding& one : findings) complain("audit: " + text_of(one));
    toll_.audits += 1;
}

std::string Storm::describe(std::size_t seat) const {
    return std::string(name_of(seats[seat].part)) + " of '" + seats[seat].channel + "' (seat " +
           std::to_string(seat) + ", life " + std::to_string(cast_[seat].life) + ")";
}

// --- the end

/// Where all have ended before the next host was there, there is nobody from whom it could take the
/// segment over: it would begin another one, and leave this one as it is.
void Storm::end() {
    resume_who_is_due(Clock::time_point::max());
    if (!host_->becomes_ready()) complain("the last host does not come up: " + host_->log());
    board_->ending = true;
    for (std::size_t seat = 0; seat < seats.size(); ++seat) await_end_of(seat);
}

void Storm::await_end_of(std::size_t seat) {
    Child& child = *cast_[seat].child;
    const auto limit = Clock::now() + patience;
    while (!child.has_ended()) {
        if (Clock::now() > limit) {
            complain(describe(seat) + " does not come to its end");
            return child.kill();
        }
        std::this_thread::sleep_for(1ms);
    }
    (void)child.wait();
    if (child.code() != 0) complain(describe(seat) + " has not ended well");
}

/// Nobody is there any more: every slot must be free, and nothing may name anybody.
void Storm::count() {
    const bool all_free = test::eventually([this] {
        const auto shot = cli::take_snapshot(*observer_);
        return shot.peers.empty() && count_rings(observer_->view()) == 0 &&
               std::ranges::all_of(shot.classes,
                                   [](const auto& one) { return one.free == one.slot_count; });
    });
    if (!all_free) {
        complain(std::to_string(count_rings(observer_->view())) + " queues and " +
                 std::to_string(cli::take_snapshot(*observer_).peers.size()) +
                 " peers are left after all have left");
        for (const auto& one : read_statistics(observer_->pool())) {
            complain("of " + std::to_string(one.slot_count) + " slots of " +
                     std::to_string(one.slot_size) + " B, " + std::to_string(one.free) +
                     " are free after all have left");
        }
    }
    audit();
    count_heaps();
    const auto& header = observer_->header();
    toll_.takeovers = header.host_incarnation.load() - 1;
    toll_.peers_reclaimed = header.peers_reclaimed.load();
    toll_.slots_reclaimed = header.slots_reclaimed.load();
}

/// What belongs to cells is there, and nothing else.
void Storm::count_heaps() {
    auto peer = Peer::attach(pool_name);
    if (!peer) return complain("the one who counts can not attach: " + peer.error().message);
    HeapCount found;
    (void)test::eventually([&] {
        found = count_table(*peer, board_);
        return found.lost == 0;
    });
    for (const std::string& one : found.faults) complain(one);
    toll_.entries = found.entries;
    for (const std::string& one :
         end_founded(*peer, board_, observer_->header(), observer_->pool(), memory_at_first_)) {
        complain(one);
    }
}

}  // namespace shmpool::storm
