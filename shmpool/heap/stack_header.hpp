// SPDX-License-Identifier: Apache-2.0
/// What every kind of the stack family but linear begins its stack with.
#pragma once

#include <cstdint>
#include <string_view>

#include "shmpool/layout/heap_image.hpp"

namespace shmpool::stack_header {

//  Words of 8 bytes; what stands in front of the magic is the user's.
//     offset  first_fit           ghost_tree    slab_stack, checked_slab
//         16  magic "ALFF"
//         24  flags: 1 = recover                magic "ALSL", "ALCK"
//         32  first free block    magic "ALGT"  bytes of a unit
//         40  not used            root          first free block
//         48  blocks              blocks        blocks
inline constexpr std::uint64_t bytes = 48;

/// Four letters, 0, the version of the format, what may differ, 0. Only six bytes are compared.
[[nodiscard]] constexpr std::uint64_t magic(std::string_view letters) {
    std::uint64_t word = std::uint64_t{1} << 40;
    for (std::size_t i = 0; i < 4; ++i) {
        word |= static_cast<std::uint64_t>(static_cast<unsigned char>(letters[i])) << (8 * i);
    }
    return word;
}
[[nodiscard]] constexpr bool is_magic(std::uint64_t word, std::string_view letters) {
    return (word & ((std::uint64_t{1} << 48) - 1)) == magic(letters);
}

}  // namespace shmpool::stack_header
