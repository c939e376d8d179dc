// SPDX-License-Identifier: Apache-2.0
/// A process's attachment to a pool: the way to publishers, subscribers and raw slots. A process
/// may have several, to the same pool or to others. Nothing here logs, prints, aborts or throws.
///
/// Threads: every call may be made from any thread. Each thread that uses the pool gets a lane of
/// its own at its first use (no_lane if the pool has none left: such a thread can only end loans
/// and samples, close subscribers and free slots). One control thread per Peer holds the beacon by
/// which the host sees a death at once, and hears what the host says; with `control_thread = false`
/// the attaching thread holds the beacon, must live as long as the Peer, and the user's loop calls
/// `drive` when `control_descriptor` is readable.
///
/// fork(): the child of a fork has no part in the attachment; every call says `forked`.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "peer/heaps.hpp"
#include "peer/peer_core.hpp"
#include "peer/typed.hpp"
#include "protocol/quota.hpp"

namespace shmpool {

class SharedBestFitHeap;  // best_fit.hpp

struct PeerOptions {
    std::string name;         ///< For people, in `shmpool peers`; up to 63 characters.
    std::string socket_path;  ///< Empty: where the pool's name says.
    /// How long to wait for a host that is not there yet: 0 fails at once with no_host.
    std::chrono::nanoseconds wait_for_host{0};
    /// How long the host may take to answer a request: then host_gone.
    std::chrono::nanoseconds answer_timeout = std::chrono::seconds(5);
    bool control_thread = true;
    /// Takes and reads, and can not change a message: the payload is mapped read-only, from a
    /// descriptor that other users than the host's can not open again for writing. Publishing and
    /// allocating end with read_only.
    bool read_only = false;
};

class Peer {
public:
    /// no_host, host_gone, refused, no_permission, wrong_layout_version, wrong_fingerprint,
    /// no_peer_slot, descriptor_limit, out_of_memory: each with a sentence that says what to do.
    [[nodiscard]] static Result<Peer> attach(std::string_view pool_name, PeerOptions options = {});

    [[nodiscard]] Result<Publisher> publisher(std::string_view channel,
                                              const PublisherOptions& options = {});
    [[nodiscard]] Result<Subscriber> subscriber(std::string_view channel,
                                                const SubscriberOptions& options = {});

    template <ShmCompatible T>
    [[nodiscard]] Result<TypedPublisher<T>> publisher(std::string_view channel,
                                                      const PublisherOptions& options = {}) {
        auto opened = open_publisher(channel, describe<T>(), options);
        if (!opened) return tl::unexpected(opened.error());
        return TypedPublisher<T>(std::move(*opened));
    }
    template <ShmCompatible T>
    [[nodiscard]] Result<TypedSubscriber<T>> subscriber(std::string_view channel,
                                                        const SubscriberOptions& options = {}) {
        auto opened = open_subscriber(channel, describe<T>(), options);
        if (!opened) return tl::unexpected(opened.error());
        return TypedSubscriber<T>(std::move(*opened));
    }

    // --- raw slots: named by SlotRefs that the user passes on himself. They belong to the peer
    // that allocated them until somebody frees them, and are taken back when that peer dies.

    [[nodiscard]] Outcome<SlotRef> allocate(std::size_t bytes);
    Outcome<void> free(const SlotRef& ref);
    [[nodiscard]] Outcome<std::span<std::byte>> slot_data(const SlotRef& ref);
    /// The same for reading; a read-only peer has no other.
    [[nodiscard]] Outcome<std::span<const std::byte>> read_slot(const SlotRef& ref) const;

    // --- size classes, named by the size of their slots: more slots, and their memory back. The
    // host does it, and everybody works on; how many slots there are now. See size_classes.hpp.

    [[nodiscard]] Result<std::uint32_t> grow_class(std::uint64_t slot_bytes,
                                                   std::uint32_t more_slots);
    [[nodiscard]] Result<std::uint32_t> shrink_class(std::uint64_t slot_bytes,
                                                     std::uint32_t keep_slots = 0);

    // --- heaps: shared memory for what is no message; see heaps.hpp

