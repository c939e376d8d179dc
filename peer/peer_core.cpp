// SPDX-License-Identifier: Apache-2.0
#include "peer/peer_core.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <future>
#include <string>
#include <system_error>
#include <utility>

#include "protocol/layout/protocol_images.hpp"
#include "protocol/quota.hpp"
#include "protocol/wire/socket_watch.hpp"
#include "shmpool/platform/membarrier.hpp"

namespace shmpool {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

/// Between two looks for a next host: the second is soon, for a socket's file is there a moment
/// before somebody listens.
constexpr nanoseconds first_pause = milliseconds(1);
constexpr nanoseconds last_pause = milliseconds(20);
constexpr int attach_tries = 3;
constexpr nanoseconds last_pause_watching = std::chrono::seconds(1);

}  // namespace

/// A host that dies between its answer and our look at the place has a successor that knows nothing
/// of us: it is asked as if it had always been there.
Result<std::shared_ptr<PeerCore>> PeerCore::attach(const AttachRequest& request, bool own_thread) {
    for (int tries = 1;; ++tries) {
        auto core = attach_once(request, own_thread);
        const bool given_away = !core && core.error().code == Errc::segment_replaced;
        if (!given_away || tries == attach_tries) return core;
    }
}

Result<std::shared_ptr<PeerCore>> PeerCore::attach_once(const AttachRequest& request,
                                                        bool own_thread) {
    std::shared_ptr<PeerCore> core(new PeerCore(), &PeerCore::end);
    if (auto registered = register_global_barrier(); !registered) {
        return tl::unexpected(registered.error());
    }
    core->read_only_ = request.read_only;
    auto attachment = core->control_.attach(request);
    if (!attachment) return tl::unexpected(attachment.error());
    if (auto opened = core->open_segment(std::move(*attachment)); !opened) {
        return tl::unexpected(opened.error());
    }
    if (auto held = core->hold_place(); !held) return tl::unexpected(held.error());
    if (auto started = core->start_control(own_thread); !started) {
        return tl::unexpected(started.error());
    }
    return core;
}

Result<void> PeerCore::open_segment(Attachment attachment) {
    if (attachment.descriptors.size() != 3) {
        return fail(Errc::protocol_violation, "the host did not pass the segment's descriptors");
    }
    welcome_ = attachment.welcome;
    auto segment =
        Segment::open(std::move(attachment.descriptors[0]), std::move(attachment.descriptors[1]),
                      Access::read_write, read_only_ ? Access::read_only : Access::read_write,
                      protocol_fingerprint);
    if (!segment) return tl::unexpected(segment.error());
    beacon_memory_ = std::move(attachment.descriptors[2]);
    segment_ = std::make_unique<Segment>(std::move(*segment));

    const auto control = segment_->region(RegionKind::pool_control);
    if (!control) return tl::unexpected(control.error());
    const auto payload = segment_->region(RegionKind::pool_payload);
    if (!payload) return tl::unexpected(payload.error());
    auto pool = VarSlotPool::attach(PoolRegion{control->bytes, payload->bytes});
    if (!pool) return tl::unexpected(pool.error());
    pool_ = std::make_unique<VarSlotPool>(std::move(*pool));

    auto view = ProtocolView::of(*segment_);
    if (!view) return tl::unexpected(view.error());
    view_ = *view;
    return take_place();
}

Result<void> PeerCore::take_place() {
    if (view_.peers.find(welcome_.peer_index) == nullptr) {
        return fail(Errc::protocol_violation, "the host gave a peer number that does not exist");
    }
    // Behind the mapping: see Reaper::look_at_awaited. A host that died between its answer and now
    // has a successor that did not know of us.
    const PeerImage& place = view_.peers.at(welcome_.peer_index);
    const auto state =
        static_cast<PeerState>(place.state.load(std::memory_order_acquire));  // [A-peer]
    const bool gone =
        place.incarnation.load(std::memory_order_relaxed) != welcome_.peer_incarnation ||
        (state != PeerState::attached && state != PeerState::suspect);
    if (gone) {
        return fail(Errc::segment_replaced,
                    "the next host has given this peer's place away before it was in use; attach "
                    "again");
    }
    auto shelf = LaneShelf::make(
        *pool_, owner_of_peer(welcome_.peer_index, welcome_.peer_incarnation), welcome_.peer_index,
        view_.peers.count,
        [this] { return std::make_unique<LaneQuota>(pool_->view(), view_, welcome_.peer_index); });
    if (!shelf) return tl::unexpected(shelf.error());
    shelf_ = std::move(*shelf);
    return {};
}

