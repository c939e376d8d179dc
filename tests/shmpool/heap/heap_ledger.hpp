// SPDX-License-Identifier: Apache-2.0
/// Who works in a heap until he is killed, and who keeps the account: the worker says through a
/// pipe what he begins and what has returned; the ledger then knows what must be in the heap,
/// whoever has died when. What was begun and not heard of again may have happened or not.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "shmpool/heap/heap_file.hpp"

namespace shmpool::test {

enum class Said : std::uint32_t { took, begins_with, gave, pinned, unpinned };

struct Report {
    Said said;
    std::uint32_t stamp;  ///< What the block was filled with.
    HeapOffset offset;    ///< Of pages: the id.
    std::uint64_t len;
};

class Reporter {
public:
    explicit Reporter(int pipe) : pipe_(pipe) {}
    void say(const Report& report) const {
        if (::write(pipe_, &report, sizeof report) != sizeof report) ::_exit(9);
    }

private:
    int pipe_;
};

inline void fill(std::span<std::byte> bytes, std::uint32_t stamp) {
    std::ranges::fill(bytes, static_cast<std::byte>(stamp));
}
inline bool is_filled(std::span<const std::byte> bytes, std::uint32_t stamp) {
    return std::ranges::all_of(bytes,
                               [&](std::byte one) { return one == static_cast<std::byte>(stamp); });
}
/// What of a page its user writes: a free one has a header.
inline std::span<std::byte> content_of(PageChain& pages, std::span<std::byte> memory, PageId page) {
    return memory.subspan(pages.offset_of(page).value(), pages.bytes_per_page()).subspan(64);
}

/// `steps` operations; what goes wrong ends the process with another code than 0.
inline void work(StackHeap& heap, const Reporter& reporter, unsigned seed, int steps) {
    const HeapHolder me = HeapFile::this_thread();
    const bool is_linear = heap.kind() == HeapKind::linear;
    std::mt19937 random(seed);
    std::vector<StackHandle> mine;
    for (std::uint32_t stamp = 1; steps > 0; --steps, ++stamp) {
        const std::uint64_t len = 1 + random() % 700;
        if (!mine.empty() && !is_linear) std::swap(mine[random() % mine.size()], mine.back());
        Outcome<StackHandle> block;
        const auto choice = random() % 5;
        if (mine.size() < 4 || (choice < 2 && mine.size() < 30)) {
            block = heap.alloc(me, len);
        } else {
            reporter.say({Said::begins_with, 0, mine.back().offset, mine.back().len});
            if (choice == 4) {
                block = heap.realloc(me, mine.back(), len);
            } else if (!heap.dealloc(me, mine.back())) {
                ::_exit(8);
            }
            if (choice != 4 || block) {
                reporter.say({Said::gave, 0, mine.back().offset, mine.back().len});
                mine.pop_back();
            }
            if (choice != 4) continue;
        }
        if (!block) ::_exit(7);
        mine.push_back(*block);
        fill(heap.stack().value().subspan(block->offset, block->len), stamp);
        reporter.say({Said::took, stamp, block->offset, block->len});
    }
}

inline void work(PageChain& pages, std::span<std::byte> memory, const Reporter& reporter,
                 unsigned seed, int steps) {
    const HeapHolder me = HeapFile::this_thread();
    std::mt19937 random(seed);
    std::vector<PageId> mine;
    for (std::uint32_t stamp = 1; steps > 0; --steps, ++stamp) {
        const auto choice = random() % 6;
        if (mine.size() < 4 || (choice < 2 && mine.size() < 20)) {
            const auto page = pages.allocate(me);
            if (!page) ::_exit(7);
            fill(content_of(pages, memory, *page), stamp);
            mine.push_back(*page);
            reporter.say({Said::took, stamp, *page, 0});
            continue;
        }
        std::swap(mine[random() % mine.size()], mine.back());
        const PageId page = mine.back();
        reporter.say({Said::begins_with, 0, page, 0});
        if (choice == 2) {
            if (!pages.pin(me, page)) ::_exit(6);
            reporter.say({Said::pinned, 0, page, 0});
        } else if (const auto freed = pages.free(me, page); freed) {
            reporter.say({Said::gave, 0, page, 0});
            mine.pop_back();
        } else {
            if (freed.error() != Errc::pinned || !pages.unpin(me, page)) ::_exit(5);
            reporter.say({Said::unpinned, 0, page, 0});
        }
    }
}

/// What is live by what was heard. Empty strings: all is as it must be.
class Ledger {
public:
    void hear(const Report& report) {
        doubtful_.reset();
        switch (report.said) {
            case Said::took: live_[report.offset] = {report.stamp, report.len, 0}; break;
            case Said::begins_with: doubtful_ = report.offset; break;
            case Said::gave: live_.erase(report.offset); break;
            case Said::pinned: ++live_[report.offset].pins; break;
            case Said::unpinned: --live_[report.offset].pins; break;
        }
        // A block that has moved: given, and its successor not yet filled.
        ++heard_;
    }
    /// To the end of the pipe.
    void hear_all(int pipe) {
        Report report{};
        while (::read(pipe, &report, sizeof report) == sizeof report) hear(report);
    }
    [[nodiscard]] std::uint64_t heard() const { return heard_; }

