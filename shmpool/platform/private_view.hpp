// SPDX-License-Identifier: Apache-2.0
/// A part of a memory object in which one process may write as it likes: nobody else sees it. What
/// was not written to is what is in the object now (copy on write, page by page). The kernel knows
/// which pages were written to, so their owner can compare them with the object, and carry over
/// what he wants.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "shmpool/platform/descriptor.hpp"
#include "shmpool/platform/mapped_range.hpp"

namespace shmpool {

/// Some of an object's memory.
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
    /// Address space for `bytes`. Begins where a large page may. out_of_memory, no_permission,
    /// descriptor_limit, system.
    [[nodiscard]] static Result<PrivateView> map(const MemoryPlace& place, std::uint64_t bytes,
                                                 PageQuery query = PageQuery::fastest);

    [[nodiscard]] std::span<std::byte> span() const { return range_.span(); }

    /// The first `bytes`, or more, are what is in the object, whoever has written to them since the
    /// last time, and whether or not the process locks its memory (mlockall). The object must have
    /// that much (or else a touch would be a SIGBUS). What lies behind can not be touched.
    /// system: they are not; then for ever, if something that was written is still there.
    [[nodiscard]] Outcome<void> refresh(std::uint64_t bytes);
    /// What was written to since, the lowest first; good until the next call. What the kernel
    /// copies for reasons of its own is there too. out_of_memory; system: the kernel does not say.
    [[nodiscard]] Outcome<std::span<const PageSpan>> changed();

private:
    [[nodiscard]] std::span<std::byte> mapped() const { return span().first(mapped_bytes_); }
    [[nodiscard]] bool map_object(std::uint64_t bytes);
    [[nodiscard]] bool forget_changed();

    MappedRange range_;
    Descriptor object_;
    Descriptor page_map_;
    std::uint64_t offset_ = 0;
    std::uint64_t mapped_bytes_ = 0;  ///< Of the object; behind them is nothing.
    std::vector<PageSpan> changed_;
    PageQuery query_ = PageQuery::fastest;
    bool is_lost_ = false;
};

}  // namespace shmpool
