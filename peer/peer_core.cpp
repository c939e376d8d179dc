// SPDX-License-Identifier: Apache-2.0
#include "peer/peer_core.hpp"

#include <array>
#include <future>
#include <string>
#include <system_error>
#include <utility>

#include "protocol/layout/protocol_images.hpp"
#include "shmpool/platform/membarrier.hpp"

namespace shmpool {

Result<std::shared_ptr<PeerCore>> PeerCore::attach(const AttachRequest& request, bool own_thread) {
    std::shared_ptr<PeerCore> core(new PeerCore(), &PeerCore::end);
    if (auto registered = register_global_barrier(); !registered) {
        return tl::unexpected(registered.error());
    }
    auto attachment = core->control_.attach(request);
    if (!attachment) return tl::unexpected(attachment.error());
    if (auto opened = core->open_segment(std::move(*attachment)); !opened) {
        return tl::unexpected(opened.error());
    }
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
                      Access::read_write, protocol_fingerprint);
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
    if (view_.peers.find(welcome_.peer_index) == nullptr) {
        return fail(Errc::protocol_violation, "the host gave a peer number that does not exist");
    }
    auto shelf =
        LaneShelf::make(*pool_, owner_of_peer(welcome_.peer_index, welcome_.peer_incarnation),
                        welcome_.peer_index, view_.peers.count);
    if (!shelf) return tl::unexpected(shelf.error());
    shelf_ = std::move(*shelf);
    return {};
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

void PeerCore::run_control() {
    for (;;) {
        const std::array descriptors{stop_.descriptor(), control_.descriptor()};
        const auto ready = wait_readable(descriptors, std::chrono::nanoseconds::max());
        for (const int one : ready) {
            if (one == stop_.descriptor()) return;
        }
        control_.poll_once();
    }
}

PeerCore::~PeerCore() {
    if (thread_.joinable()) {
        stop_.signal();
        thread_.join();
    }
    if (welcome_.control_bytes == 0) return;  // Never attached.
    if (shelf_) shelf_->close();
    // Refused or unanswered, the end of the connection says the same, and death says it for sure.
    (void)control_.request<wire::Farewell>(wire::Goodbye{});
}

void PeerCore::end(PeerCore* core) {
    if (core->shelf_ && !core->in_own_process()) return;  // The parent's; nothing of it is here.
    if (core->shelf_ && core->shelf_->live_handles() != 0) return;
    delete core;
}

}  // namespace shmpool
