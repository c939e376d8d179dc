// SPDX-License-Identifier: Apache-2.0
/// See heaps.hpp; and the verbs of Peer that are about heaps.
#include "peer/heaps.hpp"

#include <algorithm>
#include <atomic>
#include <thread>

#include "peer/best_fit.hpp"
#include "peer/peer.hpp"
#include "peer/work_time.hpp"
#include "protocol/wire/names.hpp"
#include "shmpool/platform/monotonic_clock.hpp"
#include "shmpool/platform/or_out_of_memory.hpp"
#include "shmpool/platform/process.hpp"

namespace shmpool {
namespace {

/// Like no other of this user's and, most likely, of anybody's.
std::uint64_t make_ticket() {
    static std::atomic<std::uint32_t> count{0};
    const std::uint64_t number = count.fetch_add(1, std::memory_order_relaxed) & 0xFF;
    const auto process = static_cast<std::uint64_t>(own_pid());
    return ((process << 40) ^ (number << 32) ^ monotonic_ns()) | 1;
}

/// Of somebody who is asked again.
constexpr std::chrono::milliseconds pause_between_grows{10};

}  // namespace

Result<HeapId> create_heap(ControlChannel& control, std::string_view name, const HeapSpec& spec) {
    if (auto sound = check_heap_name(name); !sound) return tl::unexpected(sound.error());
    wire::CreateHeap request{};
    request.name = *wire::Text<name_bytes>::of(name);
    request.kind = static_cast<std::uint32_t>(spec.kind);
    request.on_death = static_cast<std::uint32_t>(spec.on_death);
    request.bytes = spec.bytes;
    request.max_bytes = spec.max_bytes;
    request.ticket = make_ticket();
    request.map_alignment = spec.options.map_alignment;
    request.bytes_per_page = spec.options.bytes_per_page;
    request.first_id = spec.options.first_id;
    request.id_count = spec.options.id_count;
    request.id_capacity = spec.options.id_capacity;
    request.block_bytes = spec.options.block_bytes;
    const auto created =
        control.request<wire::HeapCreated>(request, Absence::wait, time_to_move(spec.bytes));
    if (!created) return tl::unexpected(created.error());
    return HeapId{created->heap_index, created->incarnation};
}

/// The host does not wait for who is in the heap: the caller does, by asking again.
Result<void> grow_heap(ControlChannel& control, HeapId heap, std::uint64_t to_bytes) {
    const wire::GrowHeap request{heap.index, heap.incarnation, to_bytes};
    const Deadline deadline = Deadline::after(heap_patience);
    for (;;) {
        const auto grown =
            control.request<wire::HeapGrown>(request, Absence::wait, time_to_move(to_bytes));
        if (grown) return {};
        const bool is_over = grown.error().code != Errc::would_block || deadline.expired();
        if (is_over) return tl::unexpected(grown.error());
        std::this_thread::sleep_for(pause_between_grows);
    }
}

Result<void> destroy_heap(ControlChannel& control, HeapId heap) {
    const auto destroyed = control.request<wire::HeapDestroyed>(
        wire::DestroyHeap{heap.index, heap.incarnation}, Absence::wait, time_to_give_back);
    if (!destroyed) return tl::unexpected(destroyed.error());
    return {};
}

Outcome<HeapUser> user_of(const HeapUse& use) {
    PeerCore& core = use.core();
    if (core.read_only()) return fail(Errc::read_only);
    const wire::Welcome& self = core.welcome();
    const auto lane = or_out_of_memory([&] { return core.lane(); });
    return lane.map([&](ThreadLane* mine) {
        return HeapUser(mine->lane->index() + 1,
                        owner_of_peer(self.peer_index, self.peer_incarnation));
    });
}

// --- by address ----------------------------------------------------------------------------------

/// Its handle may be moved; this, the use and the heap stay where they are.
class PeerBlocks final : public BlockSource {
public:
    PeerBlocks(const HeapUse& use, ByteHeap& heap) : use_(use), heap_(heap), open_(*this) {}

