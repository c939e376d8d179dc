// SPDX-License-Identifier: Apache-2.0
/// The name and the sentence of every error code, in one table. The switch has no default, so that
/// the compiler finds a code without an entry; it is long because the table is.
#include "shmpool/platform/result.hpp"

#include <system_error>

namespace shmpool {
namespace {

struct Entry {
    std::string_view name;
    std::string_view sentence;
};

constexpr Entry entry_of(Errc code) noexcept {
    switch (code) {
        case Errc::system:
            return {"system", "The operating system refused a call; the message says which."};
        case Errc::out_of_memory:
            return {
                "out_of_memory",
                "There is not enough memory; ask for less, or raise the limit of the machine or "
                "of the control group."};
        case Errc::descriptor_limit:
            return {"descriptor_limit",
                    "No file descriptor is left; raise the limit of open files (ulimit -n)."};
        case Errc::no_permission:
            return {"no_permission",
                    "The operating system does not permit it; run as the right user, or change the "
                    "host's access rules."};
        case Errc::invalid_argument:
            return {"invalid_argument",
                    "An argument is outside of what the function allows; see its contract."};
        case Errc::invalid_config:
            return {
                "invalid_config",
                "The configuration is not valid; the message names the key and what it may be."};
        case Errc::no_classes:
            return {"no_classes", "A pool needs at least one size class; name one."};
        case Errc::too_many_classes:
            return {"too_many_classes",
                    "The pool has more size classes than the layout can hold; merge some."};
        case Errc::zero_slot_size:
            return {"zero_slot_size", "A size class has slots of size 0; give it a size."};
        case Errc::zero_slot_count:
            return {"zero_slot_count", "A size class has no slots; give it a count, or drop it."};
        case Errc::slot_too_large:
            return {"slot_too_large",
                    "A slot size is larger than the layout allows; use a smaller one."};
        case Errc::too_many_slots:
            return {"too_many_slots",
                    "A size class has more slots than the layout allows; use fewer."};
        case Errc::duplicate_class:
            return {"duplicate_class",
                    "Two size classes have the same slot size; merge them into one."};
        case Errc::size_overflow:
            return {"size_overflow",
                    "The sizes add up to more than 64 bits can say; ask for less."};
        case Errc::misaligned_base:
            return {"misaligned_base",
                    "The base of the region is not aligned as the layout demands; align it."};
        case Errc::region_too_small:
            return {"region_too_small",
                    "The region is smaller than the configuration needs; see required_size."};
        case Errc::not_yet_published:
            return {"not_yet_published",
                    "Its creator has not finished yet; try again until your deadline."};
        case Errc::wrong_magic:
            return {"wrong_magic", "This memory is no shmpool segment; check what was passed."};
        case Errc::wrong_layout_version:
            return {"wrong_layout_version",
                    "The segment has another layout version than this build; use the same release "
                    "on both sides."};
        case Errc::wrong_fingerprint:
            return {"wrong_fingerprint",
                    "The segment was laid out by a build that differs from this one; use the same "
                    "build on both sides."};
        case Errc::damaged_header:
            return {"damaged_header",
                    "The header contradicts itself or the size of the memory; 'shmpool rebuild' "
                    "makes the pool anew."};
        case Errc::config_mismatch:
            return {
                "config_mismatch",
                "The memory was made with another configuration; use the one it was made with."};
        case Errc::too_large:
            return {
                "too_large",
                "No size class has slots this large; ask for less, or configure a larger class."};
        case Errc::exhausted:
            return {"exhausted",
                    "Every slot that would fit is in use; free some, wait, or configure more."};
        case Errc::quota_exceeded:
            return {
                "quota_exceeded",
                "The peer or its user holds as much of the pool as its quota allows; free some, "
                "or raise [quota] in the host's configuration."};
        case Errc::double_free:
            return {"double_free",
                    "The slot was freed already, or its name is of an earlier life; nothing was "
                    "changed."};
        case Errc::invalid_ref:
            return {"invalid_ref", "The SlotRef names no slot of this pool; nothing was changed."};
        case Errc::handle_owned:
            return {"handle_owned", "A Loan or Sample owns the slot; end it through that handle."};
        case Errc::raw_owned:
            return {"raw_owned",
                    "The slot was allocated raw; free it by its SlotRef, not through a handle."};
        case Errc::moved_from:
            return {"moved_from", "The handle was moved from and owns nothing any more."};
        case Errc::no_lane:
            return {
                "no_lane",
                "No lane is left for this thread; use fewer threads, or raise the lane count of "
                "the host."};
        case Errc::no_host:
            return {"no_host", "No host serves this pool; start shmpoold, or check the name."};
        case Errc::host_gone:
            return {"host_gone",
                    "The connection has ended because the other side closed it or died; what is "
                    "local goes on, try again when it is back."};
        case Errc::host_stopped:
            return {"host_stopped", "The host was stopped in good order; nothing more will come."};
        case Errc::segment_replaced:
            return {"segment_replaced",
                    "This pool's memory was made anew and the peer has no place in it; attach "
                    "again."};
        case Errc::name_taken:
            return {"name_taken", "A host of this name is running; stop it, or use another name."};
        case Errc::refused: return {"refused", "The other side refused; the message says why."};
        case Errc::protocol_violation:
            return {"protocol_violation",
                    "The other side sent what the protocol does not allow; the connection is "
                    "closed."};
        case Errc::no_peer_slot:
            return {"no_peer_slot",
                    "The host has as many peers as it is configured for; detach one, or raise the "
                    "limit."};
        case Errc::forked:
            return {"forked",
                    "This handle belongs to the parent process; attach again in the child of "
                    "fork()."};
        case Errc::detached: return {"detached", "The peer has detached; attach again."};
        case Errc::read_only:
            return {"read_only",
                    "The peer is attached read-only: it can take and read, nothing else; attach "
                    "without read_only."};
        case Errc::type_mismatch:
            return {
                "type_mismatch",
                "The channel carries another type of message; use the type it was opened with."};
        case Errc::policy_mismatch:
            return {"policy_mismatch",
                    "The channel has another policy; use the policy it was opened with."};
        case Errc::too_many_channels:
            return {"too_many_channels",
                    "No channel is left; close one, or raise the host's limit."};
        case Errc::too_many_publishers:
            return {
                "too_many_publishers",
                "The channel has no room for another publisher; close one, or raise the limit."};
        case Errc::too_many_subscribers:
            return {
                "too_many_subscribers",
                "The channel has no room for another subscriber; close one, or raise the limit."};
        case Errc::no_ring_space:
            return {"no_ring_space",
                    "No memory is left for another ring; close publishers or subscribers, or raise "
                    "the host's limit."};
        case Errc::timed_out: return {"timed_out", "Nothing happened before the deadline."};
        case Errc::empty: return {"empty", "Nothing is there at this moment."};
        case Errc::ended: return {"ended", "Every publisher has left; nothing more will come."};
        case Errc::ended_by_death:
            return {"ended_by_death",
                    "The last publisher died; all that it had published was delivered."};
        case Errc::no_heap:
            return {"no_heap",
                    "There is no heap of that name; 'shmpool heap list' shows those that there "
                    "are, 'shmpool heap create' makes one."};
        case Errc::too_many_heaps:
            return {"too_many_heaps",
                    "The table of heaps is full; destroy one, or raise limits.heaps in the host's "
                    "configuration."};
        case Errc::no_heap_room:
            return {"no_heap_room",
                    "The memory of heaps has no room of this size left; destroy some heaps, or "
                    "raise limits.heap_bytes in the host's configuration."};
        case Errc::heap_in_use:
            return {"heap_in_use",
                    "Peers have the heap open; let them close it before it is destroyed."};
        case Errc::cell_in_use:
            return {"cell_in_use",
                    "The cell says where something lies already; free that first, or take another "
                    "cell. Nothing was changed."};
        case Errc::no_memory:
            return {"no_memory",
                    "The heap has no free block of this size and alignment; free some, or add "
                    "memory to it."};
        case Errc::change_too_large:
            return {"change_too_large",
                    "The change writes to more words than the heap's journal has room for; change "
                    "less at a time, or make the heap larger. Nothing was changed."};
        case Errc::not_allocated:
            return {"not_allocated",
                    "Nothing that is allocated begins there: it was freed already, or never was "
                    "the heap's; nothing was changed."};
        case Errc::memory_overlap:
            return {"memory_overlap",
                    "The memory overlaps a part that the heap has already; nothing was changed."};
        case Errc::unsupported:
            return {"unsupported", "Heaps of this kind can not do that; see its documentation."};
        case Errc::would_block:
            return {
                "would_block",
                "Somebody else was changing the heap all the while, or is stopped in a change, or "
                "it is the caller itself; try again."};
        case Errc::pinned:
            return {"pinned",
                    "Somebody has pinned the page; it can be freed when all have unpinned it."};
        case Errc::not_pinned:
            return {"not_pinned",
                    "The caller has no pin on the page, or nobody has; nothing was changed."};
        case Errc::heap_damaged:
            return {"heap_damaged",
                    "The heap holds what none of its operations can have written; nothing was "
                    "changed. Audit it, and make it anew."};
        case Errc::slot_limit_reached:
            return {"slot_limit_reached",
                    "The size class has as many slots as it may have; give it a higher slot_limit "
                    "in the configuration, or free some."};
        case Errc::extent_in_use:
            return {"extent_in_use",
                    "A slot of each of these extents is in use, or lies in the cache of a thread; "
                    "nothing was given back."};
        case Errc::pool_damaged:
            return {"pool_damaged",
                    "Shared memory holds what no honest peer writes: 'shmpool doctor' says what, "
                    "'shmpool rebuild' makes the pool anew; then attach again."};
        case Errc::peer_fault:
            return {"peer_fault", "A peer wrote nonsense; it was refused and reported."};
        case Errc::internal_fault:
            return {"internal_fault",
                    "shmpool broke a rule of its own; please report it with the output of doctor."};
    }
    return {"unknown", "This code is of another release of shmpool."};
}

}  // namespace

std::string_view name_of(Errc code) noexcept {
    return entry_of(code).name;
}

std::string_view explain(Errc code) noexcept {
    return entry_of(code).sentence;
}

tl::unexpected<Error> fail_errno(Errc code, std::string_view what, int error_number) {
    return fail(code, std::string(what) + ": " + std::generic_category().message(error_number));
}

}  // namespace shmpool
