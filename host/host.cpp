// SPDX-License-Identifier: Apache-2.0
#include "host/host.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "host/event_tokens.hpp"
#include "host/service_notice.hpp"
#include "shmpool/platform/monotonic_clock.hpp"
#include "shmpool/quantity/byte_size.hpp"
#include "shmpool/quantity/duration.hpp"

namespace shmpool::host {
namespace {

Result<LocalListener> listen_for(const PoolConfig& config) {
    RuntimePath where{config.socket_path, SocketDirectory::must_exist};
    if (config.socket_path.empty()) {
        auto found = socket_path_of(config.name);
        if (!found) return tl::unexpected(found.error());
        where = std::move(*found);
    }
    ListenOptions options;
    options.directory = where.directory;
    options.mode = config.access.socket_mode;
    options.user = config.access.socket_user;
    options.group = config.access.socket_group;
    return LocalListener::bind(where.path, options);
}

}  // namespace

Result<std::unique_ptr<Host>> Host::create(const PoolConfig& config, const HostLog& log) {
    raise_descriptor_limit();
    ignore_error_signals();
    auto signals = SignalQueue::of_stop_signals();
    if (!signals) return tl::unexpected(signals.error());
    // First, because it is what a second host stumbles over. Who connects early waits a moment.
    auto listener = listen_for(config);
    if (!listener) return tl::unexpected(listener.error());
    if (config.access.socket_shuts_out_the_allowed()) {
        log.warn(
            "[access] allows more users than its socket_mode lets connect; give the socket to a "
            "group of theirs with socket_group and socket_mode = \"0660\"");
    }
    auto queue = EventQueue::create();
    if (!queue) return tl::unexpected(queue.error());
    auto segment = find_or_make_segment(config, *listener, log);
    if (!segment) return tl::unexpected(segment.error());
    auto beacons = BeaconWatcher::create();
    if (!beacons) return tl::unexpected(beacons.error());

    std::unique_ptr<Host> host(
        new Host({config, &log, std::move(*listener), std::move(*queue), std::move(*signals),
                  std::move(*segment), std::move(*beacons)}));
    if (auto watched = host->watch_descriptors(); !watched) {
        return tl::unexpected(watched.error());
    }
    if (host->steward_.taken_over()) host->take_over();
    host->announce_ready();
    return host;
}

Host::Host(HostFoundation foundation)
    : base_(std::move(foundation)),
      steward_(*base_.segment.steward),
      directory_(steward_.pool(), steward_.lane(), steward_.view()),
      registry_(steward_.view(), base_.config.quota),
      reaper_(steward_, directory_, registry_, *base_.beacons, base_.queue, base_.config,
              *base_.log),
      desk_(steward_, directory_, registry_, reaper_, *base_.beacons, base_.queue, base_.config,
            *base_.log),
      server_(base_.listener, desk_, reaper_, base_.queue, *base_.log) {}

Result<void> Host::watch_descriptors() {
    EventQueue& queue = base_.queue;
    return queue.add(base_.signals.descriptor(), make_token(TokenKind::signals))
        .and_then(
            [&] { return queue.add(base_.listener.socket(), make_token(TokenKind::listener)); })
        .and_then(
            [&] { return queue.add(base_.beacons->descriptor(), make_token(TokenKind::beacons)); });
}

/// Peers say Rejoin at their own pace; the dead, and what the other host left undone, do not wait.
void Host::take_over() {
    if (!steward_.matches(base_.config)) {
        base_.log->warn(
            "the segment of the host before is kept as it was made: [[class]] and "
            "[limits] of the configuration count when the pool starts afresh");
    }
    registry_.take_over();
    const std::uint32_t before = registry_.present_count();
    reaper_.take_over();
    base_.log->info(
        "took over the segment of a host that died: " + std::to_string(registry_.present_count()) +
        " of " + std::to_string(before) + " peers live");
}

void Host::announce_ready() {
    have_service_manager_keep(steward_.control(), steward_.payload());
    steward_.set_state(HostState::running);
    directory_.wake_everybody();
    const std::string status =
        "pool '" + base_.config.name + "' ready: socket " + base_.listener.path() + ", " +
        std::to_string(steward_.pool().class_count()) + " classes, " +
        format_byte_size(steward_.header().committed_bytes.load(std::memory_order_relaxed));
    base_.log->info(status);
    notify_ready(status);
    for (LocalConnection& caller : base_.segment.callers) server_.begin_session(std::move(caller));
    base_.segment.callers.clear();
}

Result<void> Host::run() {
    while (!is_stopped()) {
        const auto tokens = base_.queue.wait(time_to_next_look());
        if (!tokens) return tl::unexpected(tokens.error());
        for (const std::uint64_t token : *tokens) dispatch(token);
        server_.drop_silent(monotonic_ns());
        reaper_.tick();
    }
    finish_stop();
    return {};
}

std::chrono::nanoseconds Host::time_to_next_look() const {
    using std::chrono::nanoseconds;
    nanoseconds longest = stop_deadline_ ? stop_deadline_->remaining() : nanoseconds::max();
    const std::uint64_t now_ns = monotonic_ns();
    for (const auto at_ns : {reaper_.next_tick_ns(), server_.next_drop_ns()}) {
        if (!at_ns) continue;
        longest = std::min(longest, nanoseconds(*at_ns > now_ns ? *at_ns - now_ns : 0));
    }
    return longest;
}

void Host::dispatch(std::uint64_t token) {
    switch (token_kind(token)) {
        case TokenKind::signals: return handle_signal();
        case TokenKind::listener: return server_.accept();
        case TokenKind::session: return server_.serve(token_value(token));
        case TokenKind::process: return process_ended(token_peer(token));
        case TokenKind::beacons:
            for (const auto& notice : base_.beacons->collect()) {
                reaper_.beacon_fired(notice.peer, notice.noticed_ns);
            }
            return;
    }
}

void Host::process_ended(PeerId id) {
    const Peer* const peer = registry_.find(id);
    if (peer == nullptr) return;
    const std::uint64_t session_id = peer->session_id;
    reaper_.pidfd_readable(id);
    server_.end_session(session_id);
}

void Host::handle_signal() {
    if (!base_.signals.next()) return;
    if (!stop_deadline_) return begin_stop();
    base_.log->info("a second signal: the grace period ends now");
    stop_deadline_ = Deadline::after(std::chrono::nanoseconds::zero());
}

void Host::begin_stop() {
    const std::uint32_t grace_ms = base_.config.stop_grace_ms;
    const std::string status = "stopping; " + std::to_string(registry_.present_count()) +
                               " peers have " + format_duration_ms(grace_ms) + " to leave";
    base_.log->info(status);
    stop_deadline_ = Deadline::after(std::chrono::milliseconds(grace_ms));
    notify_stopping(status);
    desk_.stop_attaching();
    steward_.set_state(HostState::stopping);
    server_.tell_all(wire::Stopping{grace_ms});
}

bool Host::is_stopped() const {
    return stop_deadline_ && (stop_deadline_->expired() || registry_.present_count() == 0);
}

/// The state first: whoever is woken must see why.
void Host::finish_stop() {
    steward_.set_state(HostState::stopped);
    have_service_manager_forget();
    directory_.wake_everybody();
    base_.log->info("stopped; " + std::to_string(registry_.present_count()) +
                    " peers had not left");
}

}  // namespace shmpool::host
