// SPDX-License-Identifier: Apache-2.0
/// See heap_sync.hpp.
#include "shmpool/heap/heap_sync.hpp"

#include <algorithm>
#include <new>

namespace shmpool {

void FileChanges::wrote(std::span<const std::byte> bytes) noexcept {
    if (when_ != HeapSync::each_change || bytes.empty()) return;
    const auto at = static_cast<std::uint64_t>(bytes.data() - memory_.data());
    const Pages pages{at / page_bytes, (at + bytes.size() - 1) / page_bytes + 1};
    // Most stores are to a page that the last few were to: journal, header, and one more.
    for (auto one = written_.rbegin(); one != written_.rend() && one - written_.rbegin() < 4;
         ++one) {
        if (pages.begin >= one->begin && pages.end <= one->end) return;
    }
    note(pages);
}

void FileChanges::note(const Pages& pages) noexcept {
    try {
        written_.push_back(pages);
    } catch (const std::bad_alloc&) {
        written_.clear();  // There is room for one from the beginning.
        written_.push_back({0, (memory_.size() - 1) / page_bytes + 1});
    }
}

void FileChanges::sync() {
    if (written_.empty()) return;
    std::ranges::sort(written_, {}, &Pages::begin);
    Pages run = written_.front();
    for (const Pages& one : written_) {
        if (one.begin > run.end + gap_max) {
            sync_run(run);
            run = one;
        }
        run.end = std::max(run.end, one.end);
    }
    sync_run(run);
    written_.clear();
}

void FileChanges::sync_run(const Pages& run) {
    const std::uint64_t begin = run.begin * page_bytes;
    const std::uint64_t end = std::min<std::uint64_t>(run.end * page_bytes, memory_.size());
    const int error_number = sync_(memory_.subspan(begin, end - begin));
    if (error_number != 0 && !failed()) {
        error_number_.store(error_number, std::memory_order_relaxed);
    }
}

}  // namespace shmpool
