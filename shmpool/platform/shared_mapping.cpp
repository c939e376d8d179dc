// SPDX-License-Identifier: Apache-2.0
/// See shared_mapping.hpp.
#include "shmpool/platform/shared_mapping.hpp"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <utility>

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

}  // namespace

Result<SharedMapping> SharedMapping::map(const Descriptor& object, std::uint64_t bytes,
                                         Access access) {
    const auto size = size_of(object);
    if (!size) return tl::unexpected(size.error());
    if (bytes == 0 || bytes > *size) {
        return fail(Errc::invalid_argument, "map " + std::to_string(bytes) +
                                                " bytes of a memory object that has " +
                                                std::to_string(*size));
    }
    const int protection = access == Access::read_only ? PROT_READ : PROT_READ | PROT_WRITE;
    void* const base = ::mmap(nullptr, bytes, protection, MAP_SHARED, object.get(), 0);
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
