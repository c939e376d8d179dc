// SPDX-License-Identifier: Apache-2.0
/// See config_file.hpp. Driven by the tables of config_rules.hpp. What allocation throws is caught
/// at the border.
#include "host/config_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <span>

#include "host/config_rules.hpp"
#include "host/config_values.hpp"
#include "host/nearest_name.hpp"
#include "shmpool/quantity/byte_size.hpp"

namespace shmpool::host {
namespace {

constexpr std::size_t file_bytes_max = std::size_t{1} << 20;

template <typename Rules>
std::vector<std::string_view> names_of(const Rules& rules) {
    std::vector<std::string_view> names;
    for (const auto& rule : rules) names.push_back(rule.name);
    return names;
}

/// Walks the document and collects what is wrong with its place: toml++ sorts keys by name, people
/// read from the top.
class ConfigReader {
public:
    explicit ConfigReader(std::string_view source_name) : source_name_(source_name) {}

    Result<PoolConfig> read(const toml::table& document) {
        PoolConfig config;
        for (const auto& [key, node] : document) {
            const auto section = std::ranges::find(sections, key.str(), &SectionRule::name);
            if (section == sections.end()) {
                note(key.source(), "unknown section or key \"" + std::string(key.str()) + "\"; " +
                                       suggest_name(key.str(), names_of(sections)));
            } else if (section->name == class_section) {
                take_classes(key, node, config.classes);
            } else if (section->name == user_quota_section) {
                take_user_quotas(key, node, config.quota);
            } else if (section->name == heap_section) {
                take_heaps(key, node, config.heaps);
            } else {
                take_section("", *section, key, node, config);
            }
        }
        if (!problems_.empty()) return first_problem();
        return config;
    }

private:
    struct Problem {
        toml::source_position position;
        std::string text;
    };

    void take_section(const std::string& outer, const SectionRule& section, const toml::key& key,
                      const toml::node& node, PoolConfig& config) {
        const std::string name = outer + std::string(section.name);
        const auto* table = node.as_table();
        if (table == nullptr) {
            return note(key.source(),
                        name + " must be a section: write [" + name + "] on a line of its own");
        }
        auto known = names_of(section.keys);
        std::ranges::copy(names_of(section.inner), std::back_inserter(known));
        for (const auto& [inner_key, inner_node] : *table) {
            const auto inner =
                std::ranges::find(section.inner, inner_key.str(), &SectionRule::name);
            if (inner != section.inner.end()) {
                take_section(name + ".", *inner, inner_key, inner_node, config);
            } else {
                take_key("[" + name + "] ", inner_key, inner_node, section.keys, known, config);
            }
        }
    }

    template <typename Target>
    void take_key(const std::string& section, const toml::key& key, const toml::node& node,
                  std::span<const KeyRule<Target>> rules,
                  const std::vector<std::string_view>& known, Target& target) {
        const auto rule = std::ranges::find(rules, key.str(), &KeyRule<Target>::name);
        if (rule == rules.end()) {
            note(key.source(), section + "unknown key \"" + std::string(key.str()) + "\"; " +
                                   suggest_name(key.str(), known));
        } else if (const MaybeFlaw flaw = rule->take(node, target)) {
            const toml::node& place = flaw->where == nullptr ? node : *flaw->where;
            note(place.source(), section + std::string(key.str()) + ": " + flaw->text);
        }
    }

    void take_classes(const toml::key& key, const toml::node& node,
                      std::vector<SizeClassConfig>& classes) {
        classes.clear();
        take_tables(key, node, "slot_size and slot_count", [&](const toml::table& table) {
            SizeClassConfig one;
            const std::array needed{class_keys[0].name, class_keys[1].name};
            const bool complete = take_table("[[class]]", table, class_keys, needed, one);
            classes.push_back(one);
            if (!complete) return;
            if (const auto checked = check_class(one); !checked) {
                note(table.source(), "[[class]] " + checked.error().message);
            }
        });
    }

    /// What one leaves out is as [quota] says; toml++ has sorted that one before these.
    void take_user_quotas(const toml::key& key, const toml::node& node, QuotaRules& quota) {
        take_tables(key, node, "user and what it may hold", [&](const toml::table& table) {
            UserQuota one{quota.everybody, 0};
            const std::array needed{user_quota_keys[0].name};
            if (!take_table("[[user_quota]]", table, user_quota_keys, needed, one)) return;
            if (std::ranges::find(quota.users, one.user, &UserQuota::user) != quota.users.end()) {
                note(table.source(), "[[user_quota]] of this user is there already; merge them");
            }
            quota.users.push_back(one);
        });
    }

    void take_heaps(const toml::key& key, const toml::node& node, std::vector<HeapRequest>& heaps) {
        take_tables(key, node, "name, kind and size", [&](const toml::table& table) {
            HeapRequest one;
            const std::array needed{heap_keys[0].name, heap_keys[1].name, heap_keys[2].name};
            if (!take_table("[[heap]]", table, heap_keys, needed, one)) return;
            if (std::ranges::find(heaps, one.name, &HeapRequest::name) != heaps.end()) {
                note(table.source(), "[[heap]] of the name \"" + one.name + "\" is there already");
            }
            heaps.push_back(std::move(one));
        });
    }

