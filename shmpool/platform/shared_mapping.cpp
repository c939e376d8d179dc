// SPDX-License-Identifier: Apache-2.0
/// See shared_mapping.hpp.
#include "shmpool/platform/shared_mapping.hpp"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "shmpool/platform/alignment.hpp"
#include "shmpool/platform/memory_object.hpp"

namespace shmpool {
namespace {

Errc code_of(int error_number) {
    switch (error_number) {
        case ENOMEM: return Errc::out_of_memory;
        case EACCES:
        case EPERM: return Errc::no_permission;
        default: return Errc::system;
    }
}

/// Address space for `bytes`, aligned to a large page; MAP_FAILED.
void* reserve_aligned(std::uint64_t bytes) {
    const std::uint64_t reserved_bytes = bytes + large_page_bytes;
    void* const reserved = ::mmap(nullptr, reserved_bytes, PROT_NONE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED) return MAP_FAILED;
    auto* const begin = static_cast<std::byte*>(reserved);
    const std::uint64_t before =
        (large_page_bytes - reinterpret_cast<std::uintptr_t>(begin) % large_page_bytes) %
        large_page_bytes;
    const std::uint64_t pages = align_up(bytes, page_bytes);
    if (before != 0) ::munmap(begin, before);
    ::munmap(begin + before + pages, reserved_bytes - before - pages);
    return begin + before;
}

void* map_shared(const Descriptor& object, std::uint64_t bytes, int protection,
                 std::uint64_t alignment) {
    if (bytes < large_page_bytes && alignment <= page_bytes) {
        return ::mmap(nullptr, bytes, protection, MAP_SHARED, object.get(), 0);
    }
    void* const place = reserve_aligned(bytes);
    if (place == MAP_FAILED) return MAP_FAILED;
    void* const base = ::mmap(place, bytes, protection, MAP_SHARED | MAP_FIXED, object.get(), 0);
    if (base == MAP_FAILED) {
        const int error_number = errno;
        ::munmap(place, bytes);
        errno = error_number;
    }
    return base;
}

}  // namespace

Result<SharedMapping> SharedMapping::map(const Descriptor& object, std::uint64_t bytes,
                                         Access access, std::uint64_t alignment) {
    const auto size = size_of(object);
    if (!size) return tl::unexpected(size.error());
    if (bytes == 0 || bytes > *size) {
        return fail(Errc::invalid_argument, "map " + std::to_string(bytes) +
                                                " bytes of a memory object that has " +
                                                std::to_string(*size));
    }
    const int protection = access == Access::read_only ? PROT_READ : PROT_READ | PROT_WRITE;
    void* const base = map_shared(object, bytes, protection, alignment);
    if (base == MAP_FAILED) {
        return fail_errno(code_of(errno), "map " + std::to_string(bytes) + " bytes", errno);
    }
    SharedMapping mapping;
    mapping.base_ = static_cast<std::byte*>(base);
    mapping.bytes_ = bytes;
    mapping.process_id_ = ::getpid();
    if (::madvise(base, bytes, MADV_DONTFORK) != 0 || ::madvise(base, bytes, MADV_DONTDUMP) != 0) {
        return fail_errno(Errc::system, "keep a mapping away from children and core dumps", errno);
    }
    return mapping;
}

SharedMapping::SharedMapping(SharedMapping&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      process_id_(other.process_id_) {}

SharedMapping& SharedMapping::operator=(SharedMapping&& other) noexcept {
    if (this != &other) {
        unmap();
        base_ = std::exchange(other.base_, nullptr);
        bytes_ = std::exchange(other.bytes_, 0);
        process_id_ = other.process_id_;
    }
    return *this;
}

void SharedMapping::unmap() noexcept {
    if (base_ != nullptr && process_id_ == ::getpid()) ::munmap(base_, bytes_);
    base_ = nullptr;
    bytes_ = 0;
}

}  // namespace shmpool
