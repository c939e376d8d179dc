// SPDX-License-Identifier: Apache-2.0
/// See runtime_path.hpp: the table there, line by line.
#include "protocol/wire/runtime_path.hpp"

#include <unistd.h>

#include <cstdlib>

#include "protocol/wire/local_socket.hpp"
#include "protocol/wire/names.hpp"

namespace shmpool {
namespace {

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

RuntimeEnvironment RuntimeEnvironment::of_this_process() {
    return {variable("SHMPOOL_RUNTIME_DIR"), variable("XDG_RUNTIME_DIR"), ::geteuid()};
}

Result<RuntimePath> socket_path_of(std::string_view pool_name,
                                   const RuntimeEnvironment& environment) {
    if (const auto checked = check_pool_name(pool_name); !checked) {
        return tl::unexpected(checked.error());
    }
    RuntimePath result{{}, SocketDirectory::created_and_own};
    const std::string& chosen = environment.shmpool_runtime_dir;
    if (!chosen.empty()) {
        if (chosen.front() != '/') {
            return fail(Errc::invalid_argument,
                        "SHMPOOL_RUNTIME_DIR is \"" + chosen + "\", must be an absolute path");
        }
        result = {chosen, SocketDirectory::created};
    } else if (environment.user_id == 0) {
        result.path = "/run/shmpool";
    } else if (environment.xdg_runtime_dir.starts_with('/')) {
        result.path = environment.xdg_runtime_dir + "/shmpool";
    } else {
        result.path = "/tmp/shmpool-" + std::to_string(environment.user_id);
    }
    result.path += result.path.ends_with('/') ? "" : "/";
    result.path += std::string(pool_name) + ".sock";
    if (const auto checked = check_socket_path(result.path); !checked) {
        return tl::unexpected(checked.error());
    }
    return result;
}

Result<RuntimePath> socket_path_of(std::string_view pool_name) {
    return socket_path_of(pool_name, RuntimeEnvironment::of_this_process());
}

}  // namespace shmpool
