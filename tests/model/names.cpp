// SPDX-License-Identifier: Apache-2.0
/// Names of shared words for the trace of a violation, by the layout's own tables.
#include <algorithm>

#include "protocol/protocol_table.hpp"
#include "world.hpp"

namespace shmpool::model {
namespace {

std::string field_at(std::string_view image, std::size_t offset) {
    static const std::vector<ImageTable> tables = [] {
        std::vector<ImageTable> all = memory_tables();
        for (ImageTable& table : protocol_tables()) all.push_back(std::move(table));
        return all;
    }();
    for (const ImageTable& table : tables) {
        if (table.name != image) continue;
        for (const FieldRow& field : table.fields) {
            if (offset < field.offset || offset >= field.offset + field.bytes) continue;
            const std::size_t inside = (offset - field.offset) / 8;
            return std::string(field.name) + (inside == 0 ? "" : "+" + std::to_string(inside));
        }
    }
    return "+" + std::to_string(offset);
}

/// "what number field", when the address lies in this array of images; else empty.
std::string in_array(const void* address, const void* base, std::size_t item_bytes,
                     std::size_t count, std::string_view image, std::string_view what) {
    const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(address) -
                                                 static_cast<const std::byte*>(base));
    if (offset >= item_bytes * count) return {};
    return std::string(what) + " " + std::to_string(offset / item_bytes) + " " +
           field_at(image, offset % item_bytes);
}

template <typename Image>
std::string in_table(const void* address, const Table<Image>& table, std::string_view image,
                     std::string_view what) {
    return in_array(address, table.base, table.item_bytes, table.count, image, what);
}

}  // namespace

std::string World::name_of(const void* address) const {
    const PoolView& pool = pool_->view();
    std::vector<std::string> names = {
        in_array(address, pool.header, sizeof(PoolHeader), 1, "PoolHeader", "pool"),
        in_array(address, pool.lanes, sizeof(LaneCell), pool.lane_count, "LaneCell", "lane"),
        in_table(address, view_.peers, "PeerImage", "peer"),
        in_table(address, view_.channels, "ChannelImage", "channel"),
        in_table(address, view_.publishers, "PublisherImage", "publisher"),
        in_table(address, view_.subscribers, "SubscriberImage", "subscriber"),
        in_table(address, view_.rings, "RingImage", "ring"),
        in_table(address, view_.entries, "RingEntry", "entry")};
    for (std::uint32_t i = 0; i < pool.class_count; ++i) {
        const ClassView& one = pool.classes[i];
        const std::string slot = "class " + std::to_string(i) + " slot";
        names.push_back(in_array(address, one.extents, sizeof(ExtentImage), one.extent_limit,
                                 "ExtentImage", "class " + std::to_string(i) + " extent"));
        names.push_back(in_array(address, one.image, sizeof(ClassImage), 1, "ClassImage",
                                 "class " + std::to_string(i)));
        names.push_back(
            in_array(address, one.records, sizeof(SlotRecord), one.slot_limit, "SlotRecord", slot));
        names.push_back(in_array(address, one.payload, one.stride_bytes, one.slot_limit, "payload",
                                 slot + " payload"));
    }
    const auto found = std::ranges::find_if(names, [](const auto& name) { return !name.empty(); });
    return found == names.end() ? "?" : *found;
}

}  // namespace shmpool::model
