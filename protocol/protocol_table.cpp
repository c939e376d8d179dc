// SPDX-License-Identifier: Apache-2.0
#include "protocol/protocol_table.hpp"

#include <iomanip>
#include <sstream>

#include "protocol/layout/protocol_images.hpp"
#include "protocol/wire/codec.hpp"
#include "protocol/wire/messages.hpp"

namespace shmpool {
namespace {

ImageTable peer_table() {
    return {"PeerImage",
            sizeof(PeerImage),
            {SHMPOOL_FIELD_ROW(PeerImage, state),
             SHMPOOL_FIELD_ROW(PeerImage, incarnation),
             SHMPOOL_FIELD_ROW(PeerImage, pid),
             SHMPOOL_FIELD_ROW(PeerImage, uid),
             SHMPOOL_FIELD_ROW(PeerImage, attached_ns),
             SHMPOOL_FIELD_ROW(PeerImage, name),
             SHMPOOL_FIELD_ROW(PeerImage, process_started),
             SHMPOOL_FIELD_ROW(PeerImage, read_only),
             SHMPOOL_FIELD_ROW(PeerImage, reserved_0),
             SHMPOOL_FIELD_ROW(PeerImage, reserved_1),
             SHMPOOL_FIELD_ROW(PeerImage, left_incarnation),
             SHMPOOL_FIELD_ROW(PeerImage, reserved_2),
             SHMPOOL_FIELD_ROW(PeerImage, drawn_slots),
             SHMPOOL_FIELD_ROW(PeerImage, drawn_bytes),
             SHMPOOL_FIELD_ROW(PeerImage, reserved_3),
             SHMPOOL_FIELD_ROW(PeerImage, quota_slots),
             SHMPOOL_FIELD_ROW(PeerImage, quota_bytes),
             SHMPOOL_FIELD_ROW(PeerImage, user_quota_slots),
             SHMPOOL_FIELD_ROW(PeerImage, user_quota_bytes),
             SHMPOOL_FIELD_ROW(PeerImage, reserved_4)}};
}

ImageTable channel_table() {
    return {
        "ChannelImage",
        sizeof(ChannelImage),
        {SHMPOOL_FIELD_ROW(ChannelImage, state), SHMPOOL_FIELD_ROW(ChannelImage, policy),
         SHMPOOL_FIELD_ROW(ChannelImage, type_bytes),
         SHMPOOL_FIELD_ROW(ChannelImage, type_alignment),
         SHMPOOL_FIELD_ROW(ChannelImage, publisher_count),
         SHMPOOL_FIELD_ROW(ChannelImage, subscriber_count), SHMPOOL_FIELD_ROW(ChannelImage, flags),
         SHMPOOL_FIELD_ROW(ChannelImage, retired_published),
         SHMPOOL_FIELD_ROW(ChannelImage, lease_bits),
         SHMPOOL_FIELD_ROW(ChannelImage, draining_bits),
         SHMPOOL_FIELD_ROW(ChannelImage, reserved_0), SHMPOOL_FIELD_ROW(ChannelImage, name),
         SHMPOOL_FIELD_ROW(ChannelImage, type_name), SHMPOOL_FIELD_ROW(ChannelImage, reserved_1)}};
}

ImageTable publisher_table() {
    return {
        "PublisherImage",
        sizeof(PublisherImage),
        {SHMPOOL_FIELD_ROW(PublisherImage, state), SHMPOOL_FIELD_ROW(PublisherImage, peer_index),
         SHMPOOL_FIELD_ROW(PublisherImage, peer_incarnation),
         SHMPOOL_FIELD_ROW(PublisherImage, channel_index), SHMPOOL_FIELD_ROW(PublisherImage, epoch),
         SHMPOOL_FIELD_ROW(PublisherImage, intent_key),
         SHMPOOL_FIELD_ROW(PublisherImage, intent_detail),
         SHMPOOL_FIELD_ROW(PublisherImage, intent_kind),
         SHMPOOL_FIELD_ROW(PublisherImage, published_total),
         SHMPOOL_FIELD_ROW(PublisherImage, activity),
         SHMPOOL_FIELD_ROW(PublisherImage, space_doorbell),
         SHMPOOL_FIELD_ROW(PublisherImage, wait_ticket), SHMPOOL_FIELD_ROW(PublisherImage, rings),
         SHMPOOL_FIELD_ROW(PublisherImage, reserved)}};
}

ImageTable subscriber_table() {
    return {
        "SubscriberImage",
        sizeof(SubscriberImage),
        {SHMPOOL_FIELD_ROW(SubscriberImage, state), SHMPOOL_FIELD_ROW(SubscriberImage, peer_index),
         SHMPOOL_FIELD_ROW(SubscriberImage, peer_incarnation),
         SHMPOOL_FIELD_ROW(SubscriberImage, channel_index),
         SHMPOOL_FIELD_ROW(SubscriberImage, lease_bit), SHMPOOL_FIELD_ROW(SubscriberImage, depth),
         SHMPOOL_FIELD_ROW(SubscriberImage, flags), SHMPOOL_FIELD_ROW(SubscriberImage, epoch),
         SHMPOOL_FIELD_ROW(SubscriberImage, connected_total),
         SHMPOOL_FIELD_ROW(SubscriberImage, last_departure),
         SHMPOOL_FIELD_ROW(SubscriberImage, retired_received),
         SHMPOOL_FIELD_ROW(SubscriberImage, retired_dropped),
         SHMPOOL_FIELD_ROW(SubscriberImage, doorbell),
         SHMPOOL_FIELD_ROW(SubscriberImage, sleep_ticket),
         SHMPOOL_FIELD_ROW(SubscriberImage, activity)}};
}

ImageTable ring_table() {
    return {
        "RingImage",
        sizeof(RingImage),
        {SHMPOOL_FIELD_ROW(RingImage, state), SHMPOOL_FIELD_ROW(RingImage, publisher_index),
         SHMPOOL_FIELD_ROW(RingImage, subscriber_index),
         SHMPOOL_FIELD_ROW(RingImage, channel_index), SHMPOOL_FIELD_ROW(RingImage, lease_bit),
         SHMPOOL_FIELD_ROW(RingImage, capacity), SHMPOOL_FIELD_ROW(RingImage, depth),
         SHMPOOL_FIELD_ROW(RingImage, closed), SHMPOOL_FIELD_ROW(RingImage, entries_offset),
         SHMPOOL_FIELD_ROW(RingImage, publisher_state), SHMPOOL_FIELD_ROW(RingImage, incarnation),
         SHMPOOL_FIELD_ROW(RingImage, head), SHMPOOL_FIELD_ROW(RingImage, drop_seen),
         SHMPOOL_FIELD_ROW(RingImage, tail), SHMPOOL_FIELD_ROW(RingImage, dropped)}};
}

ImageTable ring_entry_table() {
    return {"RingEntry",
            sizeof(RingEntry),
            {SHMPOOL_FIELD_ROW(RingEntry, key), SHMPOOL_FIELD_ROW(RingEntry, stamp)}};
}

ImageTable heap_table() {
    return {"HeapImage",
            sizeof(HeapImage),
            {SHMPOOL_FIELD_ROW(HeapImage, state), SHMPOOL_FIELD_ROW(HeapImage, incarnation),
             SHMPOOL_FIELD_ROW(HeapImage, kind), SHMPOOL_FIELD_ROW(HeapImage, on_death),
             SHMPOOL_FIELD_ROW(HeapImage, offset), SHMPOOL_FIELD_ROW(HeapImage, bytes),
             SHMPOOL_FIELD_ROW(HeapImage, committed_bytes), SHMPOOL_FIELD_ROW(HeapImage, ticket),
             SHMPOOL_FIELD_ROW(HeapImage, created_by), SHMPOOL_FIELD_ROW(HeapImage, reserved),
             SHMPOOL_FIELD_ROW(HeapImage, created_ns), SHMPOOL_FIELD_ROW(HeapImage, name),
             SHMPOOL_FIELD_ROW(HeapImage, users)}};
}

template <typename... Bodies>
void write_messages(std::ostream& out, const std::variant<Bodies...>*) {
    out << "Messages, wire version " << wire::wire_version << ": a header of "
        << sizeof(wire::Header) << " bytes, then the body\n  number   bytes  body\n";
    const auto write = [&out](wire::MessageType type, std::size_t bytes) {
        out << std::setw(8) << static_cast<unsigned>(type) << std::setw(8) << bytes << "  "
            << wire::name_of(type) << '\n';
    };
    (write(Bodies::type, wire::body_bytes_of<Bodies>), ...);
}

}  // namespace

std::vector<ImageTable> protocol_tables() {
    return {peer_table(), channel_table(),    publisher_table(), subscriber_table(),
            ring_table(), ring_entry_table(), heap_table()};
}

std::string layout_text() {
    std::ostringstream out;
    out << "layout version " << layout_version << "\npool fingerprint " << pool_fingerprint
        << "\nprotocol fingerprint " << protocol_fingerprint << '\n';
    for (const ImageTable& table : memory_tables()) out << '\n' << text_of(table);
    for (const ImageTable& table : protocol_tables()) out << '\n' << text_of(table);
    out << '\n';
    write_messages(out, static_cast<const wire::Body*>(nullptr));
    return out.str();
}

}  // namespace shmpool
