// SPDX-License-Identifier: Apache-2.0
#include "host/access_rules.hpp"

#include <algorithm>
#include <string>

namespace shmpool::host {
namespace {

template <typename Id>
bool names(const std::vector<Id>& list, Id id) {
    return std::ranges::find(list, id) != list.end();
}

/// The first group of the list that the process is in.
std::optional<gid_t> common_group(const std::vector<gid_t>& list, const Credentials& who) {
    const auto found = std::ranges::find_if(
        list, [&](gid_t group) { return group == who.gid || names(who.groups, group); });
    return found == list.end() ? std::nullopt : std::optional(*found);
}

/// What a right is for, where nothing more is said about what was asked.
std::string_view what_for(Right right) {
    switch (right) {
        case Right::attach: return "attach to this pool";
        case Right::attach_read_only: return "attach to this pool, not even read-only";
        case Right::observe: return "look at this pool";
        case Right::kick: return "end peers of this pool";
        case Right::grow: return "take memory for this pool, or give it back";
    }
    return "do this";
}

std::string spell_key(Right right, const char* key) {
    return "[access." + std::string(name_of(right)) + "] " + key;
}

tl::unexpected<Error> refuse(std::string_view deed, const Credentials& who,
                             const std::string& why) {
    return fail(Errc::no_permission,
                "user " + std::to_string(who.uid) + " may not " + std::string(deed) + ": " + why);
}

/// The key that takes the right away, and what it names; none if nothing does.
std::optional<std::string> denied_by(const AccessList& list, Right right, const Credentials& who) {
    if (names(list.deny_users, who.uid)) {
        return spell_key(right, "deny_users") + " of the host's configuration names this user";
    }
    if (const auto group = common_group(list.deny_groups, who)) {
        return spell_key(right, "deny_groups") + " of the host's configuration names its group " +
               std::to_string(*group);
    }
    return std::nullopt;
}

bool is_allowed(const AccessList& list, const Credentials& who, uid_t host_user) {
    return who.uid == host_user || who.uid == 0 || names(list.allow_users, everybody) ||
           names(list.allow_users, who.uid) || common_group(list.allow_groups, who);
}

std::optional<Right> next_stronger(Right right) {
    switch (right) {
        case Right::observe: return Right::attach_read_only;
        case Right::attach_read_only: return Right::attach;
        case Right::attach:
        case Right::kick:
        case Right::grow: return std::nullopt;
    }
    return std::nullopt;
}

bool has(const AccessRules& rules, Right right, const Credentials& who, uid_t host_user) {
    if (denied_by(rules.list(right), right, who)) return false;
    if (is_allowed(rules.list(right), who, host_user)) return true;
    const auto stronger = next_stronger(right);
    return stronger && has(rules, *stronger, who, host_user);
}

}  // namespace

std::string_view name_of(Right right) {
    switch (right) {
        case Right::attach: return "attach";
        case Right::attach_read_only: return "attach_read_only";
        case Right::observe: return "observe";
        case Right::kick: return "kick";
        case Right::grow: return "grow";
    }
    return "unknown";
}

bool AccessRules::socket_shuts_out_the_allowed() const {
    constexpr std::uint32_t write_for_others = 0022;
    return (socket_mode & write_for_others) == 0 &&
           std::ranges::any_of(lists, [](const AccessList& list) {
               return !list.allow_users.empty() || !list.allow_groups.empty();
           });
}

Result<void> check_right(const AccessRules& rules, Right right, const Credentials& who,
                         uid_t host_user, std::string_view deed) {
    if (has(rules, right, who, host_user)) return {};
    if (deed.empty()) deed = what_for(right);
    if (const auto key = denied_by(rules.list(right), right, who)) return refuse(deed, who, *key);
    if (right == Right::attach && has(rules, Right::attach_read_only, who, host_user)) {
        return refuse(deed, who,
                      "it may attach read-only; for more, add it to [access.attach] allow_users in "
                      "the host's configuration");
    }
    return refuse(deed, who,
                  "add it to " + spell_key(right, "allow_users") +
                      " or a group of it to allow_groups in the host's configuration, or run as "
                      "user " +
                      std::to_string(host_user) + ", to whom the host belongs, or as root");
}

}  // namespace shmpool::host
