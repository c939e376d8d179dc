// SPDX-License-Identifier: Apache-2.0
/// Atomic words and the few instructions on them that the standard library has no portable spelling
/// for. `Atomic` is the only spelling of atomics in shared images, so that tests can exchange it:
/// where SHMPOOL_MODEL_ATOMICS is defined it names the header that declares everything between
/// `#else` and `#endif` below once more (tests/model). Every file of one program must agree on it.
///
/// `std::atomic` of 16 bytes is a library call in GCC 12 that may fall back to a lock private to
/// the process; therefore the one 16-byte compare-exchange goes through the compiler's builtin,
/// which is CMPXCHG16B (needs -mcx16) or CASP.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__SANITIZE_THREAD__)
#define SHMPOOL_UNDER_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SHMPOOL_UNDER_THREAD_SANITIZER 1
#endif
#endif
#if defined(SHMPOOL_UNDER_THREAD_SANITIZER)
#include <sanitizer/tsan_interface.h>
#endif

namespace shmpool {

/// Both are ABI, not tuning: they shape images that processes share.
inline constexpr std::size_t cache_line_bytes = 64;
inline constexpr std::size_t page_bytes = 4096;
inline constexpr std::size_t large_page_bytes = std::size_t{2} << 20;

/// Two words that change together. In shared memory the fields are touched by the functions below
/// only; a `Word128` on the stack is a plain value.
struct alignas(16) Word128 {
    std::uint64_t low;
    std::uint64_t high;

    friend constexpr bool operator==(const Word128&, const Word128&) = default;
};
static_assert(sizeof(Word128) == 16);

}  // namespace shmpool

#if defined(SHMPOOL_MODEL_ATOMICS)

#include SHMPOOL_MODEL_ATOMICS

#else

namespace shmpool {

template <typename T>
using Atomic = std::atomic<T>;

/// Loads `high`, then `low`. The two may belong to different exchanges; a compare_exchange_128 that
/// expects them validates the pair. If `high` never repeats, a second call that returns the same
/// `high` proves that the first pair was whole.
[[nodiscard]] inline Word128 load_halves(const Word128& source) noexcept {
    const std::uint64_t high = __atomic_load_n(&source.high, __ATOMIC_ACQUIRE);
    const std::uint64_t low = __atomic_load_n(&source.low, __ATOMIC_ACQUIRE);
    return Word128{low, high};
}

namespace detail {

inline bool compare_exchange_16_bytes(void* target, Word128 expected, Word128 desired) noexcept {
#if defined(SHMPOOL_UNDER_THREAD_SANITIZER) && defined(__x86_64__)
    // For the builtin the sanitizer takes a lock that no 8-byte access takes: here it is told what
    // the instruction does.
    auto* const halves = static_cast<std::uint64_t*>(target);
    __tsan_release(halves);
    __tsan_release(halves + 1);
    bool done = false;
    __asm__ __volatile__("lock cmpxchg16b %1"
                         : "=@ccz"(done), "+m"(*static_cast<Word128*>(target)), "+a"(expected.low),
                           "+d"(expected.high)
                         : "b"(desired.low), "c"(desired.high)
                         : "memory");
    __tsan_acquire(halves);
    __tsan_acquire(halves + 1);
    return done;
#else
    __extension__ typedef unsigned __int128 Bits __attribute__((may_alias));
    const auto bits = [](const Word128& word) {
        return (static_cast<Bits>(word.high) << 64) | word.low;
    };
    static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "`low` must be the low half");
    return __sync_bool_compare_and_swap(static_cast<Bits*>(target), bits(expected), bits(desired));
#endif
}

}  // namespace detail

/// Replaces `target` by `desired` if it holds `expected`; acquires and releases either way. Fails
/// only on a real difference.
inline bool compare_exchange_128(Word128& target, Word128 expected, Word128 desired) noexcept {
    return detail::compare_exchange_16_bytes(&target, expected, desired);
}
/// The same of two words that are also changed one by one: `low`, aligned to 16 bytes, and the one
/// behind it.
inline bool compare_exchange_128(Atomic<std::uint64_t>& low, Word128 expected,
                                 Word128 desired) noexcept {
    return detail::compare_exchange_16_bytes(&low, expected, desired);
}

/// Everything stored before is visible to all before anything loaded after is read: the one locked
/// instruction on x86-64. Two threads that each store one word, pass this, and load the other's
/// word can not both miss the other's store.
inline void store_load_barrier() noexcept {
#if defined(SHMPOOL_UNDER_THREAD_SANITIZER)
    // The sanitizer knows no stand-alone fences; on x86-64 any locked instruction is as good.
    static thread_local std::atomic<std::uint32_t> dummy{0};
    dummy.fetch_add(1, std::memory_order_seq_cst);  // [AR-store-load]
#else
    std::atomic_thread_fence(std::memory_order_seq_cst);  // [AR-store-load]
#endif
}

/// Keeps the compiler from moving memory accesses across; the processor may. For orders that a kill
/// must see (a kill leaves a prefix of the program), and beside `global_barrier` of the other side.
inline void compiler_barrier() noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

}  // namespace shmpool

#endif

namespace shmpool {

static_assert(Atomic<std::uint64_t>::is_always_lock_free, "a hidden lock is process-local");
static_assert(Atomic<std::uint32_t>::is_always_lock_free, "a hidden lock is process-local");

/// Tells the core that this is a spin loop.
inline void cpu_relax() noexcept {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

}  // namespace shmpool
