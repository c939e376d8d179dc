// SPDX-License-Identifier: Apache-2.0
/// The first byte of an input for the codec.
#pragma once

#include <cstddef>

namespace shmpool::fuzz {

inline constexpr std::byte counts{0x03};  // How many descriptors.
/// What stays in the header as the input has it.
inline constexpr std::byte keeps_magic{0x04};
inline constexpr std::byte keeps_version{0x08};
inline constexpr std::byte keeps_length{0x10};

}  // namespace shmpool::fuzz
