// SPDX-License-Identifier: Apache-2.0
/// What a first_fit heap keeps in its stack, and the arithmetic of it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "shmpool/heap/stack_header.hpp"
#include "shmpool/heap/stack_plan.hpp"
#include "shmpool/layout/heap_image.hpp"
#include "shmpool/platform/alignment.hpp"

namespace shmpool::first_fit {

//  Behind the header (stack_header.hpp), blocks up to the end:
//     offset  bytes  what
//        -16      8  size of the payload, a multiple of 8, at least 16
//         -8      8  1 if free | how much more than asked for it has, << 32
//          0   size  payload; free: the next free payload, the one before, then anything
//       size      8  size once more
inline constexpr HeapOffset magic_at = 16;
inline constexpr HeapOffset flags_at = 24;
inline constexpr HeapOffset free_head_at = 32;
inline constexpr std::uint64_t recovery_needed = 1;

inline constexpr std::uint64_t block_header_bytes = 16;
inline constexpr std::uint64_t overhead_bytes = 24;
inline constexpr std::uint64_t payload_bytes_min = 16;
inline constexpr HeapOffset first_payload = stack_header::bytes + block_header_bytes;
/// A rest of less stays with the block.
inline constexpr std::uint64_t rest_bytes_min = overhead_bytes + payload_bytes_min;
inline constexpr std::uint64_t free_flag = 1;

inline constexpr StackShape shape{
    .kind = HeapKind::first_fit, .journal_limit = 64, .arena = first_payload, .granule_bytes = 8};

/// Of a request no larger than a stack.
[[nodiscard]] constexpr std::uint64_t aligned(std::uint64_t len) {
    return align_up(std::max(len, payload_bytes_min), 8);
}
/// Flags of a live block whose user asked for `len`. What is not told apart is told as the most.
[[nodiscard]] constexpr std::uint64_t live_flags(std::uint64_t size, std::uint64_t len) {
    return std::min(size - len, std::uint64_t{0xFFFF'FFFF}) << 32;
}
/// A payload of that size may begin at `payload`, in a stack of that length.
[[nodiscard]] constexpr bool may_be(HeapOffset payload, std::uint64_t size, std::uint64_t len) {
    return payload >= first_payload && payload % 8 == 0 && payload <= len && len - payload >= 8 &&
           size >= payload_bytes_min && size % 8 == 0 && size <= len - payload - 8;
}

}  // namespace shmpool::first_fit
