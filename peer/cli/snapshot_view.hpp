// SPDX-License-Identifier: Apache-2.0
/// The parts of a snapshot as JSON and as tables. The JSON fields are a promise to scripts: they
/// keep their names; sizes are in bytes, times carry their unit in the name.
#pragma once

#include <string>

#include "peer/cli/printing.hpp"
#include "peer/cli/snapshot.hpp"

namespace shmpool::cli {

[[nodiscard]] Json json_of_classes(const Snapshot& shot);
[[nodiscard]] Json json_of_peers(const Snapshot& shot);
[[nodiscard]] Json json_of_channels(const Snapshot& shot);
[[nodiscard]] Json json_of_reclaims(const Snapshot& shot);

[[nodiscard]] std::string table_of_classes(const Snapshot& shot);
[[nodiscard]] std::string table_of_peers(const Snapshot& shot);
[[nodiscard]] std::string table_of_channels(const Snapshot& shot);

}  // namespace shmpool::cli
