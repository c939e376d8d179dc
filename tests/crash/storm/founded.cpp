// SPDX-License-Identifier: Apache-2.0
#include "founded.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <stdexcept>

#include "seats.hpp"
#include "tests/host/daemon.hpp"
#include "tests/peer/own_payload.hpp"

namespace shmpool::storm {
namespace {

constexpr std::uint64_t stat_block_bytes = 512;

bool is_founded(const HeapEntry& heap) {
    return heap.name.starts_with("founded-") || heap.name.starts_with("own-");
}

/// By the kernel's word; this process is attached.
std::uint64_t backed_payload_bytes() {
    struct stat status {};
    if (::fstat(test::own_payload_descriptor(), &status) != 0) {
        throw std::runtime_error("fstat of the payload");
    }
    return static_cast<std::uint64_t>(status.st_blocks) * stat_block_bytes;
}

void look_at_own(const Peer& peer, const Board& board, std::vector<std::string>& faults) {
    for (std::size_t seat = 0; seat < seats.size(); ++seat) {
        const std::string name = own_name(seat);
        if (board->records[seat].own_heap.settle(
                [&](std::size_t) { return has_heap(peer, name); }) != 0) {
            faults.push_back("heap " + name + " was lost, or is there again");
        }
    }
}

void look_into(Peer& peer, const std::string& name, std::vector<std::string>& faults) {
    const auto findings = peer.audit_heap(name);
    if (!findings) return faults.push_back("audit of " + name + ": " + findings.error().message);
    for (const HeapFinding& one : *findings) {
        faults.push_back(name + ", at " + std::to_string(one.at) + ": " + one.text);
    }
}

/// Who had it open is gone, and is taken back before long.
void destroy(Peer& peer, const std::string& name, std::vector<std::string>& faults) {
    Result<void> done;
    (void)test::eventually([&] {
        done = peer.destroy_heap(name);
        return done || done.error().code != Errc::heap_in_use;
    });
    if (!done) faults.push_back("destroy " + name + ": " + done.error().message);
}

void expect_memory(const SegmentHeader& header, const MemoryInUse& at_first,
                   std::vector<std::string>& faults) {
    MemoryInUse now;
    const bool is_right = test::eventually([&] {
        now = memory_in_use(header);
        return now == at_first;
    });
    if (is_right) return;
    const auto text = [](const MemoryInUse& one) {
        return std::to_string(one.shown) + " bytes shown, " + std::to_string(one.backed) +
               " of the payload taken";
    };
    faults.push_back("after all heaps have gone: " + text(now) + "; at first " + text(at_first));
}

}  // namespace

std::string founded_name(std::uint64_t number) {
    return "founded-" + std::to_string(number);
}
std::string own_name(std::size_t seat) {
    return "own-" + std::to_string(seat);
}

bool has_heap(const Peer& peer, const std::string& name) {
    const auto all = peer.heaps();
    return all && std::ranges::count(*all, name, &HeapEntry::name) != 0;
}

MemoryInUse memory_in_use(const SegmentHeader& header) {
    return {header.committed_bytes.load(std::memory_order_relaxed), backed_payload_bytes()};
}

std::vector<std::string> end_founded(Peer& peer, const Board& board, const SegmentHeader& header,
                                     const MemoryInUse& at_first) {
    std::vector<std::string> faults;
    look_at_own(peer, board, faults);
    const auto all = peer.heaps();
    if (!all) return {"the table of heaps can not be read: " + all.error().message};
    for (const HeapEntry& one : *all) {
        if (!is_founded(one)) continue;
        look_into(peer, one.name, faults);
        destroy(peer, one.name, faults);
    }
    expect_memory(header, at_first, faults);
    return faults;
}

}  // namespace shmpool::storm
