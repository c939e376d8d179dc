// SPDX-License-Identifier: Apache-2.0
/// Objects of one C++ type in a slab cache (object_heap.hpp), each in a box that destroys it and
/// gives its place back.
///
///   auto orders = SlabCache<Order, SharedObjectHeap>::over(peer.object_heap("orders").value());
///   auto order = orders->emplace(17, 4).value();        // SlabBox<Order>
///   order->price = 5;
///   const HeapOffset offset = order.release();          // send it; elsewhere: adopt(offset)
///
/// A cache is a handle: copies of it, and all its boxes, hold the same heap open, so a box may
/// outlive every cache. Copies go to other threads; one box is one thread's at a time.
///
/// Who allocates without constructing has a box of `Maybe<T>`, which runs no destructor: to assign
/// to what was never constructed is not possible by mistake.
///
/// Who is killed runs no destructors: with on_death = reclaim the places of its objects come back,
/// but not what those objects had taken elsewhere.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <utility>

#include "shmpool/heap/holds_no_addresses.hpp"
#include "shmpool/heap/object_heap.hpp"
#include "shmpool/heap/object_slab_plan.hpp"

namespace shmpool {

template <typename T>
concept SlabObject = sizeof(T) >= object_slab::smallest_object &&
                     alignof(T) >= object_slab::smallest_object &&
                     alignof(T) <= object_slab::largest_alignment&& SharedObject<T>;

template <typename T, std::uint64_t slab_bytes>
concept SlabOf = SlabObject<T> && std::has_single_bit(slab_bytes) &&
                 (slab_bytes >= object_slab::smallest_slab) &&
                 (object_slab::Shape::of(sizeof(T), slab_bytes, true).objects > 0);

/// How a heap for a type is to be formatted, or created by name.
template <typename T, std::uint64_t slab_bytes = page_bytes>
requires SlabOf<T, slab_bytes>
[[nodiscard]] constexpr HeapOptions slab_cache_options() {
    HeapOptions options;
    options.block_bytes = sizeof(T);
    options.bytes_per_page = slab_bytes;
    options.map_alignment = std::max(slab_bytes, page_bytes);
    return options;
}

/// Room for a T that may not be there.
template <typename T>
struct Maybe {
    alignas(T) std::byte bytes[sizeof(T)];
};

/// The objects of a heap whose memory this process has by itself, without a host: for one thread,
/// as `user`. Heap and memory outlive it.
class LocalObjects {
public:
    LocalObjects(ObjectHeap& heap, std::span<std::byte> memory, HeapUser user)
        : heap_(&heap), memory_(memory), user_(user) {}

    [[nodiscard]] std::uint64_t object_bytes() const { return heap_->object_bytes(); }
    [[nodiscard]] std::uint64_t object_alignment() const { return heap_->object_alignment(); }
    [[nodiscard]] Outcome<HeapOffset> allocate() { return heap_->allocate(user_); }
    Outcome<void> free(HeapOffset object) { return heap_->free(user_.holder, object); }
    [[nodiscard]] Outcome<bool> is_live(HeapOffset object) {
        return heap_->is_live(user_.holder, object);
    }
    [[nodiscard]] void* at(HeapOffset offset) const { return memory_.data() + offset; }

private:
    ObjectHeap* heap_;
    std::span<std::byte> memory_;
    HeapUser user_;
};

/// Told of a place that a box could not give back: where, and why.
using FreeFailed = std::function<void(HeapOffset, Errc)>;

/// What the caches and boxes of one heap hold together.
template <typename Objects>
struct ObjectShelf {
    Objects objects;
    FreeFailed failed;

    /// Never throws: destructors call it.
    void give_back(HeapOffset object) noexcept {
        const auto freed = objects.free(object);
        if (freed || !failed) return;
        try {
            failed(object, freed.error());
        } catch (...) {  // It was told; there is nobody else.
        }
    }
};

/// A live object, owned: destroyed and given back at the end of the scope. Move-only.
template <typename T, typename Objects>
class SlabBox {
public:
    using Shelf = ObjectShelf<Objects>;

