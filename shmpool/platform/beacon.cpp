// SPDX-License-Identifier: Apache-2.0
/// See beacon.hpp. The offsets are glibc's for 64-bit Linux and checked below; the kernel reaches
/// the lock word from the list node by the offset that glibc registered for all mutexes of a
/// thread, so it does not matter that a page border lies between.
#include "shmpool/platform/beacon.hpp"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "shmpool/platform/memory_object.hpp"

namespace shmpool {
namespace {

constexpr std::size_t shared_part_bytes = page_bytes - beacon_word_offset;
static_assert(offsetof(pthread_mutex_t, __data.__lock) == 0, "the word is the mutex's first");
static_assert(sizeof(pthread_mutex_t::__data.__lock) == sizeof(std::uint32_t));
static_assert(offsetof(pthread_mutex_t, __data.__list) == shared_part_bytes,
              "the list node must begin exactly at the private page");
static_assert(beacon_word_offset % alignof(pthread_mutex_t) == 0);

int thread_id() {
    return static_cast<int>(::syscall(SYS_gettid));
}

pthread_mutex_t* mutex_at(std::byte* base) {
    return reinterpret_cast<pthread_mutex_t*>(base + beacon_word_offset);
}

Atomic<std::uint32_t>& word_at(std::byte* base) {
    return *reinterpret_cast<Atomic<std::uint32_t>*>(base + beacon_word_offset);
}

/// Two pages, the first shared through `memory`, the second private; null if the kernel refuses.
std::byte* map_straddled(const Descriptor& memory) {
    constexpr int protection = PROT_READ | PROT_WRITE;
    constexpr int private_kind = MAP_PRIVATE | MAP_ANONYMOUS;
    void* const both = ::mmap(nullptr, 2 * page_bytes, protection, private_kind, -1, 0);
    if (both == MAP_FAILED) return nullptr;
    void* const shared =
        ::mmap(both, page_bytes, protection, MAP_SHARED | MAP_FIXED, memory.get(), 0);
    if (shared == MAP_FAILED || ::madvise(both, 2 * page_bytes, MADV_DONTFORK) != 0 ||
        ::madvise(both, 2 * page_bytes, MADV_DONTDUMP) != 0) {
        const int error_number = errno;
        ::munmap(both, 2 * page_bytes);
        errno = error_number;
        return nullptr;
    }
    return static_cast<std::byte*>(both);
}

int lock_for_life(pthread_mutex_t* mutex) {
    pthread_mutexattr_t attributes;
    int error_number = ::pthread_mutexattr_init(&attributes);
    if (error_number != 0) return error_number;
    ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    error_number = ::pthread_mutex_init(mutex, &attributes);
    ::pthread_mutexattr_destroy(&attributes);
    return error_number != 0 ? error_number : ::pthread_mutex_lock(mutex);
}

/// The page must be of the right size and can not shrink; else a touch would be a SIGBUS.
Result<void> check_memory(const Descriptor& memory) {
    if (auto sealed = check_seals(memory); !sealed) return sealed;
    const auto size = size_of(memory);
    if (!size) return tl::unexpected(size.error());
    if (*size != page_bytes) {
        return fail(Errc::invalid_argument, "the memory of a beacon has " + std::to_string(*size) +
                                                " bytes, must be one page");
    }
    return {};
}

}  // namespace

/// Nobody asks the machine whether there is memory for one page: that takes as long as all the rest
/// of an attachment, and tells no more than the next page that anybody touches.
Result<Descriptor> create_beacon_memory() {
    auto memory = create_memory_object("shmpool-beacon", page_bytes);
    if (!memory) return memory;
    if (auto done = commit_checked(*memory, 0, page_bytes); !done) {
        return tl::unexpected(done.error());
    }
    return memory;
}

Result<Beacon> Beacon::hold(const Descriptor& memory) {
    if (auto sound = check_memory(memory); !sound) return tl::unexpected(sound.error());
    std::byte* const base = map_straddled(memory);
    if (base == nullptr) return fail_errno(Errc::out_of_memory, "map a beacon", errno);
    // Relaxed: of a fresh page every byte is 0, and nobody else holds it.
    if (word_at(base).load(std::memory_order_relaxed) != 0) {
        ::munmap(base, 2 * page_bytes);
        return fail(Errc::invalid_argument,
                    "the beacon is held, or was once; each attachment needs a fresh one");
    }
    if (const int error_number = lock_for_life(mutex_at(base)); error_number != 0) {
        ::munmap(base, 2 * page_bytes);
        return fail_errno(Errc::system, "lock a beacon", error_number);
    }
    Beacon beacon;
    beacon.base_ = base;
    beacon.thread_id_ = thread_id();
    return beacon;
}

Beacon::Beacon(Beacon&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)), thread_id_(other.thread_id_) {}

Beacon& Beacon::operator=(Beacon&& other) noexcept {
    if (this != &other) {
        let_go();
        base_ = std::exchange(other.base_, nullptr);
        thread_id_ = other.thread_id_;
    }
    return *this;
}

void Beacon::let_go() noexcept {
    std::byte* const base = std::exchange(base_, nullptr);
    // On another thread the pages must stay: the holding thread's list of held mutexes runs through
    // them. In a child of fork(), whose thread has another id too, they are not there.
    if (base == nullptr || thread_id_ != thread_id()) return;
    if (::pthread_mutex_unlock(mutex_at(base)) == 0) ::munmap(base, 2 * page_bytes);
}

Result<BeaconWatch> BeaconWatch::watch(const Descriptor& memory) {
    if (auto sound = check_memory(memory); !sound) return tl::unexpected(sound.error());
    auto mapping = SharedMapping::map(memory, page_bytes, Access::read_write);
    if (!mapping) return tl::unexpected(mapping.error());
    BeaconWatch result;
    result.mapping_ = std::move(*mapping);
    return result;
}

bool BeaconWatch::arm() noexcept {
    constexpr int attempts = 4;  // An honest word changes twice at most while we look.
    std::uint32_t value = word().load(std::memory_order_relaxed);  // A failed exchange looks again.
    for (int attempt = 0; attempt < attempts; ++attempt) {
        if ((value & FUTEX_TID_MASK) == 0 || (value & FUTEX_OWNER_DIED) != 0) return false;
        armed_value_ = value | FUTEX_WAITERS;
        if (value == armed_value_) return true;
        // Relaxed: the word guards no other memory.
        if (word().compare_exchange_strong(value, armed_value_, std::memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

bool BeaconWatch::owner_died() const noexcept {
    // Relaxed: the word guards no other memory.
    return (word().load(std::memory_order_relaxed) & FUTEX_OWNER_DIED) != 0;
}

Atomic<std::uint32_t>& BeaconWatch::word() const noexcept {
    return word_at(mapping_.base());
}

}  // namespace shmpool
