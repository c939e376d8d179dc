// SPDX-License-Identifier: Apache-2.0
/// How the host, which alone writes the table of heaps, reads and writes a row of it; and as whom
/// it is in a heap. For the sources of heap_directory.hpp.
#pragma once

#include <chrono>
#include <cstdint>

#include "protocol/layout/protocol_images.hpp"
#include "shmpool/heap/heap_lock.hpp"
#include "shmpool/platform/alignment.hpp"

namespace shmpool::heap_row {

inline std::uint64_t load(const Atomic<std::uint64_t>& word) {
    return word.load(std::memory_order_relaxed);  // The host alone writes the table.
}
inline std::uint32_t load(const Atomic<std::uint32_t>& word) {
    return word.load(std::memory_order_relaxed);
}

inline HeapState state_of(const HeapImage& heap) {
    return static_cast<HeapState>(load(heap.state));
}

inline void set_state(HeapImage& heap, HeapState state) {
    heap.state.store(static_cast<std::uint32_t>(state), std::memory_order_release);  // [R-heaps]
}

inline constexpr HeapHolder holder_of_host = host_lane + 1;

inline std::uint64_t whole_pages(std::uint64_t bytes) {
    return align_up(bytes, page_bytes);
}

}  // namespace shmpool::heap_row
