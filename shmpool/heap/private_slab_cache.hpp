// SPDX-License-Identifier: Apache-2.0
/// Objects of one type in slabs of one process: the slab cache without shared memory, for programs
/// that bring their own memory through hooks (private_slab_hooks.hpp). Between processes, and
/// against kills: slab_cache.hpp.
///
///   auto cache = PrivateSlabCache<Node>::make().value();
///   auto node = cache.emplace(1, 2).value();        // PrivateSlabCache<Node>::Box
///
/// Copies of a cache are handles of the same slabs, for other threads or the same one. Boxes are
/// independent of them: the slabs go back to the hooks when the last handle and the last live
/// object are gone. An object that was released stays live until it is adopted and ends.
///
/// Errors: no_memory (the hook has none), misaligned_base (what the hook gave was not aligned to a
/// slab, and was given back), not_allocated (no live object of this cache), moved_from.
#pragma once

#include <bit>
#include <memory>
#include <type_traits>
#include <utility>

#include "shmpool/heap/private_slab_family.hpp"
#include "shmpool/heap/slab_cache.hpp"

namespace shmpool {

/// A slab holds its own words and one object at least, and not more than it can count.
template <typename T, std::uint64_t slab_bytes>
concept PrivateSlabOf =
    sizeof(T) >= object_slab::smallest_object && alignof(T) >= object_slab::smallest_object &&
    alignof(T) <= object_slab::largest_alignment&& std::has_single_bit(slab_bytes) &&
    object_slab::Shape::of(sizeof(T), slab_bytes, false, sizeof(PrivateMaster)).objects > 0 &&
    object_slab::Shape::of(sizeof(T), slab_bytes, false, sizeof(PrivateMaster)).objects
        <= object_slab::objects_max;

/// An object, owned: destroyed and given back at the end of the scope. Move-only; of any thread, if
/// the lock may be shared.
template <typename T, typename Family>
class PrivateSlabBox {
public:
    /// `object` is live in a family of this type, and nobody else's.
    explicit PrivateSlabBox(T* object) : object_(object) {}
    PrivateSlabBox(PrivateSlabBox&& other) noexcept
        : object_(std::exchange(other.object_, nullptr)) {}
    PrivateSlabBox& operator=(PrivateSlabBox&& other) noexcept {
        std::swap(object_, other.object_);
        return *this;
    }
    ~PrivateSlabBox() {
        if (object_ == nullptr) return;
        std::destroy_at(object_);
        Family::give_back(object_);
    }

    [[nodiscard]] explicit operator bool() const { return object_ != nullptr; }
    [[nodiscard]] T* get() const { return object_; }
    [[nodiscard]] T* operator->() const { return object_; }
    [[nodiscard]] T& operator*() const { return *object_; }
    /// Nobody's, and live: `adopt` takes it in again.
    [[nodiscard]] T* release() { return std::exchange(object_, nullptr); }

private:
    T* object_;
};

/// If the constructor throws, the place is given back.
template <typename T, typename Family, typename... Arguments>
[[nodiscard]] PrivateSlabBox<T, Family> construct(PrivateSlabBox<Maybe<T>, Family> place,
                                                  Arguments&&... arguments) {
    T* const object = new (place.get()) T(std::forward<Arguments>(arguments)...);
    (void)place.release();
    return PrivateSlabBox<T, Family>(object);
}

/// Threads, if the lock may be shared: each its own handle, or all the same one.
template <typename T, SlabLock Lock = SpinLock, std::uint64_t slab_bytes = page_bytes,
          SlabHooks Hooks = LibrarySlabHooks>
requires PrivateSlabOf<T, slab_bytes>
class PrivateSlabCache {
public:
    using Family = SlabFamily<Lock, Hooks, sizeof(T), slab_bytes>;
    using Box = PrivateSlabBox<T, Family>;
    using MaybeBox = PrivateSlabBox<Maybe<T>, Family>;

    [[nodiscard]] static Outcome<PrivateSlabCache> make() {
        return Family::make().map([](Family family) { return PrivateSlabCache(family); });
    }
    PrivateSlabCache(const PrivateSlabCache& other) requires(Lock::may_be_shared)
        : family_(other.family_) {
        if (family_) family_.hold();
    }
    PrivateSlabCache(PrivateSlabCache&& other) noexcept
        : family_(std::exchange(other.family_, Family())) {}
    PrivateSlabCache& operator=(PrivateSlabCache other) noexcept {
        std::swap(family_, other.family_);
        return *this;
    }
    ~PrivateSlabCache() {
        if (family_) family_.let_go();
    }

    [[nodiscard]] Outcome<MaybeBox> alloc_uninit() {
        if (!family_) return fail(Errc::moved_from);
        return family_.allocate().map([](void* slot) { return MaybeBox(new (slot) Maybe<T>); });
    }
    template <typename... Arguments>
    [[nodiscard]] Outcome<Box> emplace(Arguments&&... arguments) {
        return alloc_uninit().map([&](MaybeBox&& place) {
            return construct(std::move(place), std::forward<Arguments>(arguments)...);
        });
    }
    /// What a box has released. Any pointer may be asked about; of a live object of this cache the
    /// caller says that it is nobody else's. Looks at all slabs.
    [[nodiscard]] Outcome<Box> adopt(T* object) {
        if (!family_) return fail(Errc::moved_from);
        if (!family_.is_live(object)) return fail(Errc::not_allocated);
        return Box(object);
    }
    /// How many the hooks have given and not got back; 0 when moved from.
    [[nodiscard]] std::uint64_t slabs() const { return family_ ? family_.slabs() : 0; }

private:
    explicit PrivateSlabCache(Family family) : family_(family) {}

    Family family_;
};

}  // namespace shmpool
