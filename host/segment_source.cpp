// SPDX-License-Identifier: Apache-2.0
#include "host/segment_source.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "host/access_rules.hpp"
#include "host/kernel_events.hpp"
#include "host/service_notice.hpp"
#include "protocol/wire/codec.hpp"
#include "protocol/wire/presence_mark.hpp"
#include "shmpool/platform/memory_object.hpp"
#include "shmpool/platform/monotonic_clock.hpp"
#include "shmpool/quantity/duration.hpp"

namespace shmpool::host {
namespace {

/// For peers that can not leave a mark which this host sees; they come within a few milliseconds.
constexpr std::chrono::milliseconds least_patience{50};
constexpr std::size_t callers_max = 2 * peer_count_max;
constexpr std::uint64_t listener_token = 0;  // Callers have 1 and up.

Deadline at_once() {
    return Deadline::after(std::chrono::nanoseconds::zero());
}

/// Lets callers in until one of them hands over a segment that can be taken over.
class PeerSearch {
public:
    PeerSearch(const PoolConfig& config, LocalListener& listener, const Closer& closer,
               const HostLog& log)
        : config_(config), listener_(listener), closer_(closer), log_(log) {}

    [[nodiscard]] Result<void> run(const Deadline& deadline) {
        auto queue = EventQueue::create();
        if (!queue) return tl::unexpected(queue.error());
        if (auto watched = queue->add(listener_.socket(), listener_token); !watched) return watched;
        while (!steward_ && !deadline.expired()) {
            const auto tokens = queue->wait(deadline.remaining());
            if (!tokens) return tl::unexpected(tokens.error());
            for (const std::uint64_t token : *tokens) {
                token == listener_token ? accept(*queue) : look_at(token, *queue);
            }
        }
        return {};
    }

    std::unique_ptr<SegmentSteward> steward() { return std::move(steward_); }
    /// What this host lacked to hear a caller out or to take what he brought; none: nothing.
    [[nodiscard]] const std::optional<Error>& lack() const { return lack_; }
    std::vector<LocalConnection> callers() {
        std::vector<LocalConnection> all;
        for (auto& [token, caller] : callers_) all.push_back(std::move(caller.connection));
        return all;
    }

private:
    struct Caller {
        LocalConnection connection;
        Credentials credentials;
        bool may_attach;
    };

    void accept(EventQueue& queue) {
        auto connection = listener_.accept(at_once());
        if (!connection) return note(connection.error());
        const auto credentials = connection->credentials();
        if (!credentials || closer_.is_behind(credentials->uid)) return;
        if (!make_room_for_one_more(queue)) return;
        const bool may_attach =
            check_right(config_.access, Right::attach, *credentials, own_user_id()).has_value();
        const std::uint64_t token = ++last_token_;
        const auto [added, is_new] =
            callers_.emplace(token, Caller{std::move(*connection), *credentials, may_attach});
        if (auto watched = queue.add(added->second.connection.socket(), token); !watched) {
            log_.warn(watched.error().message);  // Answered later, as those who say Hello.
            lack_ = watched.error();
        }
    }

    void note(const Error& error) {
        const bool is_own = error.code == Errc::descriptor_limit ||
                            error.code == Errc::out_of_memory || error.code == Errc::system;
        if (is_own) lack_ = error;
    }

    /// Who has no right to help must not keep out who has: the oldest stranger goes.
    bool make_room_for_one_more(EventQueue& queue) {
        if (callers_.size() < callers_max) return true;
        const auto stranger = std::ranges::find_if(
            callers_, [](const auto& entry) { return !entry.second.may_attach; });
        if (stranger == callers_.end()) return false;
        queue.remove(stranger->second.connection.socket());
        callers_.erase(stranger);
        return true;
    }