tl::unexpected<Errc> PeerCore::why_not_serving() const {
    switch (host_state()) {
        case HostState::stopped: return fail(Errc::host_stopped);
        case HostState::replaced: return fail(Errc::segment_replaced);
        default: return fail(Errc::pool_damaged);  // No host writes any other state.
    }
}

Result<void> PeerCore::start_control(bool own_thread) {
    auto stop = EventDescriptor::create();
    if (!stop) return tl::unexpected(stop.error());
    stop_ = std::move(*stop);
    if (!own_thread) {
        auto beacon = Beacon::hold(beacon_memory_);
        if (!beacon) return tl::unexpected(beacon.error());
        beacon_ = std::move(*beacon);
        return {};
    }
    std::promise<Result<void>> holding;
    auto held = holding.get_future();
    try {
        thread_ = std::thread([this, &holding] {
            // The kernel looks at the thread that holds: the one that lives as long as the peer.
            auto beacon = Beacon::hold(beacon_memory_);
            if (!beacon) return holding.set_value(tl::unexpected(beacon.error()));
            holding.set_value({});
            run_control();
        });
    } catch (const std::system_error& error) {
        return fail(Errc::system, std::string("the peer's control thread cannot be started: ") +
                                      error.what() + "; raise the limit of threads");
    }
    auto outcome = held.get();
    if (!outcome) thread_.join();
    return outcome;
}

Result<void> PeerCore::hold_place() {
    return control_.hold_place(
        {welcome_.peer_index,
         welcome_.peer_incarnation,
         {segment_->control().get(), segment_->payload().get(), beacon_memory_.get()},
         [this] { return host_state() == HostState::stopped; }});
}

/// Talks with the host; without one, sleeps until one may have come.
void PeerCore::run_control() {
    SocketWatch watch;
    nanoseconds pause = first_pause;
    for (;;) {
        if (control_.drive()) pause = first_pause;
        const int connection = control_.descriptor();
        const bool looking = connection < 0 && !control_.for_ever_alone();
        if (!looking) watch = SocketWatch();
        if (looking && !watch) watch = SocketWatch::on(control_.socket_path());
        const std::array descriptors{stop_.descriptor(), control_.changed().descriptor(),
                                     connection, watch.descriptor()};
        for (const int one : wait_readable(descriptors, looking ? pause : nanoseconds::max())) {
            if (one == stop_.descriptor()) return;
            if (one == control_.changed().descriptor()) control_.changed().clear();
            if (one == watch.descriptor()) {
                watch.clear();
                pause = first_pause;
            }
        }
        if (looking) pause = std::min(2 * pause, watch ? last_pause_watching : last_pause);
    }
}

PeerCore::~PeerCore() {
    if (thread_.joinable()) {
        stop_.signal();
        thread_.join();
    }
    if (welcome_.control_bytes == 0) return;  // Never attached.
    if (shelf_) {
        shelf_->close();
        // For the next host, if there is none now.
        view_.peers.at(welcome_.peer_index)
            .left_incarnation.store(welcome_.peer_incarnation,
                                    std::memory_order_release);  // [R-peer]
    }
    // Refused or unanswered, the end of the connection says the same, and death says it for sure.
    (void)control_.request<wire::Farewell>(wire::Goodbye{}, Absence::give_up);
}

void PeerCore::end(PeerCore* core) {
    if (core->shelf_ && !core->in_own_process()) return;  // The parent's; nothing of it is here.
    if (core->shelf_ && core->shelf_->live_handles() != 0) return;
    delete core;
}

}  // namespace shmpool