    [[nodiscard]] std::string compare(HeapFile& file) const {
        const auto findings = file.audit();
        if (!findings) return findings.error().message;
        if (!findings->empty()) return findings->front().text;
        return file.kind() == HeapKind::page_chain ? compare_pages(file) : compare_blocks(file);
    }

private:
    struct Live {
        std::uint32_t stamp = 0;
        std::uint64_t len = 0;
        int pins = 0;
    };

    [[nodiscard]] std::string compare_blocks(HeapFile& file) const {
        StackHeap& heap = *file.stack_heap().value();
        const HeapHolder me = HeapFile::this_thread();
        const bool is_linear = file.kind() == HeapKind::linear;
        const std::uint64_t known = live_.size();
        const std::uint64_t blocks = heap.statistics(me)->blocks;
        if (!is_linear && (blocks + 1 < known || blocks > known + 1)) {
            return std::to_string(blocks) + " blocks instead of " + std::to_string(known);
        }
        for (const auto& [offset, live] : live_) {
            if (offset == doubtful_) continue;
            const std::string at = "the block at " + std::to_string(offset);
            const auto bytes = heap.stack().value().subspan(offset, live.len);
            if (!is_filled(bytes, live.stamp)) return at + " holds something else";
            if (!is_linear && !heap.dealloc(me, {offset, live.len})) return at + " is not there";
        }
        return {};
    }

    [[nodiscard]] std::string compare_pages(HeapFile& file) const {
        PageChain& pages = *file.page_chain().value();
        const HeapHolder me = HeapFile::this_thread();
        const PageChainStatistics now = pages.statistics(me).value();
        const std::uint64_t known = live_.size() + 2;
        if (now.allocated + 1 < known || now.allocated > known + 1) {
            return std::to_string(now.allocated) + " pages instead of " + std::to_string(known);
        }
        for (const auto& [page, live] : live_) {
            if (page == doubtful_) continue;
            const std::string name = "page " + std::to_string(page);
            if (!is_filled(content_of(pages, file.memory(), page), live.stamp)) {
                return name + " holds something else";
            }
            for (int i = 0; i < live.pins; ++i) {
                if (!pages.unpin(me, page)) return name + " has lost a pin";
            }
            if (!pages.free(me, page)) return name + " is free, or has a pin too many";
        }
        return {};
    }

    std::map<HeapOffset, Live> live_;
    std::optional<HeapOffset> doubtful_;
    std::uint64_t heard_ = 0;
};

}  // namespace shmpool::test