    template <typename Take>
    void take_tables(const toml::key& key, const toml::node& node, const std::string& content,
                     Take take) {
        const std::string name(key.str());
        const auto* list = node.as_array();
        if (list == nullptr) {
            return note(key.source(), name + ": there may be several: write [[" + name +
                                          "]], not [" + name + "]");
        }
        for (const toml::node& entry : *list) {
            const auto* table = entry.as_table();
            if (table != nullptr) {
                take(*table);
            } else {
                note(entry.source(), "[[" + name + "]] must be a table with " + content);
            }
        }
    }

    /// False if something is wrong with it.
    template <typename Target, std::size_t Count, std::size_t NeededCount>
    bool take_table(const std::string& name, const toml::table& table,
                    const std::array<KeyRule<Target>, Count>& rules,
                    const std::array<std::string_view, NeededCount>& needed, Target& target) {
        const std::size_t problems_before = problems_.size();
        for (const auto& [key, node] : table) {
            take_key(name + " ", key, node, std::span<const KeyRule<Target>>(rules),
                     names_of(rules), target);
        }
        for (const std::string_view one : needed) {
            if (!table.contains(one)) {
                note(table.source(), name + " has no " + std::string(one));
            }
        }
        return problems_.size() == problems_before;
    }

    void note(const toml::source_region& source, std::string text) {
        problems_.push_back({source.begin, std::move(text)});
    }

    tl::unexpected<Error> first_problem() {
        const Problem& first =
            *std::ranges::min_element(problems_, [](const Problem& left, const Problem& right) {
                return left.position < right.position;
            });
        std::string message = source_name_ + ":" + std::to_string(first.position.line) + ":" +
                              std::to_string(first.position.column) + ": " + first.text;
        if (problems_.size() > 1) {
            message += " (and " + std::to_string(problems_.size() - 1) + " more)";
        }
        return fail(Errc::invalid_config, std::move(message));
    }

    std::string source_name_;
    std::vector<Problem> problems_;
};

tl::unexpected<Error> file_error(const std::string& path, int error_number) {
    if (error_number == EISDIR) {
        return fail(Errc::invalid_config, path + " is a directory, not a configuration file");
    }
    const bool permission = error_number == EACCES || error_number == EPERM;
    return fail_errno(permission ? Errc::no_permission : Errc::invalid_config,
                      "read the configuration " + path, error_number);
}

Result<std::string> read_text(const std::string& path) {
    const auto close = [](std::FILE* file) { std::fclose(file); };
    const std::unique_ptr<std::FILE, decltype(close)> file(std::fopen(path.c_str(), "rbe"), close);
    if (!file) return file_error(path, errno);
    std::string text(file_bytes_max + 1, '\0');
    const std::size_t length = std::fread(text.data(), 1, text.size(), file.get());
    if (std::ferror(file.get()) != 0) return file_error(path, errno);
    if (length > file_bytes_max) {
        return fail(Errc::invalid_config, path + " is larger than " +
                                              format_byte_size(file_bytes_max) +
                                              "; this is no configuration");
    }
    text.resize(length);
    return text;
}

}  // namespace

Result<PoolConfig> parse_config(std::string_view text, std::string_view source_name,
                                const MemoryProbe& memory) try {
    const toml::parse_result parsed = toml::parse(text, source_name);
    if (!parsed) {
        const toml::source_position position = parsed.error().source().begin;
        return fail(Errc::invalid_config, std::string(source_name) + ":" +
                                              std::to_string(position.line) + ":" +
                                              std::to_string(position.column) + ": " +
                                              std::string(parsed.error().description()));
    }
    auto config = ConfigReader(source_name).read(parsed.table());
    if (!config) return config;
    if (const auto checked = check_config(*config, memory); !checked) {
        return fail(checked.error().code,
                    std::string(source_name) + ": " + checked.error().message);
    }
    return config;
} catch (const std::exception& exception) {
    return fail(Errc::invalid_config, std::string(source_name) + ": " + exception.what());
}

Result<PoolConfig> read_config_file(const std::string& path, const MemoryProbe& memory) {
    const auto text = read_text(path);
    if (!text) return tl::unexpected(text.error());
    return parse_config(*text, path, memory);
}

std::vector<std::string> config_keys() {
    std::vector<std::string> keys;
    const auto add = [&keys](const std::string& section, const auto& rules) {
        for (const auto& rule : rules) keys.push_back(section + "." + std::string(rule.name));
    };
    for (const SectionRule& section : sections) {
        const std::string name(section.name);
        if (section.name == class_section) add(name, class_keys);
        if (section.name == user_quota_section) add(name, user_quota_keys);
        if (section.name == heap_section) add(name, heap_keys);
        add(name, section.keys);
        for (const SectionRule& inner : section.inner) {
            add(name + "." + std::string(inner.name), inner.keys);
        }
    }
    return keys;
}

}  // namespace shmpool::host
