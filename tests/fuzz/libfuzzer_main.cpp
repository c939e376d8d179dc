// SPDX-License-Identifier: Apache-2.0
#include <cstdint>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    shmpool::fuzz::try_input(std::as_bytes(std::span(data, size)));
    return 0;
}
