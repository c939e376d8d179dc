// SPDX-License-Identifier: Apache-2.0
/// A view of a memory object in this process's address space; see mapped_range.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "shmpool/platform/atomics.hpp"
#include "shmpool/platform/descriptor.hpp"
#include "shmpool/platform/mapped_range.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool {

enum class Access { read_only, read_write };

/// Movable; the memory stays where it is.
class SharedMapping {
public:
    /// Maps the first `bytes` of the object, which must have that many (Errc::invalid_argument), or
    /// else a touch would be a SIGBUS. Begins where a large page may, if it has room for one: so
    /// what is aligned in the object is aligned alike in every process; or at a multiple of
    /// `alignment`, a large page at the most. Errc::out_of_memory, no_permission, system.
    [[nodiscard]] static Result<SharedMapping> map(const Descriptor& object, std::uint64_t bytes,
                                                   Access access,
                                                   std::uint64_t alignment = page_bytes);

    /// Aligned to a page, or to a large page; null when nothing is mapped.
    [[nodiscard]] std::byte* base() const noexcept { return range_.base(); }
    [[nodiscard]] std::size_t bytes() const noexcept { return range_.bytes(); }
    [[nodiscard]] std::span<std::byte> span() const noexcept { return range_.span(); }

private:
    MappedRange range_;
};

}  // namespace shmpool
