// SPDX-License-Identifier: Apache-2.0
/// A word that changes at its owner's death, at once, however much memory the owner had
/// mapped: a robust process-shared pthread mutex that one thread of a peer holds for life, in one
/// page that this peer and the host alone share. The kernel walks the list of held robust mutexes
/// of a thread that ends, or that replaces its program, before it tears the memory down.
///
/// It announces; it proves nothing, because it also fires when only that thread ends. Death is read
/// from the pidfd (process.hpp).
///
/// A robust mutex contains a list node with pointers of its process, which nobody else may be able
/// to write. Therefore the mutex straddles two pages: its lock word are the last bytes of the
/// shared page, its list node the first bytes of a private page mapped right behind.
///
///   The page, `page_bytes` long: all zero, but for
///     offset       bytes  field                    written by            read by
///     4096 - 24        4  lock word: tid | flags   peer, kernel, host    host, kernel
///     4096 - 20       20  mutex bookkeeping        peer                  peer
///
///   Who may run beside whom               hold, ~Beacon  arm, owner_died, word
///   hold, ~Beacon   peer, one thread      no             yes
///   arm ...         host, one thread      yes            no
///
/// Pairing: the peer tells the host by message that the beacon is held; from then on the word is
/// the whole state, and `owner_died` reads nothing else.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shmpool/platform/atomics.hpp"
#include "shmpool/platform/descriptor.hpp"
#include "shmpool/platform/futex.hpp"
#include "shmpool/platform/result.hpp"
#include "shmpool/platform/shared_mapping.hpp"

namespace shmpool {

inline constexpr std::size_t beacon_word_offset = page_bytes - 24;

/// A fresh page for one beacon. The host makes one for each attachment and passes it to the peer.
[[nodiscard]] Result<Descriptor> create_beacon_memory();

/// The peer's side.
class Beacon {
public:
    Beacon() noexcept = default;
    Beacon(Beacon&& other) noexcept;
    Beacon& operator=(Beacon&& other) noexcept;

    /// An orderly end; the word becomes 0. Must run on the thread that holds: on any other it does
    /// nothing, and the beacon fires when the holding thread ends. Nothing in a child of fork().
    ~Beacon() { let_go(); }

    /// Holds the beacon in `memory` from now on. Call it on the thread that lives as long as the
    /// peer. Errc::invalid_argument if the memory is not a fresh page of create_beacon_memory().
    [[nodiscard]] static Result<Beacon> hold(const Descriptor& memory);

private:
    void let_go() noexcept;

    std::byte* base_ = nullptr;  // The shared page; the private one follows.
    int thread_id_ = 0;
};

/// The host's side. Every value of the word is survived: the peer can write what it wants.
class BeaconWatch {
public:
    BeaconWatch() noexcept = default;

    /// Errc::refused if the memory could be cut off under us.
    [[nodiscard]] static Result<BeaconWatch> watch(const Descriptor& memory);

    /// Asks the kernel to wake sleepers on the word when the owner dies; without it, it does not.
    /// True if the beacon is held: then sleep on `target()`. False if there is nothing to wait for:
    /// not held, let go, or owner_died(). Again after every wake-up.
    [[nodiscard]] bool arm() noexcept;

    /// What to pass to futex_wait_any after arm() was true. A death after arm() changes the word,
    /// so it can not be missed.
    [[nodiscard]] FutexTarget target() const noexcept { return {&word(), armed_value_}; }

    /// The thread that held the beacon has ended, or its process has replaced its program.
    [[nodiscard]] bool owner_died() const noexcept;

    [[nodiscard]] Atomic<std::uint32_t>& word() const noexcept;

private:
    SharedMapping mapping_;
    std::uint32_t armed_value_ = 0;
};

}  // namespace shmpool