    Outcome<void*> allocate(std::uint64_t bytes, std::uint64_t alignment) override {
        const auto who = user_of(use_);
        if (!who) return tl::unexpected(who.error());
        return heap_.allocate(*who, bytes, alignment).map([&](HeapOffset block) {
            return static_cast<void*>(use_.memory().data() + use_.origin().inside(block));
        });
    }
    Outcome<void> free(void* block) override {
        const auto who = user_of(use_);
        if (!who) return tl::unexpected(who.error());
        const auto distance = reinterpret_cast<std::uintptr_t>(block) -
                              reinterpret_cast<std::uintptr_t>(use_.memory().data());
        return heap_.free(who->holder, use_.origin().given(distance));
    }
    HeapHeader& heap() const override {
        return *reinterpret_cast<HeapHeader*>(use_.memory().data());
    }

private:
    const HeapUse& use_;
    ByteHeap& heap_;
    OpenBlockSource open_;
};

SharedByteHeap::SharedByteHeap(std::shared_ptr<HeapUse> use, std::unique_ptr<ByteHeap> heap)
    : OpenedHeap(std::move(use), std::move(heap)),
      blocks_(std::make_unique<PeerBlocks>(this->use(), this->heap())) {}
SharedByteHeap::SharedByteHeap(SharedByteHeap&&) noexcept = default;
SharedByteHeap& SharedByteHeap::operator=(SharedByteHeap&& other) noexcept {
    if (this == &other) return *this;
    blocks_.reset();  // Before what it refers to.
    OpenedHeap::operator=(std::move(other));
    blocks_ = std::move(other.blocks_);
    return *this;
}
SharedByteHeap::~SharedByteHeap() = default;

BlockSource& SharedByteHeap::blocks() const {
    return *blocks_;
}

// --- of a peer -----------------------------------------------------------------------------------

Result<HeapId> Peer::create_heap(std::string_view name, const HeapSpec& spec) {
    if (auto usable = check_may_write(); !usable) return tl::unexpected(to_error(usable.error()));
    return shmpool::create_heap(core_->control(), name, spec);
}

Result<void> Peer::destroy_heap(std::string_view name) {
    if (auto usable = check_may_write(); !usable) return tl::unexpected(to_error(usable.error()));
    const auto heap = find_heap(core_->view(), name);
    if (!heap) return tl::unexpected(heap.error());
    return shmpool::destroy_heap(core_->control(), heap->id);
}

Result<void> Peer::grow_heap(std::string_view name, std::uint64_t to_bytes) {
    if (auto usable = check_may_write(); !usable) return tl::unexpected(to_error(usable.error()));
    const auto heap = find_heap(core_->view(), name);
    if (!heap) return tl::unexpected(heap.error());
    return shmpool::grow_heap(core_->control(), heap->id, to_bytes);
}

Result<std::vector<HeapEntry>> Peer::heaps() const {
    if (auto usable = check_usable(); !usable) return tl::unexpected(to_error(usable.error()));
    return read_heaps(core_->view());
}

Result<std::shared_ptr<HeapUse>> Peer::use_heap(std::string_view name) {
    if (auto usable = check_usable(); !usable) return tl::unexpected(to_error(usable.error()));
    return core_->heaps().open(core_, name);
}

/// What hands out numbers has no origin.
template <typename Shared, auto Open>
Result<Shared> Peer::open_heap(std::string_view name) {
    auto use = use_heap(name);
    if (!use) return tl::unexpected(use.error());
    const auto open = [&] {
        const auto memory = (*use)->memory();
        if constexpr (requires { Open(memory, heap_patience, HeapOrigin()); }) {
            return Open(memory, heap_patience, (*use)->origin());
        } else {
            return Open(memory, heap_patience);
        }
    };
    auto heap = open();
    if (!heap) return of_heap(name, heap.error());
    return Shared(std::move(*use), std::move(*heap));
}

Result<SharedByteHeap> Peer::byte_heap(std::string_view name) {
    return open_heap<SharedByteHeap, open_byte_heap>(name);
}
Result<SharedPageHeap> Peer::page_heap(std::string_view name) {
    return open_heap<SharedPageHeap, open_page_heap>(name);
}
Result<SharedPageChain> Peer::page_chain(std::string_view name) {
    return open_heap<SharedPageChain, open_page_chain>(name);
}
Result<SharedStackHeap> Peer::stack_heap(std::string_view name) {
    return open_heap<SharedStackHeap, open_stack_heap>(name);
}
Result<SharedObjectHeap> Peer::object_heap(std::string_view name) {
    return open_heap<SharedObjectHeap, open_object_heap>(name);
}
Result<SharedBestFitHeap> Peer::best_fit_heap(std::string_view name) {
    auto use = use_heap(name);
    if (!use) return tl::unexpected(use.error());
    auto heap = open_best_fit_heap((*use)->memory(), (*use)->place());
    if (!heap) return of_heap(name, heap.error());
    return SharedBestFitHeap(std::move(*use), std::move(*heap));
}
Result<SharedIdHeap> Peer::id_heap(std::string_view name) {
    return open_heap<SharedIdHeap, open_id_heap>(name);
}

Result<HeapGlance> Peer::glance_at_heap(std::string_view name) {
    const auto use = use_heap(name);
    if (!use) return tl::unexpected(use.error());
    auto glance = shmpool::glance_at_heap((*use)->memory());
    if (!glance) return of_heap(name, glance.error());
    return glance;
}

Result<std::vector<HeapFinding>> Peer::audit_heap(std::string_view name) {
    const auto use = use_heap(name);
    if (!use) return tl::unexpected(use.error());
    const auto who = user_of(**use);
    if (!who) return tl::unexpected(to_error(who.error()));
    auto findings = shmpool::audit_heap((*use)->memory(), who->holder);
    if (!findings) return of_heap(name, findings.error());
    return findings;
}

}  // namespace shmpool
