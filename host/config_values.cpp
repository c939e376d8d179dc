// SPDX-License-Identifier: Apache-2.0
#include "host/config_values.hpp"

#include <limits>

#include "host/nearest_name.hpp"
#include "shmpool/platform/accounts.hpp"
#include "shmpool/quantity/byte_size.hpp"
#include "shmpool/quantity/duration.hpp"

namespace shmpool::host {
namespace {

std::string_view spell(toml::node_type type) {
    switch (type) {
        case toml::node_type::table: return "a table";
        case toml::node_type::array: return "an array";
        case toml::node_type::string: return "a string";
        case toml::node_type::integer: return "an integer";
        case toml::node_type::floating_point: return "a fraction";
        case toml::node_type::boolean: return "a boolean";
        default: return "a date or time";
    }
}

/// How users and groups differ.
struct AccountKind {
    const char* word;
    Result<std::uint32_t> (*number_of)(const std::string& name);
    std::vector<std::string> (*listed)();
};
constexpr AccountKind users{"user", user_id_of, listed_users};
constexpr AccountKind groups{"group", group_id_of, listed_groups};

std::string unknown_account(const AccountKind& kind, const std::string& name, const Error& error) {
    const std::vector<std::string> listed = kind.listed();
    const std::vector<std::string_view> names(listed.begin(), listed.end());
    if (const auto nearest = nearest_name(name, names)) {
        return error.message + "; did you mean \"" + std::string(*nearest) + "\"?";
    }
    return error.message + "; give the name of a " + kind.word +
           " that it knows, or a number without quotes";
}

MaybeFlaw take_account(const AccountKind& kind, const toml::node& node, std::uint32_t& target) {
    constexpr std::int64_t nobody = std::numeric_limits<std::uint32_t>::max();  // For the kernel.
    if (const auto* number = node.as_integer()) {
        if (number->get() < 0 || number->get() >= nobody) {
            return Flaw(std::to_string(number->get()) + " is no number of a " + kind.word, &node);
        }
        target = static_cast<std::uint32_t>(number->get());
        return std::nullopt;
    }
    const auto* name = node.as_string();
    if (name == nullptr) {
        return Flaw(expected(std::string("the name or number of a ") + kind.word, node), &node);
    }
    const auto found = kind.number_of(name->get());
    if (!found) return Flaw(unknown_account(kind, name->get(), found.error()), &node);
    target = *found;
    return std::nullopt;
}

MaybeFlaw take_account_or_none(const AccountKind& kind, const toml::node& node,
                               std::optional<std::uint32_t>& target) {
    const auto* name = node.as_string();
    if (name != nullptr && name->get().empty()) return std::nullopt;
    std::uint32_t number = 0;
    if (auto flaw = take_account(kind, node, number)) return flaw;
    target = number;
    return std::nullopt;
}

bool is_star(const toml::node& node) {
    const auto* name = node.as_string();
    return name != nullptr && name->get() == "*";
}

MaybeFlaw take_accounts(const AccountKind& kind, const toml::node& node, bool star_is_everybody,
                        std::vector<std::uint32_t>& target) {
    const auto* list = node.as_array();
    if (list == nullptr) {
        return expected(std::string("a list of names or numbers of ") + kind.word + "s", node);
    }
    for (const toml::node& entry : *list) {
        if (is_star(entry) && !star_is_everybody) {
            return Flaw("\"*\" stands for everybody in allow_users only", &entry);
        }
        std::uint32_t number = everybody;
        if (auto flaw = is_star(entry) ? std::nullopt : take_account(kind, entry, number)) {
            return flaw;
        }
        target.push_back(number);
    }
    return std::nullopt;
}

}  // namespace

std::string expected(std::string_view what, const toml::node& node) {
    return "must be " + std::string(what) + ", not " + std::string(spell(node.type()));
}

MaybeFlaw take_text(const toml::node& node, std::string& target) {
    const auto* text = node.as_string();
    if (text == nullptr) return expected("a string", node);
    target = text->get();
    return std::nullopt;
}

MaybeFlaw take_flag(const toml::node& node, bool& target) {
    const auto* flag = node.as_boolean();
    if (flag == nullptr) return expected("true or false", node);
    target = flag->get();
    return std::nullopt;
}

MaybeFlaw take_count(const toml::node& node, std::uint32_t& target) {
    const auto* number = node.as_integer();
    if (number == nullptr) return expected("an integer", node);
    const std::int64_t value = number->get();
    if (value < 0) return "is negative (" + std::to_string(value) + ")";
    if (value > std::numeric_limits<std::uint32_t>::max()) {
        return "is too large (" + std::to_string(value) + ")";
    }
    target = static_cast<std::uint32_t>(value);
    return std::nullopt;
}

MaybeFlaw take_long_count(const toml::node& node, std::uint64_t& target) {
    const auto* number = node.as_integer();
    if (number == nullptr) return expected("an integer", node);
    if (number->get() < 0) return "is negative (" + std::to_string(number->get()) + ")";
    target = static_cast<std::uint64_t>(number->get());
    return std::nullopt;
}

MaybeFlaw take_size(const toml::node& node, std::uint64_t& target) {
    if (const auto* number = node.as_integer()) {
        if (number->get() < 0) return "is negative (" + std::to_string(number->get()) + ")";
        target = static_cast<std::uint64_t>(number->get());
        return std::nullopt;
    }
    const auto* text = node.as_string();
    if (text == nullptr) return expected("a size like \"64KiB\" or an integer of bytes", node);
    const auto parsed = parse_byte_size(text->get());
    if (!parsed) return parsed.error().message;
    target = *parsed;
    return std::nullopt;
}

MaybeFlaw take_duration(const toml::node& node, std::uint32_t& target_ms) {
    const auto* text = node.as_string();
    if (text == nullptr) return expected("a duration like \"2s\" or \"250ms\"", node);
    const auto parsed = parse_duration_ms(text->get());
    if (!parsed) return parsed.error().message;
    if (*parsed > std::numeric_limits<std::uint32_t>::max()) return std::string("is too long");
    target_ms = static_cast<std::uint32_t>(*parsed);
    return std::nullopt;
}

MaybeFlaw take_mode(const toml::node& node, std::uint32_t& target) {
    constexpr std::uint32_t owner = 0600;
    const auto* text = node.as_string();
    if (text == nullptr) return expected("a mode in quotes, like \"0660\"", node);
    const std::string& digits = text->get();
    const bool octal = digits.size() >= 3 && digits.size() <= 4 &&
                       digits.find_first_not_of("01234567") == std::string::npos;
    const auto mode = static_cast<std::uint32_t>(octal ? std::stoul(digits, nullptr, 8) : 0);
    if (!octal || mode > 0777) {
        return "\"" + digits + "\" is no mode; give three octal digits, like \"0660\"";
    }
    if ((mode & owner) != owner) {
        return "\"" + digits +
               "\" shuts out the owner of the socket, and so the next host; its "
               "first digit must be 6 or 7";
    }
    target = mode;
    return std::nullopt;
}

MaybeFlaw take_user(const toml::node& node, std::optional<uid_t>& target) {
    return take_account_or_none(users, node, target);
}

MaybeFlaw take_one_user(const toml::node& node, uid_t& target) {
    return take_account(users, node, target);
}

MaybeFlaw take_group(const toml::node& node, std::optional<gid_t>& target) {
    return take_account_or_none(groups, node, target);
}

MaybeFlaw take_users(const toml::node& node, std::vector<uid_t>& target) {
    return take_accounts(users, node, false, target);
}

MaybeFlaw take_groups(const toml::node& node, std::vector<gid_t>& target) {
    return take_accounts(groups, node, false, target);
}

MaybeFlaw take_users_or_everybody(const toml::node& node, std::vector<uid_t>& target) {
    return take_accounts(users, node, true, target);
}

}  // namespace shmpool::host
