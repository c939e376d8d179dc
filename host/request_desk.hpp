// SPDX-License-Identifier: Apache-2.0
/// What each request means: reads one message of one session, changes the tables, and says what to
/// answer. Sends nothing itself, so it never waits for anybody.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/line_limit.hpp"
#include "host/pool_parts.hpp"
#include "host/reaper.hpp"
#include "host/session.hpp"
#include "protocol/wire/messages.hpp"

namespace shmpool::host {

struct Answer {
    wire::Body body;
    std::vector<Descriptor> owned;  ///< Sent, then closed.
    std::vector<int> descriptors;   ///< Sent, in this order.
    bool last = false;              ///< The connection ends behind it.
    bool later = false;             ///< Not this: it comes from do_a_piece.
};

/// To a request that has taken more than one turn of the loop.
struct LateAnswer {
    std::uint64_t session_id = no_session;
    std::uint32_t request_id = 0;
    wire::Body body;
};

/// The event loop's thread.
class RequestDesk {
public:
    RequestDesk(SegmentSteward& steward, ChannelDirectory& directory, PeerRegistry& registry,
                Reaper& reaper, BeaconWatcher& beacons, EventQueue& queue, const PoolConfig& config,
                const HostLog& log);

    /// What is not granted is answered too. None: a message that no client may send at all.
    [[nodiscard]] std::optional<Answer> answer(Session& session, const wire::Message& message,
                                               std::span<const Descriptor> descriptors);

    /// The answer to this hello could not be delivered: nobody knows of the peer.
    void undo_hello(Session& session);

    /// There is a piece to do: the loop is not to wait.
    [[nodiscard]] bool has_work() const {
        return steward_.heaps().has_work() || steward_.growth().has_work();
    }
    /// One piece of what takes longer, and the answers that are due by now.
    [[nodiscard]] std::vector<LateAnswer> do_a_piece();

    /// Nobody hears the answers that it waits for.
    void session_ended(const Session& session);
    /// The connection of one that only looked is over.
    void observer_left(uid_t user) { --observers_[user]; }

    /// From now on nobody may come.
    void stop_attaching() { stopping_ = true; }

    /// A new segment, ready to be served instead of this one, if somebody has asked for it.
    [[nodiscard]] std::optional<PoolParts> take_replacement() {
        return std::exchange(replacement_, std::nullopt);
    }

private:
    using Granted = tl::expected<Answer, wire::Refused>;
    using Allowed = tl::expected<void, wire::Refused>;

    [[nodiscard]] Granted grant(Session& session, const wire::Hello& request);
    [[nodiscard]] Granted grant(Session& session, const wire::Rejoin& request,
                                std::span<const Descriptor> descriptors);
    [[nodiscard]] Granted grant(Session& session, const wire::OpenPublisher& request);
    [[nodiscard]] Granted grant(Session& session, const wire::OpenSubscriber& request);
    [[nodiscard]] Granted grant(Session& session, const wire::ClosePublisher& request);
    [[nodiscard]] Granted grant(Session& session, const wire::CloseSubscriber& request);
    [[nodiscard]] Granted grant(Session& session, const wire::CreateHeap& request,
                                std::uint32_t request_id);
    [[nodiscard]] Granted grant(Session& session, const wire::DestroyHeap& request,
                                std::uint32_t request_id);
    [[nodiscard]] Granted grant(Session& session, const wire::GrowHeap& request,
                                std::uint32_t request_id);
    [[nodiscard]] Granted grant(Session& session, const wire::OpenHeap& request,
                                std::uint32_t request_id);
    [[nodiscard]] Granted grant(Session& session, const wire::CloseHeap& request);
    [[nodiscard]] Granted grant(Session& session, const wire::GrowClass& request,
                                std::uint32_t request_id);
    [[nodiscard]] Granted grant(Session& session, const wire::ShrinkClass& request,
                                std::uint32_t request_id);
    [[nodiscard]] Granted grant(Session& session, const wire::RelieveClass& request,
                                std::uint32_t request_id);
    [[nodiscard]] Granted grant(Session& session, const wire::Kick& request);
    [[nodiscard]] Granted grant(Session& session, const wire::Rebuild& request);
    [[nodiscard]] Granted grant(Session& session, const wire::Goodbye& request);

    /// Who waits for a work on a heap.
    struct Waiter {
        std::uint64_t session_id = no_session;
        std::uint32_t request_id = 0;
        HeapWorkId work = 0;
        wire::Body granted;  ///< What it hears if all goes well; of HeapCreated without its number.
        std::string news;    ///< And the log.
        std::string opens{};           ///< Of HeapOpened: which heap,
        std::uint32_t peer_index = 0;  ///< and for whom.
    };
    /// `deed` is what was asked for, as it follows "may not".
    [[nodiscard]] Allowed check_may_change_memory(const Session& session,
                                                  std::string_view deed) const;
    [[nodiscard]] Allowed check_may_wait(const Session& session) const;
    [[nodiscard]] Granted wait_for(const Result<HeapWorkId>& work, Waiter waiter);
    [[nodiscard]] LateAnswer answer_late(const Waiter& waiter, const HeapDone& done) const;
    void answer_heaps(std::vector<LateAnswer>& answers);

    /// Who waits for a size class to grow or to shrink.
    struct GrowthWaiter {
        std::uint64_t session_id = no_session;
        std::uint32_t request_id = 0;
        GrowthId growth = 0;
        wire::Body granted;  ///< What it hears if all goes well, without the number.
        std::string news;    ///< And the log.
    };
    [[nodiscard]] Allowed check_may_be_relieved(const Session& session,
                                                std::uint64_t slot_bytes) const;
    [[nodiscard]] Granted wait_for_growth(const Result<GrowthId>& growth, GrowthWaiter waiter);
    void answer_grown(std::vector<LateAnswer>& answers);
    void give_up_growths_of(const Session& session);

    template <typename First>
    [[nodiscard]] Allowed check_caller(const Session& session, Right right,
                                       const First& request) const;
    [[nodiscard]] Allowed check_hello(const Session& session, const wire::Hello& request) const;
    [[nodiscard]] Result<Peer*> find_rejoining(const Session& session, const wire::Rejoin& request,
                                               std::span<const Descriptor> descriptors) const;
    void close_unlisted(PeerId peer, const wire::Rejoin& request);
    [[nodiscard]] Granted welcome_peer(Session& session, const wire::Hello& request);
    [[nodiscard]] wire::Welcome welcome_numbers(PeerId peer) const;
    [[nodiscard]] Result<void> check_places(uid_t user) const;
    [[nodiscard]] Result<Peer*> enter(Session& session, const wire::Hello& request);
    [[nodiscard]] Allowed check_may_publish(const Session& session) const;

    SegmentSteward& steward_;
    ChannelDirectory& directory_;
    PeerRegistry& registry_;
    Reaper& reaper_;
    BeaconWatcher& beacons_;
    EventQueue& queue_;
    const PoolConfig& config_;
    const HostLog& log_;
    bool stopping_ = false;
    LineLimit complaints_;
    std::map<uid_t, std::uint32_t> observers_;  ///< Connections of each user.
    std::vector<Waiter> waiters_;
    std::vector<GrowthWaiter> growth_waiters_;
    std::optional<PoolParts> replacement_;
};

}  // namespace shmpool::host
