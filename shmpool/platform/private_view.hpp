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
///
/// Between two stays nobody can touch it: whoever keeps an address of it, and uses it later, ends
/// by a signal there, and writes to nothing that anybody sees. Nor can the kernel copy it then, as
/// it does with all that may be written to when somebody locks the memory of his process
/// (mlockall).
class PrivateView {
public:
    /// Address space for `bytes`. Begins where a large page may. out_of_memory, no_permission,
    /// descriptor_limit, system.
    [[nodiscard]] static Result<PrivateView> map(const MemoryPlace& place, std::uint64_t bytes,
                                                 PageQuery query = PageQuery::fastest);

    [[nodiscard]] std::span<std::byte> span() const { return range_.span(); }

    /// A stay begins: the first `bytes` are what is in the object, and may be written to. The
    /// object must have that much (or else a touch would be a SIGBUS). out_of_memory; system: also
    /// when something of the stay before could not be forgotten, from then on.
    [[nodiscard]] Outcome<void> open(std::uint64_t bytes);
    /// What was written to in this stay, the lowest first; good until its end. From here on it can
    /// only be read. out_of_memory; system: the kernel does not say.
    [[nodiscard]] Outcome<std::span<const PageSpan>> changed();
    /// A stay ends, if there is one: nothing of what was written is left.
    void close();

private:
    enum class Stay : std::uint8_t { none, writes, reads };

    [[nodiscard]] std::span<std::byte> mapped() const { return span().first(mapped_bytes_); }
    [[nodiscard]] bool map_object(std::uint64_t bytes);
    [[nodiscard]] bool protect(int protection) const;
    [[nodiscard]] Outcome<void> ask();
    [[nodiscard]] bool forget();

    MappedRange range_;
    Descriptor object_;
    Descriptor page_map_;
    std::uint64_t offset_ = 0;
    std::uint64_t mapped_bytes_ = 0;  ///< Of the object; behind them is nothing.
    std::vector<PageSpan> changed_;
    PageQuery query_ = PageQuery::fastest;
    Stay stay_ = Stay::none;
    bool is_lost_ = false;
};

}  // namespace shmpool
