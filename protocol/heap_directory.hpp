// SPDX-License-Identifier: Apache-2.0
/// The host's verbs on heaps: which there are, where each lies in the memory of heaps, and who has
/// it open. What is inside of a heap is its users' own affair (shmpool/heap); the host touches no
/// more of it than the lock of one whose holder has died.
///
/// A heap's memory is committed before anybody hears of it, and given back when it is destroyed,
/// which is refused while anybody has it open. Where there is room follows from the table alone, so
/// a host that dies in the middle of a verb leaves nothing that the next one can not see: what was
/// being created is taken back, what was being destroyed is destroyed.
///
/// Host only, one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "protocol/heap_request.hpp"
#include "protocol/heap_table.hpp"
#include "shmpool/heap/heap_owner.hpp"
#include "shmpool/pool/pool_view.hpp"

namespace shmpool {

class HeapDirectory {
public:
    /// `memory`: the segment's region heap_memory. All of them outlive this.
    HeapDirectory(const Segment& segment, const PoolView& pool, const ProtocolView& view,
                  const Segment::Region& memory)
        : segment_(segment), pool_(pool), view_(view), memory_(memory) {}

    /// invalid_argument, name_taken, too_many_heaps, no_heap_room, out_of_memory, and what
    /// format_heap says. Takes as long as the kernel needs to commit the memory.
    [[nodiscard]] Result<HeapId> create(const HeapRequest& request);
    /// From now on it has `to_bytes`, whole pages of them; it has more already: nothing happens.
    /// no_heap, unsupported, no_heap_room (more than it may have), out_of_memory, would_block
    /// (somebody is in it for longer than a moment), and what grow_heap says. To ask again after an
    /// error loses nothing; what it was to have is given back.
    [[nodiscard]] Result<void> grow(HeapId id, std::uint64_t to_bytes);
    /// The peer uses it from now on; twice is once. no_heap.
    [[nodiscard]] Result<HeapId> open(std::string_view name, std::uint32_t peer_index);
    /// False: the peer does not have it open.
    bool close(std::uint32_t heap_index, std::uint32_t peer_index);
    /// Done already: nothing happens. heap_in_use; no_heap: no heap ever had that index.
    [[nodiscard]] Result<void> destroy(HeapId id);

    /// The peer is dead, or has left, and its lanes are still its own: what it had locked is free
    /// for the next, who finds what is to be undone; and it has nothing open. Idempotent.
    void peer_gone(std::uint32_t peer_index);
    /// Frees what the gone have left in heaps with on_death = reclaim, as far as nobody is in them
    /// just now: how many blocks, pages and ids. `is_gone` is asked about owners of lanes.
    std::uint64_t reclaim(const IsGone& is_gone);
    /// Somebody has gone, or another host has ended, and `reclaim` has not yet been everywhere.
    [[nodiscard]] bool has_to_reclaim() const { return !to_reclaim_.empty(); }
    /// After another host: ends what that one has begun.
    void take_over();

private:
    [[nodiscard]] Result<void> check_request(const HeapRequest& request) const;
    [[nodiscard]] Result<std::uint32_t> free_place() const;
    [[nodiscard]] std::optional<std::uint64_t> find_room(std::uint64_t bytes,
                                                         std::uint64_t alignment) const;
    [[nodiscard]] Result<void> make(HeapImage& heap, const HeapRequest& request);
    [[nodiscard]] Result<void> commit_memory(HeapImage& heap, std::uint64_t from_bytes,
                                             std::uint64_t to_bytes);
    [[nodiscard]] Result<void> make_larger(HeapImage& heap, std::uint64_t has_bytes,
                                           std::uint64_t to_bytes);
    [[nodiscard]] tl::unexpected<Error> fail_to_enter(const HeapEntry& heap) const;
    [[nodiscard]] bool note_growth(HeapImage& heap);
    void give_back_unused(const HeapImage& heap) const;
    void take_back(HeapImage& heap);
    void note_to_reclaim(std::uint32_t index);
    void show_committed() const;
    [[nodiscard]] std::span<std::byte> memory_of(const HeapImage& heap) const;

    const Segment& segment_;
    const PoolView& pool_;
    const ProtocolView& view_;
    Segment::Region memory_;
    std::set<std::uint32_t> to_reclaim_;  ///< Indices of heaps.
};

}  // namespace shmpool
