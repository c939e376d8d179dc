// SPDX-License-Identifier: Apache-2.0
/// A view of a memory object in this process's address space, unmapped by its owner's end. A child
/// of fork() does not get it (MADV_DONTFORK), and core dumps leave it out (MADV_DONTDUMP).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "shmpool/platform/atomics.hpp"
#include "shmpool/platform/descriptor.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool {

enum class Access { read_only, read_write };

/// Movable; `base()` stays the same when it is moved. In a child of fork() the destructor does
/// nothing: the mapping is not there, and its address may belong to something else by then.
class SharedMapping {
public:
    SharedMapping() noexcept = default;
    SharedMapping(SharedMapping&& other) noexcept;
    SharedMapping& operator=(SharedMapping&& other) noexcept;
    ~SharedMapping() { unmap(); }

    /// Maps the first `bytes` of the object, which must have that many (Errc::invalid_argument), or
    /// else a touch would be a SIGBUS. Begins where a large page may, if it has room for one: so
    /// what is aligned in the object is aligned alike in every process; or at a multiple of
    /// `alignment`, a large page at the most. Errc::out_of_memory, no_permission, system.
    [[nodiscard]] static Result<SharedMapping> map(const Descriptor& object, std::uint64_t bytes,
                                                   Access access,
                                                   std::uint64_t alignment = page_bytes);

    /// Aligned to a page, or to a large page; null when nothing is mapped.
    [[nodiscard]] std::byte* base() const noexcept { return base_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::span<std::byte> span() const noexcept { return {base_, bytes_}; }

private:
    void unmap() noexcept;

    std::byte* base_ = nullptr;
    std::size_t bytes_ = 0;
    int process_id_ = 0;
};

}  // namespace shmpool
