// SPDX-License-Identifier: Apache-2.0
/// Who may do what, by the kernel's word about who is at the other end of the socket. A right has
/// two lists of users and groups:
///
///   deny    whoever is named here has not got the right, whatever else is said
///   allow   whoever is named here has it; so have the host's own user and root
///
/// and who has one right has those to the right of it too, where no deny takes them away:
///
///   attach > attach_read_only > observe          kick          grow
///
/// Root, and the host's own user, can always find ways around a deny: it keeps them from mistakes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "shmpool/platform/process.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool::host {

enum class Right : std::uint8_t { attach, attach_read_only, observe, kick, grow };
inline constexpr std::size_t right_count = 5;

/// As the configuration spells it.
[[nodiscard]] std::string_view name_of(Right right);

/// Stands for every user in a list of who is allowed; no user has this number.
inline constexpr uid_t everybody = static_cast<uid_t>(-1);

struct AccessList {
    std::vector<uid_t> allow_users;
    std::vector<gid_t> allow_groups;
    std::vector<uid_t> deny_users;
    std::vector<gid_t> deny_groups;

    friend bool operator==(const AccessList&, const AccessList&) = default;
};

struct AccessRules {
    std::array<AccessList, right_count> lists;  ///< By Right.
    std::uint32_t socket_mode = 0600;           ///< Who may connect needs the right to write.
    std::optional<uid_t> socket_user;           ///< None: who runs the host.
    std::optional<gid_t> socket_group;          ///< The same.

    [[nodiscard]] AccessList& list(Right right) { return lists[static_cast<std::size_t>(right)]; }
    [[nodiscard]] const AccessList& list(Right right) const {
        return lists[static_cast<std::size_t>(right)];
    }
    /// Somebody is allowed something, whom the mode of the socket keeps from asking for it.
    [[nodiscard]] bool socket_shuts_out_the_allowed() const;

    friend bool operator==(const AccessRules&, const AccessRules&) = default;
};

/// Fails with `no_permission`; the sentence names the user, what was asked for, and the key to
/// change. Users by their numbers: to look for a name may take long, and the others wait. `deed` is
/// what was asked for, as it follows "may not"; empty: all that the right is for.
[[nodiscard]] Result<void> check_right(const AccessRules& rules, Right right,
                                       const Credentials& who, uid_t host_user,
                                       std::string_view deed = {});

}  // namespace shmpool::host
