// SPDX-License-Identifier: Apache-2.0
/// The slabs of one cache within one process: a master, which has the lock and lasts as long as the
/// cache does, and others that come when all are full and go when they are empty. A slab says of
/// each of its slots whether it is live, or which one is the next free one, as those in shared
/// memory do (object_slabs.hpp); here its words are plain ones, for nobody dies alone.
///
/// Holds are handles and live slots. Who gives up the last hold has the family to himself, and
/// gives all slabs back, the master last, when he has left the lock.
///
/// Hooks are called outside of the lock. So two who find all slabs full both attach one; both are
/// used. Of two empty slabs one goes, so that who takes and gives one slot at the border does not
/// call the hooks each time.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>

#include "shmpool/heap/object_slab_plan.hpp"
#include "shmpool/heap/private_slab_hooks.hpp"
#include "shmpool/heap/private_slab_lock.hpp"

namespace shmpool {

struct PrivateMaster;

/// What begins a slab.
struct PrivateSlab {
    std::uint64_t guard = 0;
    PrivateMaster* master = nullptr;
    PrivateSlab* next = nullptr;
    PrivateSlab* before = nullptr;
    std::uint32_t free = object_slab::none;  ///< The latest free slot.
    std::uint32_t fresh = 0;                 ///< How many have ever been handed out.
    std::uint32_t live = 0;
};

/// Not owned; the latest that came is the first.
struct PrivateSlabList {
    PrivateSlab* first = nullptr;

    void push(PrivateSlab& slab) {
        slab.before = nullptr;
        slab.next = first;
        if (first != nullptr) first->before = &slab;
        first = &slab;
    }
    void remove(PrivateSlab& slab) {
        (slab.before != nullptr ? slab.before->next : first) = slab.next;
        if (slab.next != nullptr) slab.next->before = slab.before;
    }
};

/// What begins the master; the lock, of whatever type, lies in `lock`.
struct PrivateMaster : PrivateSlab {
    alignas(slab_lock_bytes_max) std::byte lock[slab_lock_bytes_max];
    PrivateSlabList with_room;
    PrivateSlabList full;
    std::uint64_t holds = 1;
};

/// A handle's or a slot's way to its family. Does not count by itself.
template <SlabLock Lock, SlabHooks Hooks, std::uint64_t slot_bytes, std::uint64_t slab_bytes>
class SlabFamily {
public:
    static constexpr object_slab::Shape shape =
        object_slab::Shape::of(slot_bytes, slab_bytes, false, sizeof(PrivateMaster));

    SlabFamily() = default;
    /// With one hold, the caller's. no_memory, misaligned_base (what came was given back).
    [[nodiscard]] static Outcome<SlabFamily> make() {
        return new_memory().map([](void* memory) {
            auto* const master = new (memory) PrivateMaster;
            new (master->lock) Lock;
            begin(*master, *master);
            master->with_room.push(*master);
            return SlabFamily(master);
        });
    }

    [[nodiscard]] explicit operator bool() const { return master_ != nullptr; }

    void hold() const {
        const std::scoped_lock locked(lock_of(*master_));
        ++master_->holds;
    }
    void let_go() const {
        bool was_last = false;
        {
            const std::scoped_lock locked(lock_of(*master_));
            was_last = --master_->holds == 0;
        }
        if (was_last) give_all_back(*master_);
    }

    /// The latest free one of the slab that got one last. Errors as `make`.
    [[nodiscard]] Outcome<void*> allocate() const {
        if (void* const slot = take()) return slot;
        return new_memory()
            .map([&](void* memory) {
                auto* const slab = new (memory) PrivateSlab;
                begin(*slab, *master_);
                return attach_and_take(*slab);
            })
            .or_else([&](Errc code) -> Outcome<void*> {
                if (void* const slot = take()) return slot;  // Freed meanwhile.
                return fail(code);
            });
    }

    /// Whether a live slot of this family begins there, wherever it points. Looks at all slabs.
    [[nodiscard]] bool is_live(const void* slot) const {
        const std::scoped_lock locked(lock_of(*master_));
        return finds(master_->with_room, slot) || finds(master_->full, slot);
    }

    /// What `allocate` has handed out, of a family that has not ended. Failures are the hooks' to
    /// tell.
    static void give_back(void* slot) noexcept {
        PrivateSlab& slab = *reinterpret_cast<PrivateSlab*>(shape.slab_of(number(slot)));
        if (slab.guard != guard_of(slab)) return Hooks::failed(slot, Errc::not_allocated);
        PrivateMaster& master = *slab.master;
        Left left;
        {
            const std::scoped_lock locked(lock_of(master));
            left = put(master, slab, slot);
        }
        if (!left.was_live) return Hooks::failed(slot, Errc::not_allocated);
        if (left.emptied != nullptr) give_slab_back(*left.emptied);
        if (left.was_last) give_all_back(master);
    }

