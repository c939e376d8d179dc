// SPDX-License-Identifier: Apache-2.0
/// See config_file.hpp. Driven by tables: one row per key with the function that takes its value,
/// so that the keys that are read, suggested and documented are one list. What allocation throws is
/// caught at the border.
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

#include "host/config_values.hpp"
#include "host/nearest_name.hpp"
#include "shmpool/quantity/byte_size.hpp"

namespace shmpool::host {
namespace {

constexpr std::size_t file_bytes_max = std::size_t{1} << 20;

template <typename Target>
struct KeyRule {
    std::string_view name;
    MaybeFlaw (*take)(const toml::node&, Target&);
};

template <typename Choice, std::size_t Count>
MaybeFlaw take_choice(const toml::node& node, const std::array<Choice, Count>& choices,
                      Choice& target) {
    const auto* text = node.as_string();
    if (text == nullptr) return expected("a string", node);
    std::array<std::string_view, Count> names;
    std::ranges::transform(choices, names.begin(), [](Choice choice) { return name_of(choice); });
    const auto found = std::ranges::find(names, std::string_view(text->get()));
    if (found == names.end()) {
        return "has the unknown value \"" + text->get() + "\"; " + suggest_name(text->get(), names);
    }
    target = choices[static_cast<std::size_t>(found - names.begin())];
    return std::nullopt;
}

template <auto Field, auto... Choices>
MaybeFlaw take_choice_of(const toml::node& node, PoolConfig& config) {
    static constexpr std::array choices{Choices...};
    return take_choice(node, choices, config.*Field);
}
constexpr auto take_suspect_policy =
    take_choice_of<&PoolConfig::suspect_policy, SuspectPolicy::wait, SuspectPolicy::kill>;
constexpr auto take_unseen_peers =
    take_choice_of<&PoolConfig::unseen_peers, UnseenPeers::refuse, UnseenPeers::accept>;
constexpr auto take_log_level =
    take_choice_of<&PoolConfig::log_level, LogLevel::trace, LogLevel::debug, LogLevel::info,
                   LogLevel::warn, LogLevel::error, LogLevel::off>;

template <std::uint32_t PoolLimits::*Field>
MaybeFlaw take_limit(const toml::node& node, PoolConfig& config) {
    return take_count(node, config.limits.*Field);
}

constexpr std::array<KeyRule<PoolConfig>, 2> pool_keys{{
    {"name", [](const toml::node& n, PoolConfig& c) { return take_text(n, c.name); }},
    {"socket", [](const toml::node& n, PoolConfig& c) { return take_text(n, c.socket_path); }},
}};
constexpr std::array<KeyRule<SizeClassConfig>, 2> class_keys{{
    {"slot_size",
     [](const toml::node& n, SizeClassConfig& c) { return take_size(n, c.slot_size); }},
    {"slot_count",
     [](const toml::node& n, SizeClassConfig& c) { return take_count(n, c.slot_count); }},
}};
constexpr std::array<KeyRule<PoolConfig>, 8> limits_keys{{
    {"peers", take_limit<&PoolLimits::peers>},
    {"lanes", take_limit<&PoolLimits::lanes>},
    {"channels", take_limit<&PoolLimits::channels>},
    {"publishers", take_limit<&PoolLimits::publishers>},
    {"subscribers", take_limit<&PoolLimits::subscribers>},
    {"rings", take_limit<&PoolLimits::rings>},
    {"ring_entries", take_limit<&PoolLimits::ring_entries>},
    {"publishers_per_channel", take_limit<&PoolLimits::publishers_per_channel>},
}};
template <Right Which>
constexpr std::array<KeyRule<PoolConfig>, 4> right_keys{{
    {"allow_users",
     [](const toml::node& n, PoolConfig& c) {
         return take_users_or_everybody(n, c.access.list(Which).allow_users);
     }},
    {"allow_groups",
     [](const toml::node& n, PoolConfig& c) {
         return take_groups(n, c.access.list(Which).allow_groups);
     }},
    {"deny_users", [](const toml::node& n,
                      PoolConfig& c) { return take_users(n, c.access.list(Which).deny_users); }},
    {"deny_groups", [](const toml::node& n,
                       PoolConfig& c) { return take_groups(n, c.access.list(Which).deny_groups); }},
}};
constexpr std::array<KeyRule<PoolConfig>, 3> access_keys{{
    {"socket_mode",
     [](const toml::node& n, PoolConfig& c) { return take_mode(n, c.access.socket_mode); }},
    {"socket_user",
     [](const toml::node& n, PoolConfig& c) { return take_user(n, c.access.socket_user); }},
    {"socket_group",
     [](const toml::node& n, PoolConfig& c) { return take_group(n, c.access.socket_group); }},
}};
template <typename Target, auto Get>
constexpr std::array<KeyRule<Target>, 5> quota_rules{{
    {"peer_slots", [](const toml::node& n, Target& t) { return take_count(n, Get(t).peer_slots); }},
    {"peer_bytes", [](const toml::node& n, Target& t) { return take_size(n, Get(t).peer_bytes); }},
    {"user_slots", [](const toml::node& n, Target& t) { return take_count(n, Get(t).user_slots); }},
    {"user_bytes", [](const toml::node& n, Target& t) { return take_size(n, Get(t).user_bytes); }},
    {"user_peers", [](const toml::node& n, Target& t) { return take_count(n, Get(t).user_peers); }},
}};
constexpr auto quota_keys =
    quota_rules<PoolConfig, [](PoolConfig& c) -> Quota& { return c.quota.everybody; }>;
constexpr std::array<KeyRule<UserQuota>, 6> user_quota_keys = [] {
    std::array<KeyRule<UserQuota>, 6> keys{
        {{"user", [](const toml::node& n, UserQuota& q) { return take_one_user(n, q.user); }}}};
    std::ranges::copy(quota_rules<UserQuota, [](UserQuota& q) -> Quota& { return q; }>,
                      keys.begin() + 1);
    return keys;
}();
constexpr std::array<KeyRule<PoolConfig>, 1> stop_keys{{
    {"grace", [](const toml::node& n, PoolConfig& c) { return take_duration(n, c.stop_grace_ms); }},
}};
constexpr std::array<KeyRule<PoolConfig>, 3> death_keys{{
    {"suspect_policy", take_suspect_policy},
    {"suspect_after",
     [](const toml::node& n, PoolConfig& c) { return take_duration(n, c.suspect_after_ms); }},
    {"unseen_peers", take_unseen_peers},
}};
constexpr std::array<KeyRule<PoolConfig>, 1> takeover_keys{{
    {"patience",
     [](const toml::node& n, PoolConfig& c) { return take_duration(n, c.takeover_patience_ms); }},
}};
constexpr std::array<KeyRule<PoolConfig>, 2> log_keys{{
    {"level", take_log_level},
    {"file", [](const toml::node& n, PoolConfig& c) { return take_text(n, c.log_file); }},
}};

struct SectionRule {
    std::string_view name;
    std::span<const KeyRule<PoolConfig>> keys;
    std::span<const SectionRule> inner = {};
};
constexpr std::array<SectionRule, right_count> access_sections{{
    {"attach", right_keys<Right::attach>},
    {"attach_read_only", right_keys<Right::attach_read_only>},
    {"observe", right_keys<Right::observe>},
    {"kick", right_keys<Right::kick>},
}};
constexpr std::string_view class_section = "class";
constexpr std::string_view user_quota_section = "user_quota";
constexpr std::array<SectionRule, 10> sections{{
    {"pool", pool_keys},
    {class_section, {}},  // A list of tables, each with class_keys.
    {"limits", limits_keys},
    {"access", access_keys, access_sections},
    {"quota", quota_keys},
    {user_quota_section, {}},  // A list of tables, each with user_quota_keys; behind [quota].
    {"stop", stop_keys},
    {"death", death_keys},
    {"takeover", takeover_keys},
    {"log", log_keys},
}};

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
        add(name, section.keys);
        for (const SectionRule& inner : section.inner) {
            add(name + "." + std::string(inner.name), inner.keys);
        }
    }
    return keys;
}

}  // namespace shmpool::host
