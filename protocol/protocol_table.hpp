// SPDX-License-Identifier: Apache-2.0
/// Everything that two builds must agree on, as one text: the tables of all images, the sizes of
/// all messages, the layout version and the fingerprints. `shmpoold --print-layout` prints it, and
/// tests/format/layout.txt pins it: changing that file is the reviewable act of changing the
/// format.
#pragma once

#include <string>
#include <vector>

#include "shmpool/layout/layout_table.hpp"

namespace shmpool {

/// The images of protocol_images.hpp.
[[nodiscard]] std::vector<ImageTable> protocol_tables();

[[nodiscard]] std::string layout_text();

}  // namespace shmpool