    /// Once: what it said stays there, and must not wake us again. Who has hung up is forgotten.
    void look_at(std::uint64_t token, EventQueue& queue) {
        const auto found = callers_.find(token);
        if (found == callers_.end()) return;
        Caller& caller = found->second;
        queue.remove(caller.connection.socket());
        if (closer_.is_behind(caller.credentials.uid) &&
            caller.connection.next_brings_descriptors()) {
            return;
        }
        auto received = caller.connection.try_peek();
        if (!received) {
            note(received.error());
            callers_.erase(found);
            return;
        }
        if (steward_ || !caller.may_attach || !received->has_value()) return;
        auto& [packet, descriptors] = **received;
        const auto message = wire::decode(packet.bytes(), descriptors.size());
        if (!message || !std::holds_alternative<wire::Rejoin>(message->body)) return;
        auto steward = take_over(descriptors);
        if (steward) {
            steward_ = std::move(*steward);
        } else {
            note(steward.error());
            log_.warn("pid " + std::to_string(caller.credentials.pid) +
                      " has handed over a segment that can not be taken over: " +
                      steward.error().message);
        }
    }

    /// What is no memory stays with those who close what strangers send.
    Result<std::unique_ptr<SegmentSteward>> take_over(ReceivedDescriptors& descriptors) {
        for (const std::size_t i : {0U, 1U}) {
            if (auto sealed = check_seals(descriptors[i]); !sealed) {
                return tl::unexpected(sealed.error());
            }
        }
        return SegmentSteward::take_over(config_.name, std::move(descriptors[0]),
                                         std::move(descriptors[1]));
    }

    const PoolConfig& config_;
    LocalListener& listener_;
    const Closer& closer_;
    const HostLog& log_;
    std::unique_ptr<SegmentSteward> steward_;
    std::optional<Error> lack_;
    std::map<std::uint64_t, Caller> callers_;  ///< By token, the oldest first.
    std::uint64_t last_token_ = listener_token;
};

std::chrono::nanoseconds patience_for(const PoolConfig& config, const LocalListener& listener,
                                      const HostLog& log) {
    if (!listener.replaced_stale() || config.takeover_patience_ms == 0) return {};
    if (!is_presence_marked(listener.directory(), listener.path())) return least_patience;
    log.info("a host of this pool has died and peers of it live: waiting up to " +
             format_duration_ms(config.takeover_patience_ms) + " for its segment");
    return std::chrono::milliseconds(config.takeover_patience_ms);
}

/// The next host may have what this one lacks: to start afresh would take the pool from who lives.
tl::unexpected<Error> fail_for_want(const Error& lack) {
    return fail(lack.code, "peers of this pool live, but their segment can not be taken over: " +
                               lack.message);
}

}  // namespace

Result<SegmentSource> find_or_make_segment(const PoolConfig& config, LocalListener& listener,
                                           const Closer& closer, const HostLog& log) {
    SegmentSource source;
    if (auto kept = descriptors_kept_by_service_manager()) {
        auto steward = SegmentSteward::take_over(config.name, std::move(kept->control),
                                                 std::move(kept->payload));
        if (steward) {
            listener.keep_file_at_end(true);
            source.steward = std::move(*steward);
            return source;
        }
        log.warn("the segment that the service manager has kept can not be taken over: " +
                 steward.error().message);
    }
    const auto patience = patience_for(config, listener, log);
    if (patience > patience.zero()) {
        PeerSearch search(config, listener, closer, log);
        if (auto done = search.run(Deadline::after(patience)); !done) {
            return tl::unexpected(done.error());
        }
        source.steward = search.steward();
        source.callers = search.callers();
        if (source.steward) return source;
        if (is_presence_marked(listener.directory(), listener.path())) {
            if (const auto& lack = search.lack()) return fail_for_want(*lack);
            log.warn(
                "no peer has handed the old segment over: this pool starts afresh, and those "
                "who still use the old one must attach again");
        }
    }
    auto made = SegmentSteward::create(config);
    if (!made) return tl::unexpected(made.error());
    source.steward = std::move(*made);
    return source;
}

}  // namespace shmpool::host