    /// How many it has.
    [[nodiscard]] std::uint64_t slabs() const {
        const std::scoped_lock locked(lock_of(*master_));
        std::uint64_t count = 0;
        for (const PrivateSlabList* list : {&master_->with_room, &master_->full}) {
            for (const PrivateSlab* one = list->first; one != nullptr; one = one->next) ++count;
        }
        return count;
    }

private:
    explicit SlabFamily(PrivateMaster* master) : master_(master) {}

    [[nodiscard]] static std::uint64_t number(const void* address) {
        return std::bit_cast<std::uintptr_t>(address);
    }
    [[nodiscard]] static std::uint64_t guard_of(const PrivateSlab& slab) {
        return object_slab::slab_guard ^ number(&slab);
    }
    [[nodiscard]] static Lock& lock_of(PrivateMaster& master) {
        return *std::launder(reinterpret_cast<Lock*>(master.lock));
    }
    static void begin(PrivateSlab& slab, PrivateMaster& master) {
        slab.guard = guard_of(slab);
        slab.master = &master;
    }

    // --- the slots of a slab, under the lock

    /// `live`, or the next free one behind it.
    [[nodiscard]] static std::uint16_t& entry(PrivateSlab& slab, std::uint64_t index) {
        return reinterpret_cast<std::uint16_t*>(number(&slab) + sizeof(PrivateMaster))[index];
    }
    [[nodiscard]] static std::uint64_t index_of(const void* slot) {
        return shape.index_of(number(slot));
    }
    [[nodiscard]] static bool is_full(const PrivateSlab& slab) {
        return slab.live == shape.objects;
    }
    [[nodiscard]] static bool is_live_in(PrivateSlab& slab, const void* slot) {
        const std::uint64_t index = index_of(slot);
        return index < slab.fresh && entry(slab, index) == object_slab::live;
    }
    [[nodiscard]] static bool finds(const PrivateSlabList& list, const void* slot) {
        for (PrivateSlab* one = list.first; one != nullptr; one = one->next) {
            if (number(one) == shape.slab_of(number(slot))) return is_live_in(*one, slot);
        }
        return false;
    }

    /// Null: all are full.
    [[nodiscard]] void* take() const {
        const std::scoped_lock locked(lock_of(*master_));
        return take_locked();
    }
    [[nodiscard]] void* attach_and_take(PrivateSlab& slab) const {
        const std::scoped_lock locked(lock_of(*master_));
        master_->with_room.push(slab);
        return take_locked();
    }
    [[nodiscard]] void* take_locked() const {
        PrivateSlab* const slab = master_->with_room.first;
        if (slab == nullptr) return nullptr;
        const bool is_fresh = slab->free == object_slab::none;
        const std::uint64_t index = is_fresh ? slab->fresh++ : slab->free;
        if (!is_fresh) slab->free = entry(*slab, index);
        entry(*slab, index) = static_cast<std::uint16_t>(object_slab::live);
        ++slab->live;
        ++master_->holds;
        if (is_full(*slab)) {
            master_->with_room.remove(*slab);
            master_->full.push(*slab);
        }
        return reinterpret_cast<void*>(shape.object(number(slab), index));
    }
    /// What is to be done behind the lock.
    struct Left {
        bool was_live = false;
        bool was_last = false;           ///< Of all holds.
        PrivateSlab* emptied = nullptr;  ///< It is to be given back.
    };
    [[nodiscard]] static Left put(PrivateMaster& master, PrivateSlab& slab, const void* slot) {
        if (!is_live_in(slab, slot)) return {};
        if (is_full(slab)) {
            master.full.remove(slab);
            master.with_room.push(slab);
        }
        entry(slab, index_of(slot)) = static_cast<std::uint16_t>(slab.free);
        slab.free = static_cast<std::uint32_t>(index_of(slot));
        const bool is_empty = --slab.live == 0;
        const bool is_alone = master.with_room.first == &slab && slab.next == nullptr;
        const bool goes = is_empty && &slab != &master && !is_alone;
        if (goes) master.with_room.remove(slab);
        return {true, --master.holds == 0, goes ? &slab : nullptr};
    }

    // --- slabs, outside of the lock

    [[nodiscard]] static Outcome<void*> new_memory() {
        void* const memory = Hooks::allocate(slab_bytes, slab_bytes);
        if (memory == nullptr) return fail(Errc::no_memory);
        if (number(memory) % slab_bytes == 0) return memory;
        give_memory_back(memory);
        return fail(Errc::misaligned_base);
    }
    static void give_memory_back(void* memory) {
        const Outcome<void> taken = Hooks::free(memory, slab_bytes, slab_bytes);
        if (!taken) Hooks::failed(memory, taken.error());
    }
    static void give_slab_back(PrivateSlab& slab) {
        slab.guard = 0;
        give_memory_back(&slab);
    }

    /// Nobody else has it, or will.
    static void give_all_back(PrivateMaster& master) {
        PrivateSlab* one = master.with_room.first;  // None is full: no slot is live.
        while (one != nullptr) {
            PrivateSlab* const next = one->next;
            if (one != &master) give_slab_back(*one);
            one = next;
        }
        lock_of(master).~Lock();
        give_slab_back(master);
    }

    PrivateMaster* master_ = nullptr;
};

}  // namespace shmpool
