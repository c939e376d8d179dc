// SPDX-License-Identifier: Apache-2.0
/// The values of the configuration file: one function per kind, which takes a value or says what is
/// wrong with it. toml++ is built without exceptions here; config_file.cpp is the only other file
/// that knows it.
#pragma once

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/access_rules.hpp"

namespace shmpool::host {

/// What is wrong with a value, in words; and where, if not with all of it.
struct Flaw {
    Flaw(std::string words, const toml::node* part = nullptr)
        : text(std::move(words)), where(part) {}

    std::string text;
    const toml::node* where;
};
using MaybeFlaw = std::optional<Flaw>;

/// "must be a string, not an integer".
[[nodiscard]] std::string expected(std::string_view what, const toml::node& node);

[[nodiscard]] MaybeFlaw take_text(const toml::node& node, std::string& target);
[[nodiscard]] MaybeFlaw take_count(const toml::node& node, std::uint32_t& target);
[[nodiscard]] MaybeFlaw take_size(const toml::node& node, std::uint64_t& target);
[[nodiscard]] MaybeFlaw take_duration(const toml::node& node, std::uint32_t& target_ms);

/// "0660": digits of an octal number, and its owner must be able to read and write.
[[nodiscard]] MaybeFlaw take_mode(const toml::node& node, std::uint32_t& target);

/// A name that this machine knows, or a number. An empty name is none.
[[nodiscard]] MaybeFlaw take_user(const toml::node& node, std::optional<uid_t>& target);
[[nodiscard]] MaybeFlaw take_group(const toml::node& node, std::optional<gid_t>& target);

/// The same, where there must be one.
[[nodiscard]] MaybeFlaw take_one_user(const toml::node& node, uid_t& target);

/// A list of these.
[[nodiscard]] MaybeFlaw take_users(const toml::node& node, std::vector<uid_t>& target);
[[nodiscard]] MaybeFlaw take_groups(const toml::node& node, std::vector<gid_t>& target);
/// The same, where "*" means `everybody`.
[[nodiscard]] MaybeFlaw take_users_or_everybody(const toml::node& node, std::vector<uid_t>& target);

}  // namespace shmpool::host
