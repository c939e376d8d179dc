// SPDX-License-Identifier: Apache-2.0
/// What a heap of any kind keeps for itself in front of what it hands out, how its header comes
/// into being, and how it is checked by those who open it. A plan follows from the kind and the
/// options alone, so every process computes the same one, and believes no offset in the header.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "shmpool/heap/heap_format.hpp"
#include "shmpool/layout/heap_image.hpp"

namespace shmpool {

///   | HeapHeader | journal | words of the engine | what is handed out ...
struct HeapPlan {
    static constexpr HeapOffset journal_offset = sizeof(HeapHeader);

    HeapKind kind = HeapKind::none;
    std::uint64_t journal_limit = 0;  ///< Entries of one change, at most.
    std::uint64_t engine_bytes = 0;
    std::array<std::uint64_t, 2> settings{};

    [[nodiscard]] constexpr HeapOffset engine_offset() const {
        return journal_offset + journal_limit * sizeof(JournalEntry);
    }
    [[nodiscard]] constexpr HeapOffset first_free() const { return engine_offset() + engine_bytes; }
};

/// The header, and zeros in what else the heap keeps for itself. Returns the region that the heap
/// is to manage first. invalid_argument, misaligned_base, region_too_small.
[[nodiscard]] Result<HeapExtent> begin_heap(std::span<std::byte> memory, const HeapPlan& plan,
                                            const HeapOptions& options);
/// Of a heap that could not be given its first region, in words.
[[nodiscard]] Error why_not_begun(const HeapPlan& plan, std::span<const std::byte> memory,
                                  Errc code);
/// From now on it can be opened.
void publish_heap(std::span<std::byte> memory);

/// Of what a heap is divided into: a power of two, from `least` to `map_alignment`, so that its
/// offsets and its addresses are aligned to it. invalid_argument.
[[nodiscard]] Result<void> check_page_bytes(std::uint64_t bytes_per_page, std::uint64_t least,
                                            std::uint64_t map_alignment);

/// The kind of the heap that lies there. region_too_small, misaligned_base, wrong_magic,
/// wrong_layout_version, unsupported.
[[nodiscard]] Result<HeapKind> kind_of_heap(std::span<const std::byte> memory);
/// `wanted`: in words. Who opens a heap says so when it is of another kind.
[[nodiscard]] tl::unexpected<Error> wrong_kind(HeapKind found, const std::string& wanted);
/// The header is that of a heap of this plan, in this memory. damaged_header, misaligned_base,
/// invalid_argument.
[[nodiscard]] Result<void> check_header(std::span<const std::byte> memory, const HeapPlan& plan);

}  // namespace shmpool
