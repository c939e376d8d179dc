// SPDX-License-Identifier: Apache-2.0
#include "protocol/protocol_view.hpp"

namespace shmpool {
namespace {

template <typename Image>
Result<void> find_table(const Segment& segment, RegionKind kind, Table<Image>& table) {
    const auto region = segment.region(kind);
    if (!region) return tl::unexpected(region.error());
    if (region->image.shape != protocol_fingerprint || region->image.item_bytes < sizeof(Image) ||
        region->image.item_bytes % alignof(Image) != 0) {
        return fail(Errc::wrong_fingerprint,
                    "a table of the segment has another shape than this build expects");
    }
    table = {region->bytes.data(), region->image.item_count, region->image.item_bytes};
    return {};
}

}  // namespace

Result<ProtocolView> ProtocolView::of(const Segment& segment) {
    ProtocolView view;
    view.header = &segment.header();
    const auto found =
        find_table(segment, RegionKind::peers, view.peers)
            .and_then([&] { return find_table(segment, RegionKind::channels, view.channels); })
            .and_then([&] { return find_table(segment, RegionKind::publishers, view.publishers); })
            .and_then(
                [&] { return find_table(segment, RegionKind::subscribers, view.subscribers); })
            .and_then([&] { return find_table(segment, RegionKind::rings, view.rings); })
            .and_then([&] { return find_table(segment, RegionKind::ring_entries, view.entries); })
            .and_then([&] { return find_table(segment, RegionKind::heaps, view.heaps); });
    if (!found) return tl::unexpected(found.error());
    view.publishers_per_channel = static_cast<std::uint32_t>(
        (view.subscribers.item_bytes - sizeof(SubscriberImage)) / sizeof(std::uint32_t));
    return view;
}

}  // namespace shmpool