    /// Committed and ready when this returns. name_taken (it can be opened as soon as it is ready),
    /// no_permission (the right to grow), invalid_argument, too_many_heaps, no_heap_room,
    /// out_of_memory, unsupported.
    Result<HeapId> create_heap(std::string_view name, const HeapSpec& spec);
    /// It has that many bytes from now on, if it had fewer; whoever has it open has them too.
    /// no_heap, no_heap_room (more than max_bytes), unsupported (of a kind that can not grow),
    /// region_too_small, no_memory (in parts too small for what it has, too often), out_of_memory,
    /// would_block (somebody does not leave it, or it is given other memory, for 10 s),
    /// no_permission.
    Result<void> grow_heap(std::string_view name, std::uint64_t to_bytes);
    /// no_heap, heap_in_use (by this peer too), no_permission.
    Result<void> destroy_heap(std::string_view name);
    [[nodiscard]] Result<std::vector<HeapEntry>> heaps() const;

    /// no_heap; config_mismatch (a heap that hands out something else), unsupported (of a kind that
    /// this build does not know).
    [[nodiscard]] Result<SharedByteHeap> byte_heap(std::string_view name);
    [[nodiscard]] Result<SharedPageHeap> page_heap(std::string_view name);
    [[nodiscard]] Result<SharedPageChain> page_chain(std::string_view name);
    [[nodiscard]] Result<SharedIdHeap> id_heap(std::string_view name);
    [[nodiscard]] Result<SharedObjectHeap> object_heap(std::string_view name);
    [[nodiscard]] Result<SharedStackHeap> stack_heap(std::string_view name);
    /// See best_fit.hpp. out_of_memory: of address space.
    [[nodiscard]] Result<SharedBestFitHeap> best_fit_heap(std::string_view name);
    /// Of any kind; see heap_audit.hpp.
    [[nodiscard]] Result<HeapGlance> glance_at_heap(std::string_view name);
    [[nodiscard]] Result<std::vector<HeapFinding>> audit_heap(std::string_view name);

    /// What this peer and its user hold and may hold; `text()` explains a quota_exceeded.
    [[nodiscard]] Result<QuotaReport> quota() const;

    // --- of a Peer that was not moved from

    /// False when this one was moved from: every verb says `moved_from` then.
    [[nodiscard]] explicit operator bool() const { return core_ != nullptr; }
    [[nodiscard]] std::uint32_t index() const { return core_->welcome().peer_index; }
    [[nodiscard]] VarSlotPool& pool() { return core_->pool(); }
    /// running, stopping, stopped: as the host of this attachment last said. A host that was killed
    /// stays `running`.
    [[nodiscard]] HostState host_state() const { return core_->host_state(); }
    /// The host has died or stopped, and no next one has taken over yet: data goes on flowing
    /// between those who are attached; requests wait for the next host and end with host_gone at
    /// their timeout. The peer comes back to it by itself (with control_thread = false: in `drive`
    /// and in requests); segment_replaced from a request says that there is nothing to come back
    /// to.
    [[nodiscard]] bool host_gone() const { return core_->control().host_gone(); }

    // --- with control_thread = false

    /// Readable when `drive` has something to do; -1 when the host is gone: then drive now and then
    /// to find the next one, and ask for the descriptor again.
    [[nodiscard]] int control_descriptor() const { return core_->control().descriptor(); }
    /// Hears what the host has to say, without waiting. host_gone when the connection is lost.
    Outcome<void> drive();

private:
    struct TypeDescription {
        std::string_view name;
        std::uint64_t bytes = 0;
        std::uint32_t alignment = 0;
    };
    template <typename T>
    [[nodiscard]] static TypeDescription describe() {
        return {type_name<T>(), sizeof(T), alignof(T)};
    }
    explicit Peer(std::shared_ptr<PeerCore> core) : core_(std::move(core)) {}
    [[nodiscard]] Outcome<void> check_usable() const;
    [[nodiscard]] Outcome<void> check_may_write() const;

    [[nodiscard]] Result<Publisher> open_publisher(std::string_view channel,
                                                   const TypeDescription& type,
                                                   const PublisherOptions& options);
    [[nodiscard]] Result<Subscriber> open_subscriber(std::string_view channel,
                                                     const TypeDescription& type,
                                                     const SubscriberOptions& options);

    [[nodiscard]] Result<std::shared_ptr<HeapUse>> use_heap(std::string_view name);
    template <typename Shared, auto Open>
    [[nodiscard]] Result<Shared> open_heap(std::string_view name);

    std::shared_ptr<PeerCore> core_;
};

}  // namespace shmpool
