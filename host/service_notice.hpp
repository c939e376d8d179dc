// SPDX-License-Identifier: Apache-2.0
/// What the service manager is told (sd_notify). Nothing happens without $NOTIFY_SOCKET.
#pragma once

#include <string>

namespace shmpool::host {

void notify_ready(const std::string& status);
void notify_stopping(const std::string& status);

}  // namespace shmpool::host
