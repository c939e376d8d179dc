// SPDX-License-Identifier: Apache-2.0
/// How every operation says that it failed. Two forms, never mixed: `Result<T>` on set-up paths
/// carries a sentence that names the thing, the value and the remedy; `Outcome<T>` on hot paths
/// carries the bare code, costs no allocation, and `explain(code)` has its sentence.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace shmpool {

enum class Errc : std::uint16_t {
    // The world refused.
    system = 1,
    out_of_memory,
    descriptor_limit,
    no_permission,
    invalid_argument,
    invalid_config,

    // Geometry of a pool or segment.
    no_classes,
    too_many_classes,
    zero_slot_size,
    zero_slot_count,
    slot_too_large,
    too_many_slots,
    duplicate_class,
    size_overflow,
    misaligned_base,
    region_too_small,

    // Opening what somebody else wrote.
    not_yet_published,
    wrong_magic,
    wrong_layout_version,
    wrong_fingerprint,
    damaged_header,
    config_mismatch,

    // Slots.
    too_large,
    exhausted,
    quota_exceeded,
    double_free,
    invalid_ref,
    handle_owned,
    raw_owned,
    moved_from,
    no_lane,

    // Host and attachment.
    no_host,
    host_gone,
    host_stopped,
    segment_replaced,
    name_taken,
    refused,
    protocol_violation,
    no_peer_slot,
    forked,
    detached,
    read_only,

    // Channels.
    type_mismatch,
    policy_mismatch,
    too_many_channels,
    too_many_publishers,
    too_many_subscribers,
    no_ring_space,
    timed_out,
    empty,
    ended,
    ended_by_death,

    // Heaps.
    no_heap,
    too_many_heaps,
    no_heap_room,
    heap_in_use,
    cell_in_use,
    no_memory,
    change_too_large,
    not_allocated,
    memory_overlap,
    unsupported,
    would_block,
    pinned,
    not_pinned,
    heap_damaged,

    // Growth.
    slot_limit_reached,
    extent_in_use,

    // Damage and our own faults.
    pool_damaged,
    peer_fault,
    internal_fault,
};

/// Stable machine-readable name, e.g. "double_free".
[[nodiscard]] std::string_view name_of(Errc code) noexcept;

/// One sentence for people: what it means and what to do.
[[nodiscard]] std::string_view explain(Errc code) noexcept;

struct Error {
    Errc code;
    std::string message;
};

template <typename T>
using Result = tl::expected<T, Error>;

template <typename T>
using Outcome = tl::expected<T, Errc>;

[[nodiscard]] inline tl::unexpected<Error> fail(Errc code, std::string message) {
    return tl::unexpected<Error>(Error{code, std::move(message)});
}

[[nodiscard]] inline tl::unexpected<Errc> fail(Errc code) {
    return tl::unexpected<Errc>(code);
}

/// `what` failed with the current errno; the message carries the errno's text.
[[nodiscard]] tl::unexpected<Error> fail_errno(Errc code, std::string_view what, int error_number);

/// Turns a hot-path code into an `Error` with its standing sentence.
[[nodiscard]] inline Error to_error(Errc code) {
    return Error{code, std::string(explain(code))};
}

}  // namespace shmpool
