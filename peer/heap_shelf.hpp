// SPDX-License-Identifier: Apache-2.0
/// Which heaps a peer has open. The host knows of one opening for each heap and peer, however many
/// handles there are: the first handle opens it, the last one closes it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>

#include "protocol/heap_table.hpp"
#include "shmpool/heap/heap_origin.hpp"
#include "shmpool/platform/private_view.hpp"

namespace shmpool {

class PeerCore;

/// One open heap. As long as it lives the host does not destroy it, and its memory stays mapped.
class HeapUse {
public:
    HeapUse(std::shared_ptr<PeerCore> core, HeapEntry entry, std::span<std::byte> memory,
            HeapOrigin origin)
        : core_(std::move(core)), entry_(std::move(entry)), memory_(memory), origin_(origin) {}
    ~HeapUse();
    HeapUse(const HeapUse&) = delete;
    HeapUse& operator=(const HeapUse&) = delete;

    [[nodiscard]] PeerCore& core() const { return *core_; }
    /// As it was when it was opened.
    [[nodiscard]] const HeapEntry& entry() const { return entry_; }
    [[nodiscard]] std::span<std::byte> memory() const { return memory_; }
    /// Of the offsets that it hands out, the same in every process.
    [[nodiscard]] HeapOrigin origin() const { return origin_; }
    /// The object that it lies in, and where.
    [[nodiscard]] MemoryPlace place() const;

private:
    std::shared_ptr<PeerCore> core_;
    HeapEntry entry_;
    std::span<std::byte> memory_;
    HeapOrigin origin_;
};

/// Threads.
class HeapShelf {
public:
    /// no_heap, damaged_header, and what requests say.
    [[nodiscard]] Result<std::shared_ptr<HeapUse>> open(const std::shared_ptr<PeerCore>& core,
                                                        std::string_view name);

private:
    friend class HeapUse;
    void closed(PeerCore& core, std::uint32_t heap_index);

    std::mutex mutex_;
    std::map<std::uint32_t, std::weak_ptr<HeapUse>> open_;
};

}  // namespace shmpool
