// SPDX-License-Identifier: Apache-2.0
/// A part of a memory object in which one process may write as it likes: nobody else sees it. What
/// was not written to is what is in the object now (copy on write, page by page). The kernel knows
/// which pages were written to, so their owner can compare them with the object, carry over what he
/// wants, and forget them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "shmpool/platform/descriptor.hpp"
#include "shmpool/platform/mapped_range.hpp"

namespace shmpool {

/// Some of an object's memory. The object outlives it.
struct MemoryPlace {
    const Descriptor& object;
    std::uint64_t offset = 0;  ///< A multiple of a page.
};

/// Whole pages.
struct PageSpan {
    std::uint64_t offset = 0;  ///< Bytes from the beginning of the view.
    std::uint64_t bytes = 0;

    friend bool operator==(const PageSpan&, const PageSpan&) = default;
};

/// How to ask which pages were written to.
enum class PageQuery : std::uint8_t {
    fastest,      ///< What this kernel has.
    page_by_page  ///< What every kernel has; reads 8 bytes for each page of the view.
};

/// Movable; the memory stays where it is. One thread at a time.
class PrivateView {
public:
    /// The object must have that much (or else a touch would be a SIGBUS), and be open for reading.
    /// Begins where a large page may. out_of_memory, no_permission, system.
    [[nodiscard]] static Result<PrivateView> map(const MemoryPlace& place, std::uint64_t bytes,
                                                 PageQuery query = PageQuery::fastest);

    [[nodiscard]] std::span<std::byte> span() const { return range_.span(); }

    /// What was written to since it was last forgotten, the lowest first. no_permission, system:
    /// the kernel does not say.
    [[nodiscard]] Result<std::vector<PageSpan>> changed();
    /// They are what is in the object again.
    void forget(std::span<const PageSpan> runs);
    void forget_all();

private:
    MappedRange range_;
    Descriptor page_map_;
    PageQuery query_ = PageQuery::fastest;
};

}  // namespace shmpool
