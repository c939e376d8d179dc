// SPDX-License-Identifier: Apache-2.0
/// The host's verbs on heaps: which there are, where each lies in the memory of heaps, and who has
/// it open. What is inside of a heap is its users' own affair (shmpool/heap); the host formats it,
/// lets it grow, frees what the dead have left in it, and frees its lock when the holder has died.
///
/// A heap's memory is committed before anybody hears of it, and given back when it is destroyed,
/// which is refused while anybody has it open. Where there is room follows from the table alone, so
/// a host that dies in the middle of a verb leaves nothing that the next one can not see: what was
/// being created is taken back, what was being destroyed is destroyed.
///
/// Memory takes its time (memory_pieces.hpp). So create, grow and destroy only begin their work
/// (heap_work.hpp), and `do_a_piece` does one piece of it; others are served between two pieces. A
/// heap has one work at most: `creating` and `destroying` in the table are works, but for those of
/// another host, which `take_over` begins anew; a heap that grows is `open` all the while. Works
/// take turns, so a small one does not wait for a large one.
///
/// The lock of a heap names a lane. A word that names one which is nobody's was written by somebody
/// who wrote over it: none of the living will ever unlock it, and no death is its holder's. So the
/// host passes such a lock on too. What must never happen is that a living peer loses its lock, and
/// a lane that is nobody's may be claimed at any instant. But a peer claims a lane first, and locks
/// with it then; so the host claims the lane itself. If it can not, somebody has it, and the lock
/// stays. If it can, nobody has locked with it, and nobody will before the host lets go of it: the
/// lock, which still names that lane, is an orphan from then on. A host that dies in between leaves
/// a lane that is nobody's and that nobody can claim; the next one sees it by its owner.
///
/// Host only, one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/heap_work.hpp"
#include "protocol/memory_pieces.hpp"
#include "shmpool/heap/heap_owner.hpp"
#include "shmpool/pool/pool_view.hpp"

namespace shmpool {

class HeapDirectory {
public:
    /// `memory`: the segment's region heap_memory. All of them outlive this. Builds heaps in turn,
    /// until `build_with`.
    HeapDirectory(const Segment& segment, const PoolView& pool, const ProtocolView& view,
                  const Segment::Region& memory, PieceRules pieces = {})
        : segment_(segment),
          pool_(pool),
          view_(view),
          memory_(memory),
          pieces_(std::move(pieces)),
          backed_to_(view.heaps.count),
          last_incarnation_(find_last_incarnation()) {}

    /// invalid_argument, name_taken (also of one that is being created), too_many_heaps,
    /// no_heap_room, out_of_memory, and at the end what format_heap says. Who asks with the ticket
    /// of one that is being created waits for that one. Room that is being given back is waited
    /// for.
    [[nodiscard]] Result<HeapWorkId> create(const HeapRequest& request);
    /// At the end it has `to_bytes`, whole pages of them; it has more already: nothing happens.
    /// no_heap (it may be destroyed meanwhile), unsupported, no_heap_room (more than it may have),
    /// out_of_memory, would_block (somebody is in it for longer than a moment, or another growth of
    /// it is not yet over), and what grow_heap says. To ask again after an error loses nothing;
    /// what it was to have is given back.
    [[nodiscard]] Result<HeapWorkId> grow(HeapId id, std::uint64_t to_bytes);
    /// The peer uses it from now on; twice is once. no_heap.
    [[nodiscard]] Result<HeapId> open(std::string_view name, std::uint32_t peer_index);
    /// False: the peer does not have it open.
    bool close(std::uint32_t heap_index, std::uint32_t peer_index);
    /// Nobody can open it from now on. Done already: nothing happens. A growth of it ends with
    /// no_heap. heap_in_use; would_block: it is being created; no_heap: none ever had the index.
    [[nodiscard]] Result<HeapWorkId> destroy(HeapId id);

    /// From now on that one builds them; nothing is in hand now. It outlives all calls of this, and
    /// whoever hears from it that something is built calls `do_a_piece`.
    void build_with(HeapBuilder& builder) { builder_ = &builder; }

    /// There is a piece to be done now. What waits for room does so for another work, what is in
    /// the builder's hands for him.
    [[nodiscard]] bool has_work() const;
    /// A heap of this name is being created: by that work, if so.
    [[nodiscard]] std::optional<HeapWorkId> making(std::string_view name) const;
    /// Of the work whose turn it is. Returns what is over.
    [[nodiscard]] std::vector<HeapDone> do_a_piece();
    /// All works to their ends, in one go: for who serves nobody yet, and builds in turn. Returns
    /// what this one came to.
    [[nodiscard]] Result<HeapId> finish(HeapWorkId work);
    /// Nobody waits for it any more: what is being created is taken back, what a heap was to have
    /// is given back; what is being destroyed is destroyed.
    void give_up(HeapWorkId work);

