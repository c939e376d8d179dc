// SPDX-License-Identifier: Apache-2.0
/// Whatever stands in a configuration: either refused with a sentence that names the source, or a
/// configuration that can be checked again, and planned.
#include "fuzz.hpp"
#include "host/config_file.hpp"

namespace shmpool::fuzz {

void try_input(std::span<const std::byte> input) {
    const host::MemoryProbe a_lot = [] { return std::uint64_t{1} << 40U; };
    const std::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
    const auto config = host::parse_config(text, "fuzz.toml", a_lot);
    if (!config) {
        demand(config.error().message.find("fuzz.toml") != std::string::npos,
               "a refusal that does not say where");
        return;
    }
    demand(host::check_config(*config, a_lot).has_value(), "what was accepted is refused");
}

}  // namespace shmpool::fuzz
