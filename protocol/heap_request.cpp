// SPDX-License-Identifier: Apache-2.0
#include "protocol/heap_request.hpp"

#include <algorithm>

#include "shmpool/heap/heap_options.hpp"

namespace shmpool {

tl::unexpected<Error> of_heap(std::string_view name, const Error& error) {
    return fail(error.code, "heap '" + std::string(name) + "': " + error.message);
}

Result<void> check_sense(const HeapRequest& request) {
    if (request.max_bytes != 0 && request.max_bytes < request.bytes) {
        return of_heap(request.name, {Errc::invalid_argument,
                                      "max_size is " + std::to_string(request.max_bytes) +
                                          ", but size is " + std::to_string(request.bytes) +
                                          "; make it as large or larger, or leave it out"});
    }
    const std::uint64_t bytes = std::max(request.bytes, request.max_bytes);
    if (auto sound = check_options(request.kind, bytes, request.options); !sound) {
        return of_heap(request.name, sound.error());
    }
    return {};
}

}  // namespace shmpool
