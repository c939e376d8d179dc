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
    auto closer = std::make_shared<Closer>();
    listener->close_through(closer);
    if (config.access.socket_shuts_out_the_allowed()) {
        log.warn(
            "[access] allows more users than its socket_mode lets connect; give the socket to a "
            "group of theirs with socket_group and socket_mode = \"0660\"");
    }
    auto queue = EventQueue::create();
    if (!queue) return tl::unexpected(queue.error());
    auto segment = find_or_make_segment(config, *listener, *closer, log);
    if (!segment) return tl::unexpected(segment.error());
    auto parts = PoolParts::around(std::move(segment->steward));
    if (!parts) return tl::unexpected(parts.error());

    std::unique_ptr<Host> host(
        new Host({config, &log, std::move(closer), std::move(*listener), std::move(*queue),
                  std::move(*signals), std::move(segment->callers)}));
    const auto serving =
        host->watch_descriptors().and_then([&] { return host->serve(std::move(*parts)); });
    if (!serving) return tl::unexpected(serving.error());
    if (host->service_->steward.taken_over()) host->take_over();
    host->announce_ready();
    return host;
}

Host::Host(HostFoundation foundation) : base_(std::move(foundation)) {}

Result<void> Host::watch_descriptors() {
    EventQueue& queue = base_.queue;
    return queue.add(base_.signals.descriptor(), make_token(TokenKind::signals)).and_then([&] {
        return queue.add(base_.listener.socket(), make_token(TokenKind::listener));
    });
}

Result<void> Host::serve(PoolParts parts) {
    EventQueue& queue = base_.queue;
    const auto watched =
        queue.add(parts.beacons->descriptor(), make_token(TokenKind::beacons)).and_then([&] {
            return queue.add(parts.builder->descriptor(), make_token(TokenKind::heaps));
        });
    if (!watched) return watched;
    service_ = std::make_unique<PoolService>(
        std::move(parts),
        PoolSurroundings{base_.listener, base_.queue, *base_.closer, base_.config, *base_.log});
    return {};
}

/// If somebody has asked for it. All peers lose their connections, look for the next host, and hear
/// from the new service that their segment is gone; its memory is freed with the last of them.
bool Host::replace_pool() {
    auto parts = service_->desk.take_replacement();
    if (!parts) return false;
    std::unique_ptr<PoolService> old = std::move(service_);
    if (auto served = serve(std::move(*parts)); !served) {
        base_.log->error("the pool was not made anew: " + served.error().message);
        service_ = std::move(old);
        return false;
    }
    for (const Descriptor* const gone : {&old->beacons.descriptor(), &old->builder.descriptor()}) {
        base_.queue.remove(*gone);
    }
    old->steward.set_state(HostState::replaced);
    old->directory.wake_everybody();
    announce_ready();
    return true;
}

/// Peers say Rejoin at their own pace; the dead, and what the other host left undone, do not wait.
void Host::take_over() {
    if (!service_->steward.matches(base_.config)) {
        base_.log->warn(
            "the segment of the host before is kept as it was made: [[class]] and "
            "[limits] of the configuration count when the pool starts afresh");
    }
    service_->registry.take_over();
    const std::uint32_t before = service_->registry.present_count();
    service_->reaper.take_over();
    base_.log->info("took over the segment of a host that died: " +
                    std::to_string(service_->registry.present_count()) + " of " +
                    std::to_string(before) + " peers live");
}

/// From here on the file of a host that ends in any way but the orderly one tells the next one so.
void Host::announce_ready() {
    base_.listener.keep_file_at_end(true);
    have_service_manager_keep(service_->steward.control(), service_->steward.payload());
    service_->steward.set_state(HostState::running);
    service_->directory.wake_everybody();
    const std::string status =
        "pool '" + base_.config.name + "' ready: socket " + base_.listener.path() + ", " +
        std::to_string(service_->steward.pool().class_count()) + " classes, " +
        format_byte_size(
            service_->steward.header().committed_bytes.load(std::memory_order_relaxed));
    base_.log->info(status);
    notify_ready(status);
    for (LocalConnection& caller : base_.callers) service_->server.greet(std::move(caller));
    base_.callers.clear();
}