    /// `object` is live and nobody else's; what lies there is a T.
    SlabBox(std::shared_ptr<Shelf> shelf, HeapOffset object)
        : shelf_(std::move(shelf)), object_(object) {}
    SlabBox(SlabBox&& other) noexcept = default;
    SlabBox& operator=(SlabBox&& other) noexcept {
        std::swap(shelf_, other.shelf_);
        std::swap(object_, other.object_);
        return *this;
    }
    ~SlabBox() {
        if (shelf_ == nullptr) return;
        std::destroy_at(get());
        shelf_->give_back(object_);
    }

    /// False: released, or moved from.
    [[nodiscard]] explicit operator bool() const { return shelf_ != nullptr; }
    [[nodiscard]] T* get() const {
        return std::launder(static_cast<T*>(shelf_->objects.at(object_)));
    }
    [[nodiscard]] T* operator->() const { return get(); }
    [[nodiscard]] T& operator*() const { return *get(); }
    /// The same in every process.
    [[nodiscard]] HeapOffset offset() const { return object_; }
    [[nodiscard]] const std::shared_ptr<Shelf>& shelf() const { return shelf_; }
    /// From now on nobody's here: `adopt` it, or leave it in the heap.
    HeapOffset release() {
        shelf_.reset();
        return object_;
    }

private:
    std::shared_ptr<Shelf> shelf_;
    HeapOffset object_;
};

/// If the constructor throws, the place is given back.
template <typename T, typename Objects, typename... Arguments>
[[nodiscard]] SlabBox<T, Objects> construct(SlabBox<Maybe<T>, Objects> place,
                                            Arguments&&... arguments) {
    new (place.get()) T(std::forward<Arguments>(arguments)...);
    auto shelf = place.shelf();
    return {std::move(shelf), place.release()};
}

/// Threads, if `Objects` may be used by them; SharedObjectHeap may.
template <SlabObject T, typename Objects>
class SlabCache {
public:
    using Box = SlabBox<T, Objects>;
    using MaybeBox = SlabBox<Maybe<T>, Objects>;

    /// config_mismatch: its objects are too small or not aligned as T must be.
    [[nodiscard]] static Result<SlabCache> over(Objects objects, FreeFailed failed = {}) {
        if (objects.object_bytes() < sizeof(T) || objects.object_alignment() < alignof(T)) {
            return fail(Errc::config_mismatch,
                        "the heap has objects of " + std::to_string(objects.object_bytes()) +
                            " bytes, aligned to " + std::to_string(objects.object_alignment()) +
                            "; this type has " + std::to_string(sizeof(T)) + ", aligned to " +
                            std::to_string(alignof(T)));
        }
        return SlabCache(std::make_shared<Shelf>(Shelf{std::move(objects), std::move(failed)}));
    }

    /// Room for a T, as it was left.
    [[nodiscard]] Outcome<MaybeBox> alloc_uninit() {
        return shelf_->objects.allocate().map([&](HeapOffset object) {
            new (shelf_->objects.at(object)) Maybe<T>;
            return MaybeBox(shelf_, object);
        });
    }
    template <typename... Arguments>
    [[nodiscard]] Outcome<Box> emplace(Arguments&&... arguments) {
        return alloc_uninit().map([&](MaybeBox&& place) {
            return construct(std::move(place), std::forward<Arguments>(arguments)...);
        });
    }
    /// What another box has released, here or in another process. not_allocated. Of a live object
    /// the caller says that it is a T and nobody else's.
    [[nodiscard]] Outcome<Box> adopt(HeapOffset object) {
        return shelf_->objects.is_live(object).and_then([&](bool is_live) -> Outcome<Box> {
            if (!is_live) return fail(Errc::not_allocated);
            return Box(shelf_, object);
        });
    }
    [[nodiscard]] Objects& objects() const { return shelf_->objects; }

private:
    using Shelf = ObjectShelf<Objects>;
    explicit SlabCache(std::shared_ptr<Shelf> shelf) : shelf_(std::move(shelf)) {}

    std::shared_ptr<Shelf> shelf_;
};

}  // namespace shmpool
