// SPDX-License-Identifier: Apache-2.0
/// What a new heap is to be.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/layout/protocol_images.hpp"
#include "shmpool/heap/heap_format.hpp"

namespace shmpool {

inline constexpr std::array on_death_choices{OnDeath::keep, OnDeath::reclaim};

struct HeapRequest {
    std::string name;
    HeapKind kind = HeapKind::none;
    std::uint64_t bytes = 0;      ///< Rounded up to whole pages.
    std::uint64_t max_bytes = 0;  ///< That it may grow to; 0: it can not grow.
    HeapOptions options;          ///< Of its kind; how much of it is backed follows from the rest.
    OnDeath on_death = OnDeath::keep;
    std::uint64_t ticket = 0;  ///< Who asks again with the same one gets the same heap; 0: none.
    std::uint32_t user = 0;

    friend bool operator==(const HeapRequest&, const HeapRequest&) = default;
};

/// An error that says of which heap it is.
[[nodiscard]] tl::unexpected<Error> of_heap(std::string_view name, const Error& error);

/// Its sizes and options go together. invalid_argument.
[[nodiscard]] Result<void> check_sense(const HeapRequest& request);

}  // namespace shmpool
