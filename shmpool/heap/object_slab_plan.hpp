// SPDX-License-Identifier: Apache-2.0
/// What a slab cache keeps in a heap's memory, and the arithmetic of it. All of it follows from the
/// bytes of an object and of a slab, so no process believes another one's.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>

#include "shmpool/heap/heap_plan.hpp"
#include "shmpool/platform/alignment.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool {

//  Words of the engine:
//     offset  bytes  what
//          0      8  the slab that the next object comes from; 0: none has one
//          8    128  for each region: how many of its bytes have been cut into slabs
//
//  Slab: lies at a multiple of its bytes, so that a mask finds it from each of its objects.
//     offset  bytes  what
//          0      8  guard: `slab_guard` ^ where the slab lies. Who writes past the end of the slab
//                    in front of it changes this first
//          8      8  the next slab that has a free object, if this one has; 0: none
//         16      8  free : 16 | fresh : 16   the latest free object; how many objects from the
//                    first on have ever been handed out
//         24    2*n  for each of these: `live`, or the next free one behind it
//          -    8*n  of an owned heap: for each object whose it is
//          -         the objects, at their alignment
namespace object_slab {

inline constexpr HeapOffset head = 0;
inline constexpr HeapOffset cut = 8;
inline constexpr std::uint64_t engine_bytes = cut + 8 * heap_regions_max;

inline constexpr std::uint64_t slab_guard = 0x736C'6162'6775'6172;  // "slabguar"
inline constexpr HeapOffset guard = 0;
inline constexpr HeapOffset next = 8;
inline constexpr HeapOffset counts = 16;
inline constexpr HeapOffset entries = 24;

/// What the entry of an object says, if not which one is the next free one.
inline constexpr std::uint64_t live = 0xFFFF;
inline constexpr std::uint64_t none = 0xFFFE;
inline constexpr std::uint64_t objects_max = none;

inline constexpr std::uint64_t smallest_object = 4;
inline constexpr std::uint64_t smallest_slab = 512;
inline constexpr std::uint64_t largest_alignment = 4096;

/// How the objects of a slab lie in it; none if one has no room.
struct Shape {
    std::uint64_t object_bytes = 0;
    std::uint64_t slab_bytes = 0;
    std::uint64_t objects = 0;  ///< In one slab.
    HeapOffset owners = 0;      ///< In the slab.
    HeapOffset first = 0;       ///< In the slab, of the first object.
    int twos = 0;               ///< How often 2 divides object_bytes,
    std::uint64_t inverse = 0;  ///< and the inverse of what is left of it then.

    [[nodiscard]] static constexpr std::uint64_t alignment_of(std::uint64_t object_bytes) {
        return std::min(object_bytes & (0 - object_bytes), largest_alignment);
    }
    /// `object_bytes` is not 0. `entries_at`: how much of the slab lies in front of the entries.
    [[nodiscard]] static constexpr Shape of(std::uint64_t object_bytes, std::uint64_t slab_bytes,
                                            bool owned, HeapOffset entries_at = entries) {
        const std::uint64_t beside = owned ? 2 + 8 : 2;
        Shape shape{object_bytes, slab_bytes};
        shape.twos = std::countr_zero(object_bytes);
        shape.inverse = inverse_of(object_bytes >> shape.twos);
        if (slab_bytes <= entries_at || object_bytes > slab_bytes) return shape;
        const std::uint64_t alignment = alignment_of(object_bytes);
        shape.objects = (slab_bytes - entries_at) / (object_bytes + beside);
        // What alignments take is less than an object, but for small ones.
        for (; shape.objects > 0; --shape.objects) {
            shape.owners = entries_at + align_up(2 * shape.objects, 8);
            const HeapOffset end = shape.owners + (owned ? 8 * shape.objects : 0);
            shape.first = align_up(end, alignment);
            if (shape.first <= slab_bytes &&
                (slab_bytes - shape.first) / object_bytes >= shape.objects) {
                break;
            }
        }
        return shape;
    }

    [[nodiscard]] constexpr std::uint64_t alignment() const { return alignment_of(object_bytes); }
    /// The mask rule.
    [[nodiscard]] constexpr HeapOffset slab_of(HeapOffset object) const {
        return align_down(object, slab_bytes);
    }
    [[nodiscard]] constexpr HeapOffset object(HeapOffset slab, std::uint64_t index) const {
        return slab + first + index * object_bytes;
    }
    /// `objects` if none begins there.
    [[nodiscard]] constexpr std::uint64_t index_of(HeapOffset object) const {
        // Exact, without dividing: no two distances have the same quotient, and the small ones are
        // those of multiples of object_bytes (Granlund, Montgomery, PLDI 1994, section 9).
        const std::uint64_t distance = object - slab_of(object) - first;
        return std::min(std::rotr(distance * inverse, twos), objects);
    }

private:
    /// Modulo 2^64: each round makes twice as many bits right, and three are right at first.
    [[nodiscard]] static constexpr std::uint64_t inverse_of(std::uint64_t odd) {
        std::uint64_t inverse = odd;
        for (int bits = 3; bits < 64; bits *= 2) inverse *= 2 - odd * inverse;
        return inverse;
    }
};

}  // namespace object_slab

struct ObjectPlan {
    /// Of one change, at most: to allocate takes seven words and a cell, to add memory three.
    static constexpr std::uint64_t journal_limit = 16;

    object_slab::Shape shape;
    bool owned = false;
    HeapPlan heap;

    /// invalid_argument.
    [[nodiscard]] static Result<ObjectPlan> of(std::uint64_t object_bytes, std::uint64_t slab_bytes,
                                               std::uint64_t map_alignment, bool owned) {
        if (auto good = check_page_bytes(slab_bytes, object_slab::smallest_slab, map_alignment);
            !good) {
            return tl::unexpected(good.error());
        }
        if (object_bytes < object_slab::smallest_object || object_bytes % 4 != 0) {
            return refuse(object_bytes, "it must be a multiple of 4, and not 0");
        }
        const auto shape = object_slab::Shape::of(object_bytes, slab_bytes, owned);
        if (shape.objects == 0) return refuse(object_bytes, "a slab has no room for one of these");
        if (shape.objects > object_slab::objects_max) {
            return refuse(object_bytes, "a slab has room for " + std::to_string(shape.objects) +
                                            " of these, and can count " +
                                            std::to_string(object_slab::objects_max));
        }
        return ObjectPlan{shape,
                          owned,
                          {HeapKind::slab_cache,
                           journal_limit,
                           object_slab::engine_bytes,
                           {object_bytes, slab_bytes}}};
    }

private:
    [[nodiscard]] static tl::unexpected<Error> refuse(std::uint64_t object_bytes,
                                                      const std::string& why) {
        return fail(Errc::invalid_argument,
                    "block_size (block_bytes) is " + std::to_string(object_bytes) + "; " + why);
    }
};

}  // namespace shmpool
