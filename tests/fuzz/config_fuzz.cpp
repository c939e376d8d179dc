// SPDX-License-Identifier: Apache-2.0
/// Whatever stands in a configuration: either refused with a sentence that names the source, or a
/// configuration that can be checked again, and planned.
#include "fuzz.hpp"
#include "host/config_file.hpp"

namespace shmpool::fuzz {
namespace {

constexpr std::string_view accepted = "accepted";
constexpr std::string_view refused_key = "refused: a key that nobody knows";
constexpr std::string_view refused_value = "refused: a value that is none of its key's";
constexpr std::string_view refused_otherwise = "refused: no TOML, or no sense";

std::vector<std::string> all_places() {
    std::vector<std::string> places = host::config_keys();
    for (const std::string_view one : {accepted, refused_key, refused_value, refused_otherwise}) {
        places.emplace_back(one);
    }
    return places;
}

Reach& own_reach() {
    static Reach reach(all_places());
    return reach;
}

void note_refusal(std::string_view words) {
    const auto says = [words](std::string_view part) { return words.find(part) != words.npos; };
    own_reach().note(says("unknown ") ? refused_key
                     : says(" must ") ? refused_value
                                      : refused_otherwise);
}

/// The keys of an accepted text, line by line: [section] and [[section]], key = value.
void note_keys(std::string_view text) {
    static const std::vector<std::string> keys = host::config_keys();
    std::string section;
    while (!text.empty()) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        if (line.starts_with('[')) {
            line.remove_prefix(std::min(line.find_first_not_of('['), line.size()));
            section = std::string(line.substr(0, line.find(']'))) + '.';
        } else if (const auto end = line.find(" = "); end != std::string_view::npos) {
            const std::string key = section + std::string(line.substr(0, end));
            own_reach().note_if(std::ranges::find(keys, key) != keys.end(), key);
        }
    }
}

}  // namespace

const Reach& reach() {
    return own_reach();
}

void try_input(std::span<const std::byte> input) {
    const host::MemoryProbe a_lot = [] { return std::uint64_t{1} << 40U; };
    const std::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
    const auto config = host::parse_config(text, "fuzz.toml", a_lot);
    if (!config) {
        const std::string& words = config.error().message;
        demand(words.find("fuzz.toml") != std::string::npos, "a refusal that does not say where");
        note_refusal(words);
        return;
    }
    own_reach().note(accepted);
    note_keys(text);
    demand(host::check_config(*config, a_lot).has_value(), "what was accepted is refused");
}

}  // namespace shmpool::fuzz
