// SPDX-License-Identifier: Apache-2.0
/// See private_view.hpp. A page that was written to is the process's own: in memory or swapped out,
/// and no longer the file's. /proc/self/pagemap says so page by page; since Linux 6.7 its ioctl
/// PAGEMAP_SCAN says it in runs, and passes over what was never touched.
#include "shmpool/platform/private_view.hpp"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "shmpool/platform/alignment.hpp"
#include "shmpool/platform/atomics.hpp"

namespace shmpool {
namespace {

constexpr std::uint64_t entry_is_present = std::uint64_t{1} << 63;
constexpr std::uint64_t entry_is_swapped = std::uint64_t{1} << 62;
constexpr std::uint64_t entry_is_of_a_file = std::uint64_t{1} << 61;

// Of <linux/fs.h>, where it is new enough.
struct ScannedPages {
    std::uint64_t begin;
    std::uint64_t end;
    std::uint64_t categories;
};
struct ScanRequest {
    std::uint64_t size;
    std::uint64_t flags;
    std::uint64_t begin;
    std::uint64_t end;
    std::uint64_t walked_to;
    std::uint64_t found;
    std::uint64_t found_max;
    std::uint64_t pages_max;
    std::uint64_t inverted;
    std::uint64_t wanted;
    std::uint64_t wanted_any;
    std::uint64_t reported;
};
static_assert(sizeof(ScannedPages) == 24 && sizeof(ScanRequest) == 96, "the kernel's");
constexpr std::uint64_t scan_file = 1U << 2;
constexpr std::uint64_t scan_present = 1U << 3;
constexpr std::uint64_t scan_swapped = 1U << 4;
constexpr unsigned long scan_call = _IOWR('f', 16, ScanRequest);

void add_to(std::vector<PageSpan>& runs, const PageSpan& run) {
    if (!runs.empty() && runs.back().offset + runs.back().bytes == run.offset) {
        runs.back().bytes += run.bytes;
    } else {
        runs.push_back(run);
    }
}

/// False: this kernel can not.
bool scan(int page_map, std::span<const std::byte> view, std::vector<PageSpan>& runs) {
    const auto base = reinterpret_cast<std::uintptr_t>(view.data());
    std::array<ScannedPages, 64> found{};
    ScanRequest request{};
    request.size = sizeof request;
    request.begin = base;
    request.end = base + (view.size() + page_bytes - 1) / page_bytes * page_bytes;
    request.found = reinterpret_cast<std::uintptr_t>(found.data());
    request.found_max = found.size();
    request.inverted = scan_file;
    request.wanted = scan_file;
    request.wanted_any = scan_present | scan_swapped;
    request.reported = scan_file;
    while (request.begin < request.end) {
        const int count = ::ioctl(page_map, scan_call, &request);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 || request.walked_to <= request.begin) return false;
        for (const ScannedPages& one : std::span(found).first(static_cast<std::size_t>(count))) {
            add_to(runs, {one.begin - base, one.end - one.begin});
        }
        request.begin = request.walked_to;
    }
    return true;
}

bool was_written_to(std::uint64_t entry) {
    return (entry & (entry_is_present | entry_is_swapped)) != 0 &&
           (entry & entry_is_of_a_file) == 0;
}

/// False: the kernel does not say.
bool read_page_by_page(int page_map, std::span<const std::byte> view, std::vector<PageSpan>& runs) {
    const std::uint64_t first = reinterpret_cast<std::uintptr_t>(view.data()) / page_bytes;
    const std::uint64_t pages = (view.size() + page_bytes - 1) / page_bytes;
    std::array<std::uint64_t, 1024> entries{};
    for (std::uint64_t page = 0; page < pages;) {
        const std::uint64_t count = std::min<std::uint64_t>(entries.size(), pages - page);
        const ssize_t read_bytes = ::pread(page_map, entries.data(), count * sizeof entries[0],
                                           static_cast<off_t>((first + page) * sizeof entries[0]));
        if (read_bytes < 0 && errno == EINTR) continue;
        if (read_bytes < static_cast<ssize_t>(sizeof entries[0])) return false;
        const std::uint64_t got = static_cast<std::uint64_t>(read_bytes) / sizeof entries[0];
        for (std::uint64_t i = 0; i < got; ++i) {
            if (was_written_to(entries[i])) add_to(runs, {(page + i) * page_bytes, page_bytes});
        }
        page += got;
    }
    return true;
}

/// Nothing of what was written there is left. The kernel forgets nothing of locked memory.
bool forget_pages(std::span<std::byte> pages) {
    if (::madvise(pages.data(), pages.size(), MADV_DONTNEED) == 0) return true;
    return ::munlock(pages.data(), pages.size()) == 0 &&
           ::madvise(pages.data(), pages.size(), MADV_DONTNEED) == 0;
}

Result<Descriptor> open_page_map() {
    Descriptor page_map(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    if (page_map) return page_map;
    return fail_errno(errno == EACCES || errno == EPERM ? Errc::no_permission : Errc::system,
                      "open /proc/self/pagemap (is /proc mounted? A process that is not dumpable "
                      "may not: setuid, file capabilities, PR_SET_DUMPABLE 0)",
                      errno);
}

}  // namespace

Result<PrivateView> PrivateView::map(const MemoryPlace& place, std::uint64_t bytes,
                                     PageQuery query) {
    auto page_map = open_page_map();
    if (!page_map) return tl::unexpected(page_map.error());
    auto object = Descriptor::duplicate(place.object);
    if (!object) return tl::unexpected(object.error());
    // Only address space: of the object as much will be mapped as a stay needs.
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    auto range = map_range({-1, 0, align_up(bytes, page_bytes), PROT_NONE, flags}, true);
    if (!range) return tl::unexpected(range.error());
    PrivateView view;
    view.range_ = std::move(*range);
    view.object_ = std::move(*object);
    view.page_map_ = std::move(*page_map);
    view.offset_ = place.offset;
    view.query_ = query;
    if (view.map_object(page_bytes)) return view;
    return fail_errno(errno == EACCES ? Errc::no_permission : Errc::system,
                      "map a memory object privately", errno);
}

Outcome<void> PrivateView::refresh(std::uint64_t bytes) {
    if (is_lost_) return fail(Errc::system);
    if (bytes > mapped_bytes_) return map_object(bytes) ? Outcome<void>() : fail(Errc::system);
    if (forget_changed()) return {};
    // Of what is still there, old words would be taken for new ones.
    is_lost_ = !map_object(mapped_bytes_);
    return is_lost_ ? Outcome<void>(fail(Errc::system)) : Outcome<void>();
}

/// To ask page by page takes longer than to read again what is looked at.
bool PrivateView::forget_changed() {
    if (query_ == PageQuery::page_by_page) return forget_pages(mapped());
    const auto runs = changed();
    if (!runs) return forget_pages(mapped());
    return std::all_of(runs->begin(), runs->end(), [&](const PageSpan& run) {
        return forget_pages(span().subspan(run.offset, run.bytes));
    });
}

Outcome<std::span<const PageSpan>> PrivateView::changed() {
    try {
        changed_.clear();
        if (query_ == PageQuery::fastest) {
            if (scan(page_map_.get(), mapped(), changed_)) return changed_;
            query_ = PageQuery::page_by_page;
            changed_.clear();
        }
        if (read_page_by_page(page_map_.get(), mapped(), changed_)) return changed_;
        return fail(Errc::system);
    } catch (const std::bad_alloc&) {
        return fail(Errc::out_of_memory);
    }
}

/// Anew, where it was: nothing of what was written before is left, locked or not. Nor does the
/// kernel copy all of it at once, as it does with locked memory that may be written to.
bool PrivateView::map_object(std::uint64_t bytes) {
    // Only what is written to takes memory: what there could be of it is not asked for.
    const int flags = MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED;
    const auto pages = span().first(align_up(bytes, page_bytes));
    const bool is_mapped = ::mmap(pages.data(), pages.size(), PROT_NONE, flags, object_.get(),
                                  static_cast<off_t>(offset_)) != MAP_FAILED &&
                           ::madvise(pages.data(), pages.size(), MADV_DONTFORK) == 0 &&
                           ::madvise(pages.data(), pages.size(), MADV_DONTDUMP) == 0 &&
                           ::munlock(pages.data(), pages.size()) == 0 &&
                           ::mprotect(pages.data(), pages.size(), PROT_READ | PROT_WRITE) == 0;
    mapped_bytes_ = is_mapped ? pages.size() : 0;
    return is_mapped;
}

}  // namespace shmpool
