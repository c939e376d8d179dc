// SPDX-License-Identifier: Apache-2.0
/// The keys of the configuration file: one row per key with the function that takes its value, so
/// that the keys that are read, suggested and documented are one list.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "host/config_values.hpp"
#include "host/nearest_name.hpp"
#include "host/pool_config.hpp"

namespace shmpool::host {

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
inline constexpr auto take_suspect_policy =
    take_choice_of<&PoolConfig::suspect_policy, SuspectPolicy::wait, SuspectPolicy::kill>;
inline constexpr auto take_unseen_peers =
    take_choice_of<&PoolConfig::unseen_peers, UnseenPeers::refuse, UnseenPeers::accept>;
inline constexpr auto take_log_level =
    take_choice_of<&PoolConfig::log_level, LogLevel::trace, LogLevel::debug, LogLevel::info,
                   LogLevel::warn, LogLevel::error, LogLevel::off>;

template <std::uint32_t PoolLimits::*Field>
MaybeFlaw take_limit(const toml::node& node, PoolConfig& config) {
    return take_count(node, config.limits.*Field);
}

inline constexpr std::array<KeyRule<PoolConfig>, 2> pool_keys{{
    {"name", [](const toml::node& n, PoolConfig& c) { return take_text(n, c.name); }},
    {"socket", [](const toml::node& n, PoolConfig& c) { return take_text(n, c.socket_path); }},
}};
inline constexpr std::array<KeyRule<SizeClassConfig>, 4> class_keys{{
    {"slot_size",
     [](const toml::node& n, SizeClassConfig& c) { return take_size(n, c.slot_size); }},
    {"slot_count",
     [](const toml::node& n, SizeClassConfig& c) { return take_count(n, c.slot_count); }},
    {"slot_limit",
     [](const toml::node& n, SizeClassConfig& c) { return take_count(n, c.slot_limit); }},
    {"grow_when_exhausted",
     [](const toml::node& n, SizeClassConfig& c) { return take_flag(n, c.grow_when_exhausted); }},
}};
inline constexpr std::array<KeyRule<PoolConfig>, 10> limits_keys{{
    {"peers", take_limit<&PoolLimits::peers>},
    {"lanes", take_limit<&PoolLimits::lanes>},
    {"channels", take_limit<&PoolLimits::channels>},
    {"publishers", take_limit<&PoolLimits::publishers>},
    {"subscribers", take_limit<&PoolLimits::subscribers>},
    {"rings", take_limit<&PoolLimits::rings>},
    {"ring_entries", take_limit<&PoolLimits::ring_entries>},
    {"publishers_per_channel", take_limit<&PoolLimits::publishers_per_channel>},
    {"heaps", take_limit<&PoolLimits::heaps>},
    {"heap_bytes",
     [](const toml::node& n, PoolConfig& c) { return take_size(n, c.limits.heap_bytes); }},
}};
template <Right Which>
inline constexpr std::array<KeyRule<PoolConfig>, 4> right_keys{{
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
inline constexpr std::array<KeyRule<PoolConfig>, 3> access_keys{{
    {"socket_mode",
     [](const toml::node& n, PoolConfig& c) { return take_mode(n, c.access.socket_mode); }},
    {"socket_user",
     [](const toml::node& n, PoolConfig& c) { return take_user(n, c.access.socket_user); }},
    {"socket_group",
     [](const toml::node& n, PoolConfig& c) { return take_group(n, c.access.socket_group); }},
}};
template <typename Target, auto Get>
inline constexpr std::array<KeyRule<Target>, 5> quota_rules{{
    {"peer_slots", [](const toml::node& n, Target& t) { return take_count(n, Get(t).peer_slots); }},
    {"peer_bytes", [](const toml::node& n, Target& t) { return take_size(n, Get(t).peer_bytes); }},
    {"user_slots", [](const toml::node& n, Target& t) { return take_count(n, Get(t).user_slots); }},
    {"user_bytes", [](const toml::node& n, Target& t) { return take_size(n, Get(t).user_bytes); }},
    {"user_peers", [](const toml::node& n, Target& t) { return take_count(n, Get(t).user_peers); }},
}};
inline constexpr auto quota_keys =
    quota_rules<PoolConfig, [](PoolConfig& c) -> Quota& { return c.quota.everybody; }>;
inline constexpr std::array<KeyRule<UserQuota>, 6> user_quota_keys = [] {
    std::array<KeyRule<UserQuota>, 6> keys{
        {{"user", [](const toml::node& n, UserQuota& q) { return take_one_user(n, q.user); }}}};
    std::ranges::copy(quota_rules<UserQuota, [](UserQuota& q) -> Quota& { return q; }>,
                      keys.begin() + 1);
    return keys;
}();
inline constexpr std::array<KeyRule<HeapRequest>, 11> heap_keys{{
    {"name", [](const toml::node& n, HeapRequest& h) { return take_text(n, h.name); }},
    {"kind",
     [](const toml::node& n, HeapRequest& h) { return take_choice(n, heap_kinds, h.kind); }},
    {"size", [](const toml::node& n, HeapRequest& h) { return take_size(n, h.bytes); }},
    {"max_size", [](const toml::node& n, HeapRequest& h) { return take_size(n, h.max_bytes); }},
    {"on_death", [](const toml::node& n,
                    HeapRequest& h) { return take_choice(n, on_death_choices, h.on_death); }},
    {"alignment",
     [](const toml::node& n, HeapRequest& h) { return take_size(n, h.options.map_alignment); }},
    {"page_size",
     [](const toml::node& n, HeapRequest& h) { return take_size(n, h.options.bytes_per_page); }},
    {"block_size",
     [](const toml::node& n, HeapRequest& h) { return take_size(n, h.options.block_bytes); }},
    {"first_id",
     [](const toml::node& n, HeapRequest& h) { return take_long_count(n, h.options.first_id); }},
    {"ids",
     [](const toml::node& n, HeapRequest& h) { return take_long_count(n, h.options.id_count); }},
    {"ids_max",
     [](const toml::node& n, HeapRequest& h) { return take_long_count(n, h.options.id_capacity); }},
}};
inline constexpr std::array<KeyRule<PoolConfig>, 1> stop_keys{{
    {"grace", [](const toml::node& n, PoolConfig& c) { return take_duration(n, c.stop_grace_ms); }},
}};
inline constexpr std::array<KeyRule<PoolConfig>, 3> death_keys{{
    {"suspect_policy", take_suspect_policy},
    {"suspect_after",
     [](const toml::node& n, PoolConfig& c) { return take_duration(n, c.suspect_after_ms); }},
    {"unseen_peers", take_unseen_peers},
}};
inline constexpr std::array<KeyRule<PoolConfig>, 1> takeover_keys{{
    {"patience",
     [](const toml::node& n, PoolConfig& c) { return take_duration(n, c.takeover_patience_ms); }},
}};
inline constexpr std::array<KeyRule<PoolConfig>, 2> log_keys{{
    {"level", take_log_level},
    {"file", [](const toml::node& n, PoolConfig& c) { return take_text(n, c.log_file); }},
}};

struct SectionRule {
    std::string_view name;
    std::span<const KeyRule<PoolConfig>> keys;
    std::span<const SectionRule> inner = {};
};
inline constexpr std::array<SectionRule, right_count> access_sections{{
    {"attach", right_keys<Right::attach>},
    {"attach_read_only", right_keys<Right::attach_read_only>},
    {"observe", right_keys<Right::observe>},
    {"kick", right_keys<Right::kick>},
    {"grow", right_keys<Right::grow>},
}};
inline constexpr std::string_view class_section = "class";
inline constexpr std::string_view user_quota_section = "user_quota";
inline constexpr std::string_view heap_section = "heap";
inline constexpr std::array<SectionRule, 11> sections{{
    {"pool", pool_keys},
    {class_section, {}},  // A list of tables, each with class_keys.
    {"limits", limits_keys},
    {"access", access_keys, access_sections},
    {"quota", quota_keys},
    {user_quota_section, {}},  // A list of tables, each with user_quota_keys; behind [quota].
    {heap_section, {}},        // A list of tables, each with heap_keys.
    {"stop", stop_keys},
    {"death", death_keys},
    {"takeover", takeover_keys},
    {"log", log_keys},
}};

}  // namespace shmpool::host
