// SPDX-License-Identifier: Apache-2.0
/// Which kinds of heaps a build has: all that there are, or those that CMake's SHMPOOL_HEAP_KINDS
/// names. What it does not have is not compiled, and is refused by name.
#pragma once

#include <string>
#include <string_view>

#include "shmpool/layout/heap_image.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool {

/// Names with commas between them; none: all.
#ifdef SHMPOOL_HEAP_KINDS
inline constexpr std::string_view built_kinds = SHMPOOL_HEAP_KINDS;
#else
inline constexpr std::string_view built_kinds;
#endif

[[nodiscard]] constexpr bool is_built(HeapKind kind, std::string_view among = built_kinds) {
    if (among.empty()) return true;
    for (;;) {
        const std::size_t comma = among.find(',');
        if (among.substr(0, comma) == name_of(kind)) return true;
        if (comma == std::string_view::npos) return false;
        among.remove_prefix(comma + 1);
    }
}

[[nodiscard]] inline tl::unexpected<Error> not_built(HeapKind kind) {
    return fail(Errc::unsupported, "this build has no heaps of kind " + std::string(name_of(kind)) +
                                       ", only " + std::string(built_kinds) +
                                       "; add it to SHMPOOL_HEAP_KINDS and build again");
}

/// What `make` makes, if there is such a kind. `make(auto)`: a template, or else its code is there
/// whether it is called or not.
template <HeapKind Kind, typename Made, typename Make>
[[nodiscard]] Result<Made> if_built(Make make) {
    if constexpr (is_built(Kind)) {
        return make(Kind);
    } else {
        return not_built(Kind);
    }
}

}  // namespace shmpool