    /// The peer is dead, or has left, and its lanes are still its own: what it had locked is free
    /// for the next, who finds what is to be undone; and it has nothing open. Idempotent.
    void peer_gone(std::uint32_t peer_index);
    /// Frees what the gone have left in heaps with on_death = reclaim, as far as nobody is in them
    /// just now: how many blocks, pages and ids. `is_gone` is asked about owners of lanes. Before
    /// that, locks that name nobody are passed on; a heap with such a lock is damaged.
    std::uint64_t reclaim(const IsGone& is_gone);
    /// `reclaim` has not yet been everywhere: somebody has gone, another host has ended, or memory
    /// is to be given back of a heap in which somebody was.
    [[nodiscard]] bool has_to_reclaim() const {
        return !to_reclaim_.empty() || !to_give_back_.empty();
    }
    /// After another host: begins to end what that one has begun.
    void take_over();

private:
    // heap_directory.cpp: what is in the table.
    [[nodiscard]] Result<void> check_request(const HeapRequest& request) const;
    [[nodiscard]] Result<std::uint32_t> free_place() const;
    [[nodiscard]] std::optional<std::uint64_t> find_room(std::uint64_t bytes,
                                                         std::uint64_t alignment) const;
    [[nodiscard]] static tl::unexpected<Error> fail_to_enter(std::string_view name);
    void note_to_reclaim(std::uint32_t index);
    void pass_on_locks_of_nobody(const IsGone& is_gone);
    [[nodiscard]] bool pass_on_lock_of_nobody(HeapLock& lock, const IsGone& is_gone) const;
    void let_go_of_lanes() const;
    void show_committed() const;
    [[nodiscard]] std::span<std::byte> memory_of(const HeapImage& heap) const;

    // heap_directory_works.cpp: what takes more than one turn.
    [[nodiscard]] HeapWork work_on(HeapTask task, HeapId heap) const;
    HeapWorkId add(HeapWork work);
    [[nodiscard]] const HeapWork* find_work(std::uint32_t heap_index) const;
    [[nodiscard]] const HeapWork* find_making(std::string_view name) const;
    [[nodiscard]] bool is_giving_back() const;
    [[nodiscard]] std::uint32_t find_last_incarnation() const;
    void let_those_try_who_wait();
    [[nodiscard]] HeapWorkId note_done(HeapId heap);
    template <typename Step>
    void step(std::deque<HeapWork>::iterator of_work, Step&& what);
    void go_on(HeapWork& work);
    void have_built(HeapWork& work, HeapBuilder::Task task);
    void collect_built();
    void withdraw(HeapWork& work);
    void go_on_built(HeapWork& work, const Result<void>& built);
    void end(HeapWork& work, Result<HeapId> result);
    void end_after_giving_back(HeapWork& work);

    // heap_directory_tasks.cpp: what is done then.
    [[nodiscard]] Result<void> place(HeapWork& work);
    void announce(HeapWork& work, std::uint64_t offset);
    void go_on_making(HeapWork& work);
    void make_of_memory(HeapWork& work);
    void note_made(HeapWork& work, const Result<void>& made);
    void fail_making(HeapWork& work, const Error& error);

    void go_on_growing(HeapWork& work);
    void note_grown(HeapWork& work, const Result<void>& grown);
    [[nodiscard]] bool note_growth(HeapImage& heap);
    void fail_growing(HeapWork& work, const Error& error);

    void give_back_unused(HeapId heap);
    [[nodiscard]] bool give_back_by_now(std::uint32_t index);
    void begin_to_give_back(HeapWork& work);
    void go_on_giving_back(HeapWork& work);
    HeapWorkId take_back(HeapId heap);
    [[nodiscard]] HeapWorkId take_back_instead(HeapId heap);
    void begin_to_take_back(HeapWork& work);
    void go_on_taking_back(HeapWork& work);

    [[nodiscard]] Result<void> commit_piece(HeapWork& work);
    void punch_piece(HeapWork& work);
    [[nodiscard]] std::uint64_t in_payload(const HeapWork& work) const;
    [[nodiscard]] ByteRange left_of(const HeapWork& work) const;
    [[nodiscard]] HeapImage& image_of(const HeapWork& work) const;

    const Segment& segment_;
    const PoolView& pool_;
    const ProtocolView& view_;
    Segment::Region memory_;
    MemoryPieces pieces_;
    HeapBuilderInTurn in_turn_;
    HeapBuilder* builder_ = &in_turn_;
    std::set<std::uint32_t> to_reclaim_;    ///< Indices of heaps.
    std::set<std::uint32_t> to_give_back_;  ///< The same.
    std::deque<HeapWork> works_;            ///< The first that is in nobody's hands is the next.
    std::deque<HeapWork> waiting_;  ///< For room that others give back; the oldest is first.
    std::vector<HeapDone> done_;
    HeapWorkId last_work_ = 0;
    /// Of each heap: behind that there is no memory. More than it has, behind a growth that failed.
    std::vector<std::uint64_t> backed_to_;
    std::uint32_t last_incarnation_;
};

}  // namespace shmpool
