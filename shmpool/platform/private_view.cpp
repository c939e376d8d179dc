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
#include <optional>
#include <utility>

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

class RunList {
public:
    void add(const PageSpan& run) {
        if (!runs_.empty() && runs_.back().offset + runs_.back().bytes == run.offset) {
            runs_.back().bytes += run.bytes;
        } else {
            runs_.push_back(run);
        }
    }
    std::vector<PageSpan> take() { return std::move(runs_); }

private:
    std::vector<PageSpan> runs_;
};

/// None: this kernel can not.
std::optional<std::vector<PageSpan>> scan(int page_map, std::span<const std::byte> view) {
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
    RunList runs;
    while (request.begin < request.end) {
        const int count = ::ioctl(page_map, scan_call, &request);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 || request.walked_to <= request.begin) return std::nullopt;
        for (const ScannedPages& one : std::span(found).first(static_cast<std::size_t>(count))) {
            runs.add({one.begin - base, one.end - one.begin});
        }
        request.begin = request.walked_to;
    }
    return runs.take();
}

bool was_written_to(std::uint64_t entry) {
    return (entry & (entry_is_present | entry_is_swapped)) != 0 &&
           (entry & entry_is_of_a_file) == 0;
}

Result<std::vector<PageSpan>> read_page_by_page(int page_map, std::span<const std::byte> view) {
    const std::uint64_t first = reinterpret_cast<std::uintptr_t>(view.data()) / page_bytes;
    const std::uint64_t pages = (view.size() + page_bytes - 1) / page_bytes;
    std::array<std::uint64_t, 1024> entries{};
    RunList runs;
    for (std::uint64_t page = 0; page < pages;) {
        const std::uint64_t count = std::min<std::uint64_t>(entries.size(), pages - page);
        const ssize_t read_bytes = ::pread(page_map, entries.data(), count * sizeof entries[0],
                                           static_cast<off_t>((first + page) * sizeof entries[0]));
        if (read_bytes < 0 && errno == EINTR) continue;
        if (read_bytes < static_cast<ssize_t>(sizeof entries[0])) {
            return fail_errno(Errc::system, "read which pages were written to", errno);
        }
        const std::uint64_t got = static_cast<std::uint64_t>(read_bytes) / sizeof entries[0];
        for (std::uint64_t i = 0; i < got; ++i) {
            if (was_written_to(entries[i])) runs.add({(page + i) * page_bytes, page_bytes});
        }
        page += got;
    }
    return runs.take();
}

}  // namespace

Result<PrivateView> PrivateView::map(const MemoryPlace& place, std::uint64_t bytes,
                                     PageQuery query) {
    PrivateView view;
    view.query_ = query;
    view.page_map_ = Descriptor(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    if (!view.page_map_) {
        return fail_errno(errno == EACCES || errno == EPERM ? Errc::no_permission : Errc::system,
                          "open /proc/self/pagemap (is /proc mounted?)", errno);
    }
    // Only what is written to takes memory: what there could be of it is not asked for.
    const int flags = MAP_PRIVATE | MAP_NORESERVE;
    auto range =
        map_range({place.object.get(), place.offset, bytes, PROT_READ | PROT_WRITE, flags}, true);
    if (!range) return tl::unexpected(range.error());
    view.range_ = std::move(*range);
    return view;
}

Result<std::vector<PageSpan>> PrivateView::changed() {
    if (query_ == PageQuery::fastest) {
        if (auto runs = scan(page_map_.get(), span())) return std::move(*runs);
        query_ = PageQuery::page_by_page;
    }
    return read_page_by_page(page_map_.get(), span());
}

void PrivateView::forget(std::span<const PageSpan> runs) {
    for (const PageSpan& run : runs) {
        (void)::madvise(span().data() + run.offset, run.bytes, MADV_DONTNEED);
    }
}

void PrivateView::forget_all() {
    (void)::madvise(span().data(), span().size(), MADV_DONTNEED);
}

}  // namespace shmpool
