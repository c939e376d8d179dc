// SPDX-License-Identifier: Apache-2.0
/// Address space with one owner, unmapped by its end. A child of fork() does not get it
/// (MADV_DONTFORK), and core dumps leave it out (MADV_DONTDUMP).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "shmpool/platform/result.hpp"

namespace shmpool {

/// How an object is mapped: flags of mmap, a multiple of a page.
struct MapRequest {
    int object = -1;
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
    int protection = 0;
    int flags = 0;
};

/// Movable; `base()` stays the same when it is moved. In a child of fork() the destructor does
/// nothing: the mapping is not there, and its address may belong to something else by then.
class MappedRange {
public:
    MappedRange() noexcept = default;
    MappedRange(MappedRange&& other) noexcept;
    MappedRange& operator=(MappedRange&& other) noexcept;
    ~MappedRange() { unmap(); }

    /// Null when nothing is mapped.
    [[nodiscard]] std::byte* base() const noexcept { return base_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::span<std::byte> span() const noexcept { return {base_, bytes_}; }

private:
    friend Result<MappedRange> map_range(const MapRequest& request, bool at_large_page);
    void unmap() noexcept;

    std::byte* base_ = nullptr;
    std::size_t bytes_ = 0;
    int process_id_ = 0;
};

/// At the beginning of a large page if `at_large_page`, else wherever there is room. out_of_memory,
/// no_permission, system.
[[nodiscard]] Result<MappedRange> map_range(const MapRequest& request, bool at_large_page);

}  // namespace shmpool
