// SPDX-License-Identifier: Apache-2.0
/// Users and groups as people write them: by the machine's own data base, which may ask a server.
/// So it is asked while a configuration is read, and never while somebody waits for an answer.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "shmpool/platform/result.hpp"

namespace shmpool {

/// Errc::invalid_argument: there is none of that name; system: it can not be found out.
[[nodiscard]] Result<uid_t> user_id_of(const std::string& name);
[[nodiscard]] Result<gid_t> group_id_of(const std::string& name);

/// Of all users and groups that the machine lists, for suggestions: there may be more.
[[nodiscard]] std::vector<std::string> listed_users();
[[nodiscard]] std::vector<std::string> listed_groups();

}  // namespace shmpool
