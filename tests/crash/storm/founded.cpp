// SPDX-License-Identifier: Apache-2.0
#include "founded.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <stdexcept>

#include "seats.hpp"
#include "shmpool/pool/growth.hpp"
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

void shrink(Peer& peer, const ClassView& size_class, std::vector<std::string>& faults) {
    const std::uint32_t at_first = size_class.extent(0).slot_count;
    const auto left = peer.shrink_class(size_class.slot_bytes);
    if (left && *left == at_first) return;
    faults.push_back("shrink the class of " + std::to_string(size_class.slot_bytes) + ": " +
                     (left ? std::to_string(*left) + " slots are left" : left.error().message));
}

void expect_memory(const SegmentHeader& header, const PoolView& pool, const MemoryInUse& at_first,
                   std::vector<std::string>& faults) {
    MemoryInUse now;
    const bool is_right = test::eventually([&] {
        now = memory_in_use(header, pool);
        return now == at_first;
    });
    if (is_right) return;
    const auto text = [](const MemoryInUse& one) {
        return std::to_string(one.shown) + " bytes shown, " + std::to_string(one.backed) +
               " of the payload taken";
    };
    faults.push_back("after all heaps and extents have gone: " + text(now) + "; at first " +
                     text(at_first));
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

MemoryInUse memory_in_use(const SegmentHeader& header, const PoolView& pool) {
    std::uint64_t shown = header.committed_bytes.load(std::memory_order_relaxed);
    for (std::uint32_t index = 0; index < pool.class_count; ++index) {
        shown += unused_records(pool, index).bytes;
    }
    return {shown, backed_payload_bytes()};
}

std::vector<std::string> end_founded(Peer& peer, const Board& board, const SegmentHeader& header,
                                     const PoolView& pool, const MemoryInUse& at_first) {
    std::vector<std::string> faults;
    look_at_own(peer, board, faults);
    const auto all = peer.heaps();
    if (!all) return {"the table of heaps can not be read: " + all.error().message};
    for (const HeapEntry& one : *all) {
        if (!is_founded(one)) continue;
        look_into(peer, one.name, faults);
        destroy(peer, one.name, faults);
    }
    for (const ClassView& one : pool.all_classes()) shrink(peer, one, faults);
    expect_memory(header, pool, at_first, faults);
    return faults;
}

}  // namespace shmpool::storm
