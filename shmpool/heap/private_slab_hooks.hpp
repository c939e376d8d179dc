// SPDX-License-Identifier: Apache-2.0
/// Where a slab cache within one process gets its slabs from. Hooks are a class of static
/// functions, or, as LinkedSlabHooks, two symbols that the program defines: who forgets them, or
/// defines them twice, is told by the linker.
///
/// They are never called under the lock of a cache: a hook may use the same cache.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdlib>

#include "shmpool/platform/result.hpp"

namespace shmpool {

template <typename Hooks>
concept SlabHooks = requires(void* memory, std::size_t bytes, std::size_t alignment, Errc code) {
    /// Null: there is none. What is not aligned is given back at once.
    { Hooks::allocate(bytes, alignment) } -> std::same_as<void*>;
    { Hooks::free(memory, bytes, alignment) } -> std::same_as<Outcome<void>>;
    /// An object or a slab could not be given back: where, and why. Destructors call it.
    { Hooks::failed(memory, code) }
    noexcept;
};

/// Of the C library.
struct LibrarySlabHooks {
    static void* allocate(std::size_t bytes, std::size_t alignment) {
        return std::aligned_alloc(alignment, bytes);
    }
    static Outcome<void> free(void* memory, std::size_t, std::size_t) {
        std::free(memory);
        return {};
    }
    static void failed(void*, Errc) noexcept {}
};

}  // namespace shmpool

extern "C" {
/// The program's, once each; SHMPOOL_SLAB_HOOKS defines them.
void* shmpool_slab_allocate(std::size_t bytes, std::size_t alignment);
bool shmpool_slab_free(void* memory, std::size_t bytes, std::size_t alignment);
}

namespace shmpool {

struct LinkedSlabHooks {
    static void* allocate(std::size_t bytes, std::size_t alignment) {
        return ::shmpool_slab_allocate(bytes, alignment);
    }
    static Outcome<void> free(void* memory, std::size_t bytes, std::size_t alignment) {
        if (!::shmpool_slab_free(memory, bytes, alignment)) return fail(Errc::refused);
        return {};
    }
    static void failed(void*, Errc) noexcept {}
};

static_assert(SlabHooks<LibrarySlabHooks> && SlabHooks<LinkedSlabHooks>);

}  // namespace shmpool

/// In one source of the program, outside of every namespace. `Hooks` has the two functions of
/// SlabHooks.
#define SHMPOOL_SLAB_HOOKS(Hooks)                                                          \
    extern "C" void* shmpool_slab_allocate(::std::size_t bytes, ::std::size_t alignment) { \
        return Hooks::allocate(bytes, alignment);                                          \
    }                                                                                      \
    extern "C" bool shmpool_slab_free(void* memory, ::std::size_t bytes,                   \
                                      ::std::size_t alignment) {                           \
        return Hooks::free(memory, bytes, alignment).has_value();                          \
    }
