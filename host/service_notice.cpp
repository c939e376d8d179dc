// SPDX-License-Identifier: Apache-2.0
#include "host/service_notice.hpp"

#include <systemd/sd-daemon.h>

namespace shmpool::host {

void notify_ready(const std::string& status) {
    ::sd_notify(0, ("READY=1\nSTATUS=" + status).c_str());
}

void notify_stopping(const std::string& status) {
    ::sd_notify(0, ("STOPPING=1\nSTATUS=" + status).c_str());
}

}  // namespace shmpool::host