Result<void> Host::run() {
    while (!is_stopped()) {
        const auto tokens = base_.queue.wait(time_to_next_look());
        if (!tokens) return tl::unexpected(tokens.error());
        for (const std::uint64_t token : *tokens) {
            dispatch(token);
            if (replace_pool()) break;  // The other tokens were of the old one, or come again.
        }
        service_->server.do_a_piece();
        service_->server.tick(monotonic_ns());
        service_->reaper.tick();
        if (service_->registry.present_count() != 0) service_->damage.look_if_due(monotonic_ns());
    }
    finish_stop();
    return {};
}

std::chrono::nanoseconds Host::time_to_next_look() const {
    using std::chrono::nanoseconds;
    if (service_->server.has_work()) return nanoseconds::zero();
    nanoseconds longest = stop_deadline_ ? stop_deadline_->remaining() : nanoseconds::max();
    const std::uint64_t now_ns = monotonic_ns();
    const auto damage_look_ns = service_->registry.present_count() == 0
                                    ? std::nullopt
                                    : std::optional(service_->damage.next_look_ns());
    for (const auto at_ns :
         {service_->reaper.next_tick_ns(), service_->server.next_tick_ns(), damage_look_ns}) {
        if (!at_ns) continue;
        longest = std::min(longest, nanoseconds(*at_ns > now_ns ? *at_ns - now_ns : 0));
    }
    return longest;
}

void Host::dispatch(std::uint64_t token) {
    switch (token_kind(token)) {
        case TokenKind::signals: return handle_signal();
        case TokenKind::listener: return service_->server.accept();
        case TokenKind::session: return service_->server.serve(token_value(token));
        case TokenKind::process: return process_ended(token_peer(token));
        case TokenKind::heaps: return;  // Something is built: the turn goes on with it.
        case TokenKind::beacons:
            for (const auto& notice : service_->beacons.collect()) {
                service_->reaper.beacon_fired(notice.peer, notice.noticed_ns);
            }
            return;
    }
}

void Host::process_ended(PeerId id) {
    const Peer* const peer = service_->registry.find(id);
    if (peer == nullptr) return;
    const std::uint64_t session_id = peer->session_id;
    service_->reaper.pidfd_readable(id);
    service_->server.end_session(session_id);
}

void Host::handle_signal() {
    if (!base_.signals.next()) return;
    if (!stop_deadline_) return begin_stop();
    base_.log->info("a second signal: the grace period ends now");
    stop_deadline_ = Deadline::after(std::chrono::nanoseconds::zero());
}

void Host::begin_stop() {
    const std::uint32_t grace_ms = base_.config.stop_grace_ms;
    const std::string status = "stopping; " + std::to_string(service_->registry.present_count()) +
                               " peers have " + format_duration_ms(grace_ms) + " to leave";
    base_.log->info(status);
    stop_deadline_ = Deadline::after(std::chrono::milliseconds(grace_ms));
    notify_stopping(status);
    service_->desk.stop_attaching();
    service_->steward.set_state(HostState::stopping);
    service_->server.tell_all(wire::Stopping{grace_ms});
}

bool Host::is_stopped() const {
    return stop_deadline_ && (stop_deadline_->expired() || service_->registry.present_count() == 0);
}

/// The state first: whoever is woken must see why.
void Host::finish_stop() {
    service_->builder.finish();  // Nobody finds a heap locked by a host that has said goodbye.
    service_->steward.set_state(HostState::stopped);
    have_service_manager_forget();
    base_.listener.keep_file_at_end(false);
    service_->directory.wake_everybody();
    base_.log->info("stopped; " + std::to_string(service_->registry.present_count()) +
                    " peers had not left");
}

}  // namespace shmpool::host
