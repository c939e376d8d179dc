// SPDX-License-Identifier: Apache-2.0
#include "host/access_rules.hpp"

#include <string>

namespace shmpool::host {
namespace {

Result<void> own_user_or_root(const Credentials& who, uid_t host_user, const char* verb) {
    if (who.uid == host_user || who.uid == 0) return {};
    return fail(Errc::no_permission, std::string("user ") + std::to_string(who.uid) + " may not " +
                                         verb + " this pool, only user " +
                                         std::to_string(host_user) +
                                         ", to whom its host belongs, and root may; run as one of "
                                         "them");
}

}  // namespace

Result<void> check_may_attach(const Credentials& who, uid_t host_user) {
    return own_user_or_root(who, host_user, "attach to");
}

Result<void> check_may_kick(const Credentials& who, uid_t host_user) {
    return own_user_or_root(who, host_user, "end peers of");
}

}  // namespace shmpool::host
