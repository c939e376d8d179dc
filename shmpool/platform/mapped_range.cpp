// SPDX-License-Identifier: Apache-2.0
/// See mapped_range.hpp.
#include "shmpool/platform/mapped_range.hpp"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "shmpool/platform/alignment.hpp"
#include "shmpool/platform/atomics.hpp"

namespace shmpool {
namespace {

Errc code_of(int error_number) {
    switch (error_number) {
        case EAGAIN:
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

void* map(const MapRequest& request, bool at_large_page) {
    const auto offset = static_cast<off_t>(request.offset);
    if (!at_large_page) {
        return ::mmap(nullptr, request.bytes, request.protection, request.flags, request.object,
                      offset);
    }
    void* const place = reserve_aligned(request.bytes);
    if (place == MAP_FAILED) return MAP_FAILED;
    void* const base = ::mmap(place, request.bytes, request.protection, request.flags | MAP_FIXED,
                              request.object, offset);
    if (base == MAP_FAILED) {
        const int error_number = errno;
        ::munmap(place, request.bytes);
        errno = error_number;
    }
    return base;
}

}  // namespace

Result<MappedRange> map_range(const MapRequest& request, bool at_large_page) {
    void* const base = map(request, at_large_page);
    if (base == MAP_FAILED) {
        const int error_number = errno;
        const char* const remedy = error_number == EAGAIN
                                       ? " (mlockall: raise the limit of locked memory, ulimit -l)"
                                       : "";
        return fail_errno(code_of(error_number),
                          "map " + std::to_string(request.bytes) + " bytes" + remedy, error_number);
    }
    MappedRange mapping;
    mapping.base_ = static_cast<std::byte*>(base);
    mapping.bytes_ = request.bytes;
    mapping.process_id_ = ::getpid();
    if (::madvise(base, request.bytes, MADV_DONTFORK) != 0 ||
        ::madvise(base, request.bytes, MADV_DONTDUMP) != 0) {
        return fail_errno(Errc::system, "keep a mapping away from children and core dumps", errno);
    }
    return mapping;
}

MappedRange::MappedRange(MappedRange&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      process_id_(other.process_id_) {}

MappedRange& MappedRange::operator=(MappedRange&& other) noexcept {
    if (this != &other) {
        unmap();
        base_ = std::exchange(other.base_, nullptr);
        bytes_ = std::exchange(other.bytes_, 0);
        process_id_ = other.process_id_;
    }
    return *this;
}

void MappedRange::unmap() noexcept {
    if (base_ != nullptr && process_id_ == ::getpid()) ::munmap(base_, bytes_);
    base_ = nullptr;
    bytes_ = 0;
}

}  // namespace shmpool
