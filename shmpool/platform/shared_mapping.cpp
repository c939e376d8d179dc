// SPDX-License-Identifier: Apache-2.0
/// See shared_mapping.hpp.
#include "shmpool/platform/shared_mapping.hpp"

#include <sys/mman.h>

#include <string>
#include <utility>

#include "shmpool/platform/memory_object.hpp"

namespace shmpool {

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
    const bool at_large_page = bytes >= large_page_bytes || alignment > page_bytes;
    auto range = map_range({object.get(), 0, bytes, protection, MAP_SHARED}, at_large_page);
    if (!range) return tl::unexpected(range.error());
    SharedMapping mapping;
    mapping.range_ = std::move(*range);
    return mapping;
}

}  // namespace shmpool
