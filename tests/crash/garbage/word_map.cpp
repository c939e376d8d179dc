// SPDX-License-Identifier: Apache-2.0
#include "word_map.hpp"

#include <stdexcept>

#include "protocol/protocol_table.hpp"

namespace shmpool::garbage {
namespace {

template <typename T>
std::byte* bytes_of(T* image) {
    return reinterpret_cast<std::byte*>(image);
}

/// Fields that are arrays of 4-byte words; all other long ones have words of 8 bytes, or text.
std::uint32_t word_bytes_of(const std::string& image, const FieldRow& field) {
    const bool of_indices = image == "PublisherImage" && field.name == "rings";
    return field.bytes == 4 || of_indices ? 4 : 8;
}

}  // namespace

WordMap::WordMap(const PoolView& pool, const ProtocolView& view) : tables_(memory_tables()) {
    for (ImageTable& table : protocol_tables()) tables_.push_back(std::move(table));
    add_named("SegmentHeader", bytes_of(view.header), sizeof(SegmentHeader), 1);
    add_named("RegionImage", bytes_of(view.header->regions), sizeof(RegionImage),
              view.header->region_count);
    add_named("PoolHeader", bytes_of(pool.header), sizeof(PoolHeader), 1);
    add_named("ClassImage", bytes_of(pool.header) + pool.header->classes_offset, sizeof(ClassImage),
              pool.class_count);
    add_named("LaneCell", bytes_of(pool.lanes), sizeof(LaneCell), pool.lane_count);
    for (const ClassView& one : pool.all_classes()) {
        add_named("ExtentImage", bytes_of(one.extents), sizeof(ExtentImage), one.extent_limit);
        add_named("SlotRecord", bytes_of(one.records), sizeof(SlotRecord), one.slot_limit);
    }
    add_named("PeerImage", view.peers.base, view.peers.item_bytes, view.peers.count);
    add_named("ChannelImage", view.channels.base, view.channels.item_bytes, view.channels.count);
    add_named("PublisherImage", view.publishers.base, view.publishers.item_bytes,
              view.publishers.count);
    add_named("SubscriberImage", view.subscribers.base, view.subscribers.item_bytes,
              view.subscribers.count);
    places_.push_back({"SubscriberImage", "ring_numbers",
                       view.subscribers.base + sizeof(SubscriberImage), view.subscribers.item_bytes,
                       view.subscribers.count, view.publishers_per_channel * 4, 4});
    add_named("RingImage", view.rings.base, view.rings.item_bytes, view.rings.count);
    add_named("HeapImage", view.heaps.base, view.heaps.item_bytes, view.heaps.count);
    add_named("RingEntry", view.entries.base, view.entries.item_bytes, view.entries.count);
}

void WordMap::add_named(const std::string& image, std::byte* first, std::uint64_t stride_bytes,
                        std::uint32_t count) {
    for (const ImageTable& table : tables_) {
        if (table.name == image) return add(table, first, stride_bytes, count);
    }
    throw std::runtime_error("the layout has no table " + image);
}

void WordMap::add(const ImageTable& table, std::byte* first, std::uint64_t stride_bytes,
                  std::uint32_t count) {
    const std::string image(table.name);
    for (const FieldRow& field : table.fields) {
        if (field.name.starts_with("reserved") || field.name == "regions") continue;
        places_.push_back({image, std::string(field.name), first + field.offset, stride_bytes,
                           count, static_cast<std::uint32_t>(field.bytes),
                           word_bytes_of(image, field)});
    }
}

}  // namespace shmpool::garbage
