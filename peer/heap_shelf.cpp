// SPDX-License-Identifier: Apache-2.0
#include "peer/heap_shelf.hpp"

#include "peer/peer_core.hpp"
#include "protocol/wire/names.hpp"

namespace shmpool {

HeapUse::~HeapUse() {
    if (!core_->in_own_process()) {
        core_.reset();  // The parent's: its deleter leaves all of it alone.
        return;
    }
    core_->heaps().closed(*core_, entry_.id.index);
}

MemoryPlace HeapUse::place() const {
    const Segment& segment = core_->segment();
    const auto offset = memory_.data() - segment.payload_span().data();
    return {segment.payload(), static_cast<std::uint64_t>(offset)};
}

Result<std::shared_ptr<HeapUse>> HeapShelf::open(const std::shared_ptr<PeerCore>& core,
                                                 std::string_view name) {
    if (auto sound = check_heap_name(name); !sound) return tl::unexpected(sound.error());
    const std::scoped_lock lock(mutex_);
    wire::OpenHeap request{};
    request.name = *wire::Text<name_bytes>::of(name);
    const auto opened = core->control().request<wire::HeapOpened>(request);
    if (!opened) return tl::unexpected(opened.error());
    std::weak_ptr<HeapUse>& known = open_[opened->heap_index];
    if (auto use = known.lock()) return use;

    auto entry = read_heap(core->view(), opened->heap_index);
    const auto region = core->heap_region();
    if (!region) return tl::unexpected(region.error());
    if (!entry || entry->id.incarnation != opened->incarnation) {
        return fail(Errc::protocol_violation, "the host opened a heap that does not exist");
    }
    const auto memory = heap_memory(*region, core->view().heaps.at(opened->heap_index));
    if (memory.empty()) {
        return fail(Errc::damaged_header,
                    "heap '" + std::string(name) + "' does not lie in the memory of heaps");
    }
    const auto place = static_cast<std::uint64_t>(memory.data() - region->bytes.data());
    const auto origin = HeapOrigin::of(place, opened->incarnation);
    auto use = std::make_shared<HeapUse>(core, std::move(*entry), memory, origin);
    known = use;
    return use;
}

/// Another thread may have opened it again meanwhile.
void HeapShelf::closed(PeerCore& core, std::uint32_t heap_index) {
    const std::scoped_lock lock(mutex_);
    if (!open_[heap_index].expired()) return;
    open_.erase(heap_index);
    // Unanswered: the host will find out when the peer comes back, or ends.
    (void)core.control().request<wire::Closed>(wire::CloseHeap{heap_index}, Absence::give_up);
}

}  // namespace shmpool
