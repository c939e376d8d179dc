// SPDX-License-Identifier: Apache-2.0
/// One size class as one process sees it: where its records and payloads lie, and how far it has
/// grown. What lies where is fixed when the pool is made, with room for all slots that the class
/// may ever have; so growth moves nothing, and a position is checked by one comparison. Only how
/// many there are now is learned from the segment, once for each extent, and checked against that
/// room (I6). Any thread.
///
/// Pairing: [R-extent] -> [A-extent]  who learns of an extent finds its memory and its full list.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "shmpool/layout/pool_image.hpp"
#include "shmpool/layout/slot_ref.hpp"

namespace shmpool {

/// One extent of a class: its slots are `first` and so on, of the class.
struct ExtentView {
    ExtentImage* image = nullptr;
    SlotRecord* records = nullptr;  ///< Of its first slot.
    std::uint32_t first = 0;
    std::uint32_t slot_count = 0;

    /// Its payload was given back. Relaxed: for who needs no more than a number.
    [[nodiscard]] bool is_withdrawn() const {
        return image->withdrawn.load(std::memory_order_relaxed) != 0;
    }
};

/// How far a process knows a class to have grown. Private memory; what is known is never forgotten.
class KnownExtents {
public:
    explicit KnownExtents(std::uint32_t extent_limit)
        : ends_(std::make_unique<std::atomic<std::uint32_t>[]>(extent_limit)) {}

    [[nodiscard]] std::uint32_t count() const {
        return count_.load(std::memory_order_acquire);  // [A-known]
    }
    /// Of all known extents together.
    [[nodiscard]] std::uint32_t slot_count() const {
        return slot_count_.load(std::memory_order_acquire);  // [A-known]
    }
    /// Position behind the last slot of a known extent.
    [[nodiscard]] std::uint32_t end(std::uint32_t extent_index) const {
        return ends_[extent_index].load(std::memory_order_relaxed);
    }

    /// The next extent ends there. Two threads may learn the same at once: they write the same.
    void learn(std::uint32_t extent_index, std::uint32_t end) {
        ends_[extent_index].store(end, std::memory_order_relaxed);
        raise(count_, extent_index + 1);
        raise(slot_count_, end);
    }

private:
    /// Who is late must not take back what another has learned since.
    static void raise(std::atomic<std::uint32_t>& number, std::uint32_t to) {
        std::uint32_t now = number.load(std::memory_order_relaxed);
        while (now < to && !number.compare_exchange_weak(now, to,
                                                         std::memory_order_acq_rel,  // [AR-known]
                                                         std::memory_order_relaxed)) {
        }
    }

    std::atomic<std::uint32_t> count_{};
    std::atomic<std::uint32_t> slot_count_{};
    std::unique_ptr<std::atomic<std::uint32_t>[]> ends_;
};

struct ClassView {
    ClassImage* image = nullptr;
    ExtentImage* extents = nullptr;
    SlotRecord* records = nullptr;
    std::byte* payload = nullptr;
    std::uint64_t slot_bytes = 0;
    std::uint64_t stride_bytes = 0;
    std::uint64_t records_offset = 0;  ///< From the pool's base in control.
    std::uint64_t payload_offset = 0;  ///< From the payload's base.
    std::uint32_t slot_limit = 0;      ///< There is room for so many.
    std::uint32_t extent_limit = 1;
    std::uint32_t first_block = 0;
    std::uint32_t slots_at_first = 0;  ///< Of extent 0.
    std::unique_ptr<KnownExtents> known;

    /// How many slots there are, as far as this process knows. All of them have memory.
    [[nodiscard]] std::uint32_t slot_count() const { return known->slot_count(); }
    [[nodiscard]] std::uint32_t extent_count() const { return known->count(); }

    /// Pre: the extent is known.
    [[nodiscard]] ExtentView extent(std::uint32_t index) const {
        const std::uint32_t first = index == 0 ? 0 : known->end(index - 1);
        return {extents + index, records + first, first, known->end(index) - first};
    }
    /// Pre: there is such a slot.
    [[nodiscard]] std::uint32_t extent_of(std::uint32_t position) const {
        std::uint32_t index = 0;
        while (index + 1 < known->count() && position >= known->end(index)) ++index;
        return index;
    }

    /// The class has grown since this process has looked. What is published and can not be is
    /// ignored: the host sees that the class's image was written over.
    bool look_for_growth() const {
        if (slot_count() == slot_limit) return false;
        const std::uint32_t published =
            image->extent_count.load(std::memory_order_acquire);  // [A-extent]
        const std::uint32_t before = known->count();
        if (published > extent_limit) return false;
        for (std::uint32_t index = before; index < published; ++index) {
            const std::uint32_t end = index == 0 ? 0 : known->end(index - 1);
            const std::uint32_t more = extents[index].slot_count.load(std::memory_order_relaxed);
            if (more == 0 || more > slot_limit - end) break;
            known->learn(index, end + more);
        }
        return known->count() > before;
    }

    /// There is such a slot, perhaps in an extent that is news.
    [[nodiscard]] bool has(std::uint32_t position) const {
        return position < slot_count() || (look_for_growth() && position < slot_count());
    }
    /// The record of a position, or null when the position is none of this class.
    [[nodiscard]] SlotRecord* record(std::uint32_t position) const {
        return has(position) ? records + position : nullptr;
    }
    /// The caller has checked `position`.
    [[nodiscard]] std::byte* data(std::uint32_t position) const {
        return payload + std::uint64_t{position} * stride_bytes;
    }
};

/// How many slots one lane may cache of a class of so many, and how many lanes may: a quarter of
/// the class altogether. 0: too small for magazines, always the direct path.
struct MagazineShape {
    std::uint32_t capacity = 0;
    std::uint32_t lanes = 0;
};
inline constexpr std::uint32_t magazine_capacity_max = 64;

[[nodiscard]] constexpr MagazineShape magazine_shape(std::uint32_t slot_count) {
    const std::uint32_t sixteenth = slot_count / 16;
    const std::uint32_t capacity =
        (sixteenth < magazine_capacity_max ? sixteenth : magazine_capacity_max) & ~1U;
    if (capacity < 8) return {};
    return {capacity, slot_count / 4 / capacity};
}

}  // namespace shmpool
