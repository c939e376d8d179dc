// SPDX-License-Identifier: Apache-2.0
#include "shmpool/layout/layout_table.hpp"

#include <iomanip>
#include <sstream>

#include "shmpool/layout/heap_image.hpp"
#include "shmpool/layout/pool_image.hpp"
#include "shmpool/layout/segment_header.hpp"
#include "shmpool/layout/slot_record.hpp"
#include "shmpool/layout/slot_ref.hpp"

namespace shmpool {
namespace {

void write_row(std::ostream& out, std::size_t offset, std::size_t bytes, std::string_view name) {
    out << std::setw(8) << offset << std::setw(8) << bytes << "  " << name << '\n';
}

ImageTable slot_ref_table() {
    return {"SlotRef",
            sizeof(SlotRef),
            {SHMPOOL_FIELD_ROW(SlotRef, class_index), SHMPOOL_FIELD_ROW(SlotRef, extent_index),
             SHMPOOL_FIELD_ROW(SlotRef, reserved), SHMPOOL_FIELD_ROW(SlotRef, slot_index),
             SHMPOOL_FIELD_ROW(SlotRef, generation)}};
}

ImageTable slot_record_table() {
    return {
        "SlotRecord",
        sizeof(SlotRecord),
        {SHMPOOL_FIELD_ROW(SlotRecord, word), SHMPOOL_FIELD_ROW(SlotRecord, lease_mask),
         SHMPOOL_FIELD_ROW(SlotRecord, sequence), SHMPOOL_FIELD_ROW(SlotRecord, publish_time_ns),
         SHMPOOL_FIELD_ROW(SlotRecord, user_word), SHMPOOL_FIELD_ROW(SlotRecord, payload_bytes),
         SHMPOOL_FIELD_ROW(SlotRecord, payload_offset), SHMPOOL_FIELD_ROW(SlotRecord, link),
         SHMPOOL_FIELD_ROW(SlotRecord, publisher_index), SHMPOOL_FIELD_ROW(SlotRecord, further)}};
}

ImageTable pool_header_table() {
    return {
        "PoolHeader",
        sizeof(PoolHeader),
        {SHMPOOL_FIELD_ROW(PoolHeader, magic), SHMPOOL_FIELD_ROW(PoolHeader, layout_version),
         SHMPOOL_FIELD_ROW(PoolHeader, fingerprint), SHMPOOL_FIELD_ROW(PoolHeader, class_count),
         SHMPOOL_FIELD_ROW(PoolHeader, lane_count), SHMPOOL_FIELD_ROW(PoolHeader, block_shift),
         SHMPOOL_FIELD_ROW(PoolHeader, config_checksum),
         SHMPOOL_FIELD_ROW(PoolHeader, control_bytes), SHMPOOL_FIELD_ROW(PoolHeader, payload_bytes),
         SHMPOOL_FIELD_ROW(PoolHeader, classes_offset), SHMPOOL_FIELD_ROW(PoolHeader, lanes_offset),
         SHMPOOL_FIELD_ROW(PoolHeader, pressure), SHMPOOL_FIELD_ROW(PoolHeader, free_doorbell),
         SHMPOOL_FIELD_ROW(PoolHeader, damaged)}};
}

ImageTable class_table() {
    return {
        "ClassImage",
        sizeof(ClassImage),
        {SHMPOOL_FIELD_ROW(ClassImage, slot_bytes), SHMPOOL_FIELD_ROW(ClassImage, stride_bytes),
         SHMPOOL_FIELD_ROW(ClassImage, extents_offset),
         SHMPOOL_FIELD_ROW(ClassImage, records_offset),
         SHMPOOL_FIELD_ROW(ClassImage, payload_offset), SHMPOOL_FIELD_ROW(ClassImage, slot_limit),
         SHMPOOL_FIELD_ROW(ClassImage, extent_limit), SHMPOOL_FIELD_ROW(ClassImage, first_block),
         SHMPOOL_FIELD_ROW(ClassImage, extent_count), SHMPOOL_FIELD_ROW(ClassImage, reserved)}};
}

ImageTable extent_table() {
    return {"ExtentImage",
            sizeof(ExtentImage),
            {SHMPOOL_FIELD_ROW(ExtentImage, slot_count), SHMPOOL_FIELD_ROW(ExtentImage, withdrawn),
             SHMPOOL_FIELD_ROW(ExtentImage, head)}};
}

ImageTable lane_cell_table() {
    return {"LaneCell",
            sizeof(LaneCell),
            {SHMPOOL_FIELD_ROW(LaneCell, owner), SHMPOOL_FIELD_ROW(LaneCell, magazines),
             SHMPOOL_FIELD_ROW(LaneCell, sequence), SHMPOOL_FIELD_ROW(LaneCell, intent),
             SHMPOOL_FIELD_ROW(LaneCell, seen), SHMPOOL_FIELD_ROW(LaneCell, touched_blocks),
             SHMPOOL_FIELD_ROW(LaneCell, allocations), SHMPOOL_FIELD_ROW(LaneCell, exhausted)}};
}

ImageTable region_table() {
    return {
        "RegionImage",
        sizeof(RegionImage),
        {SHMPOOL_FIELD_ROW(RegionImage, kind), SHMPOOL_FIELD_ROW(RegionImage, shape),
         SHMPOOL_FIELD_ROW(RegionImage, offset_bytes), SHMPOOL_FIELD_ROW(RegionImage, length_bytes),
         SHMPOOL_FIELD_ROW(RegionImage, item_count), SHMPOOL_FIELD_ROW(RegionImage, item_bytes)}};
}

ImageTable segment_header_table() {
    return {"SegmentHeader",
            sizeof(SegmentHeader),
            {SHMPOOL_FIELD_ROW(SegmentHeader, magic),
             SHMPOOL_FIELD_ROW(SegmentHeader, layout_version),
             SHMPOOL_FIELD_ROW(SegmentHeader, layout_fingerprint),
             SHMPOOL_FIELD_ROW(SegmentHeader, control_bytes),
             SHMPOOL_FIELD_ROW(SegmentHeader, payload_bytes),
             SHMPOOL_FIELD_ROW(SegmentHeader, committed_bytes),
             SHMPOOL_FIELD_ROW(SegmentHeader, region_count),
             SHMPOOL_FIELD_ROW(SegmentHeader, host_pid),
             SHMPOOL_FIELD_ROW(SegmentHeader, created_ns),
             SHMPOOL_FIELD_ROW(SegmentHeader, host_incarnation),
             SHMPOOL_FIELD_ROW(SegmentHeader, reserved_0),
             SHMPOOL_FIELD_ROW(SegmentHeader, pool_name),
             SHMPOOL_FIELD_ROW(SegmentHeader, host_state),
             SHMPOOL_FIELD_ROW(SegmentHeader, reserved_1),
             SHMPOOL_FIELD_ROW(SegmentHeader, peers_reclaimed),
             SHMPOOL_FIELD_ROW(SegmentHeader, slots_reclaimed),
             SHMPOOL_FIELD_ROW(SegmentHeader, last_notice_ns),
             SHMPOOL_FIELD_ROW(SegmentHeader, last_reclaim_ns),
             SHMPOOL_FIELD_ROW(SegmentHeader, reserved_2),
             SHMPOOL_FIELD_ROW(SegmentHeader, regions)}};
}

ImageTable heap_header_table() {
    return {"HeapHeader", sizeof(HeapHeader), {SHMPOOL_FIELD_ROW(HeapHeader, magic),
                                               SHMPOOL_FIELD_ROW(HeapHeader, layout_version),
                                               SHMPOOL_FIELD_ROW(HeapHeader, kind),
                                               SHMPOOL_FIELD_ROW(HeapHeader, memory_bytes),
                                               SHMPOOL_FIELD_ROW(HeapHeader, journal_offset),
                                               SHMPOOL_FIELD_ROW(HeapHeader, journal_limit),
                                               SHMPOOL_FIELD_ROW(HeapHeader, engine_offset),
                                               SHMPOOL_FIELD_ROW(HeapHeader, map_alignment),
                                               SHMPOOL_FIELD_ROW(HeapHeader, lock),
                                               SHMPOOL_FIELD_ROW(HeapHeader, damaged),
                                               SHMPOOL_FIELD_ROW(HeapHeader, settings),
                                               SHMPOOL_FIELD_ROW(HeapHeader, owned),
                                               SHMPOOL_FIELD_ROW(HeapHeader, reserved_0),
                                               SHMPOOL_FIELD_ROW(HeapHeader, journal_count),
                                               SHMPOOL_FIELD_ROW(HeapHeader, used_bytes),
                                               SHMPOOL_FIELD_ROW(HeapHeader, total_bytes),
                                               SHMPOOL_FIELD_ROW(HeapHeader, blocks),
                                               SHMPOOL_FIELD_ROW(HeapHeader, root),
                                               SHMPOOL_FIELD_ROW(HeapHeader, decided_at),
                                               SHMPOOL_FIELD_ROW(HeapHeader, decided_value),
                                               SHMPOOL_FIELD_ROW(HeapHeader, decided_zeros),
                                               SHMPOOL_FIELD_ROW(HeapHeader, decided_zeros_bytes),
                                               SHMPOOL_FIELD_ROW(HeapHeader, reserved_1),
                                               SHMPOOL_FIELD_ROW(HeapHeader, regions)}};
}

ImageTable heap_region_table() {
    return {
        "HeapRegionImage",
        sizeof(HeapRegionImage),
        {SHMPOOL_FIELD_ROW(HeapRegionImage, offset), SHMPOOL_FIELD_ROW(HeapRegionImage, bytes)}};
}

ImageTable journal_entry_table() {
    return {"JournalEntry",
            sizeof(JournalEntry),
            {SHMPOOL_FIELD_ROW(JournalEntry, offset), SHMPOOL_FIELD_ROW(JournalEntry, old_value)}};
}

}  // namespace

std::string text_of(const ImageTable& table) {
    std::ostringstream out;
    out << table.name << ": " << table.bytes << " bytes\n  offset   bytes  field\n";
    std::size_t end = 0;
    for (const FieldRow& field : table.fields) {
        if (field.offset > end) write_row(out, end, field.offset - end, "(unused)");
        write_row(out, field.offset, field.bytes, field.name);
        end = field.offset + field.bytes;
    }
    if (table.bytes > end) write_row(out, end, table.bytes - end, "(unused)");
    return out.str();
}

std::vector<ImageTable> memory_tables() {
    return {slot_ref_table(),    slot_record_table(), pool_header_table(),  class_table(),
            extent_table(),      lane_cell_table(),   region_table(),       segment_header_table(),
            heap_header_table(), heap_region_table(), journal_entry_table()};
}

}  // namespace shmpool
