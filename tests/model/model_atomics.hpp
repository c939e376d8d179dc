// SPDX-License-Identifier: Apache-2.0
/// The atomics of the model: what shmpool/platform/atomics.hpp declares for the processor, declared
/// once more so that every access to shared memory is a step of the explorer. The production
/// sources include this instead when SHMPOOL_MODEL_ATOMICS names it; nothing else of them changes.
///
/// Each access says where in the sources it stands, so that a trace reads like a debugger and a
/// test sees which production files were met. Memory is sequentially consistent: the orders are
/// ignored, and both barriers are nothing. (tests/protocol/litmus_test.cpp tests the orders.)
#pragma once

namespace shmpool::model {

struct Site {
    const char* file = "";
    int line = 0;
};

enum class Change { add, bit_or, bit_and, replace };

// Each waits for its turn first, where an actor of the model calls it; see machine.hpp.
[[nodiscard]] std::uint64_t load(const void* address, unsigned bytes, Site site);
void store(void* address, unsigned bytes, std::uint64_t value, Site site);
[[nodiscard]] bool compare_exchange(void* address, unsigned bytes, std::uint64_t& expected,
                                    std::uint64_t desired, Site site);
std::uint64_t fetch_change(void* address, unsigned bytes, Change change, std::uint64_t operand,
                           Site site);
void load_pair(const void* address, std::uint64_t (&found)[2], Site site);
[[nodiscard]] bool compare_exchange_pair(void* address, const std::uint64_t (&expected)[2],
                                         const std::uint64_t (&desired)[2], Site site);

}  // namespace shmpool::model

#define SHMPOOL_SITE ::shmpool::model::Site site = {__builtin_FILE(), __builtin_LINE()}

namespace shmpool {

template <typename T>
class Atomic {
    static_assert(std::is_integral_v<T> && sizeof(T) <= 8);

public:
    static constexpr bool is_always_lock_free = true;

    Atomic() = default;
    Atomic(const Atomic&) = delete;
    Atomic& operator=(const Atomic&) = delete;

    T load(std::memory_order, SHMPOOL_SITE) const {
        return static_cast<T>(model::load(&value_, sizeof(T), site));
    }
    void store(T value, std::memory_order, SHMPOOL_SITE) {
        model::store(&value_, sizeof(T), value, site);
    }
    bool compare_exchange_strong(T& expected, T desired, std::memory_order, std::memory_order,
                                 SHMPOOL_SITE) {
        std::uint64_t found = expected;
        const bool done = model::compare_exchange(&value_, sizeof(T), found, desired, site);
        expected = static_cast<T>(found);
        return done;
    }
    bool compare_exchange_weak(T& expected, T desired, std::memory_order success,
                               std::memory_order failure, SHMPOOL_SITE) {
        return compare_exchange_strong(expected, desired, success, failure, site);
    }
    T exchange(T operand, std::memory_order, SHMPOOL_SITE) {
        return change(model::Change::replace, operand, site);
    }
    T fetch_add(T operand, std::memory_order, SHMPOOL_SITE) {
        return change(model::Change::add, operand, site);
    }
    T fetch_or(T operand, std::memory_order, SHMPOOL_SITE) {
        return change(model::Change::bit_or, operand, site);
    }
    T fetch_and(T operand, std::memory_order, SHMPOOL_SITE) {
        return change(model::Change::bit_and, operand, site);
    }

private:
    T change(model::Change kind, T operand, model::Site site) {
        return static_cast<T>(model::fetch_change(&value_, sizeof(T), kind, operand, site));
    }

    T value_ = 0;
};

[[nodiscard]] inline Word128 load_halves(const Word128& source, SHMPOOL_SITE) noexcept {
    std::uint64_t found[2];
    model::load_pair(&source, found, site);
    return Word128{found[0], found[1]};
}

inline bool compare_exchange_128(Word128& target, Word128 expected, Word128 desired,
                                 SHMPOOL_SITE) noexcept {
    return model::compare_exchange_pair(&target, {expected.low, expected.high},
                                        {desired.low, desired.high}, site);
}

inline bool compare_exchange_128(Atomic<std::uint64_t>& low, Word128 expected, Word128 desired,
                                 SHMPOOL_SITE) noexcept {
    return model::compare_exchange_pair(&low, {expected.low, expected.high},
                                        {desired.low, desired.high}, site);
}

inline void store_load_barrier() noexcept {}
inline void compiler_barrier() noexcept {}

}  // namespace shmpool

#undef SHMPOOL_SITE
