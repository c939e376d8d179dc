// SPDX-License-Identifier: Apache-2.0
/// An allocator for containers that live in a heap and are used by several processes, each of which
/// has the heap at another address: its pointers are distances. For the containers of
/// Boost.Interprocess and Boost.Container, which take such pointers; those of most standard
/// libraries do not.
///
///   using Names = boost::interprocess::vector<int, shmpool::OffsetAllocator<int>>;
///
/// The allocator may lie in the heap itself, as a part of its container. Who uses the container
/// must have the heap open in his process, or allocating ends with std::bad_alloc.
///
/// A container that several processes change belongs into a heap with on_death = keep: in one with
/// `reclaim` what somebody has inserted is freed when he leaves, and the others' container leads
/// into memory that is free (docs/HEAPS.md).
///
/// A heap keeps itself whole, not what is in it: who is killed in the middle of an insertion leaves
/// the container as it was at that moment. Guard what must survive that with a lock and a journal
/// of its own, or build aside and put in place with one word (`set_root`).
#pragma once

#include <boost/interprocess/offset_ptr.hpp>
#include <cstddef>
#include <limits>
#include <new>
#include <type_traits>

#include "shmpool/heap/block_source.hpp"
#include "shmpool/heap/holds_no_addresses.hpp"

namespace shmpool {

/// Equal if of one heap. Threads, as far as the container allows.
template <typename T>
class OffsetAllocator {
    template <typename Other>
    using Pointer = boost::interprocess::offset_ptr<Other>;

public:
    using value_type = T;
    using pointer = Pointer<T>;
    using const_pointer = Pointer<const T>;
    using void_pointer = Pointer<void>;
    using const_void_pointer = Pointer<const void>;
    using size_type = std::size_t;
    using difference_type = std::ptrdiff_t;

    /// The heap's first byte in this process.
    explicit OffsetAllocator(HeapHeader& heap) : heap_(&heap) {}
    template <typename Other>
    OffsetAllocator(const OffsetAllocator<Other>& other) : heap_(other.heap()) {}

    /// std::bad_array_new_length, std::bad_alloc.
    [[nodiscard]] pointer allocate(size_type count) {
        if (count > std::numeric_limits<size_type>::max() / sizeof(T)) {
            throw std::bad_array_new_length();
        }
        const auto block = allocate_in(heap(), count * sizeof(T), alignof(T));
        if (!block) throw std::bad_alloc();
        return pointer(static_cast<T*>(*block));
    }
    void deallocate(const pointer& block, size_type) noexcept {
        (void)free_in(heap(), block.get());
    }

    [[nodiscard]] HeapHeader* heap() const { return heap_.get(); }

    template <typename Other>
    friend bool operator==(const OffsetAllocator& one, const OffsetAllocator<Other>& other) {
        return one.heap() == other.heap();
    }

private:
    Pointer<HeapHeader> heap_;
};

template <typename T>
inline constexpr bool is_offset_allocator = false;
template <typename T>
inline constexpr bool is_offset_allocator<OffsetAllocator<T>> = true;

/// A container of what may lie in a heap may lie there too, if all that it has lies there.
template <typename T>
requires is_offset_allocator<typename T::allocator_type>
inline constexpr bool holds_no_addresses<T> =
    holds_no_addresses<std::remove_cv_t<typename T::value_type>>;

}  // namespace shmpool
