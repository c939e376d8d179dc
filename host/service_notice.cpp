// SPDX-License-Identifier: Apache-2.0
#include "host/service_notice.hpp"

#include <systemd/sd-daemon.h>

#include <cstdlib>
#include <memory>
#include <string_view>

namespace shmpool::host {
namespace {

constexpr std::string_view control_name = "shmpool-control";
constexpr std::string_view payload_name = "shmpool-payload";

void forget(std::string_view name) {
    ::sd_notify(0, ("FDSTOREREMOVE=1\nFDNAME=" + std::string(name)).c_str());
}

void keep(std::string_view name, const Descriptor& object) {
    forget(name);
    const int number = object.get();
    ::sd_pid_notify_with_fds(0, 0, ("FDSTORE=1\nFDNAME=" + std::string(name)).c_str(), &number, 1);
}

}  // namespace

void notify_ready(const std::string& status) {
    ::sd_notify(0, ("READY=1\nSTATUS=" + status).c_str());
}

void notify_stopping(const std::string& status) {
    ::sd_notify(0, ("STOPPING=1\nSTATUS=" + status).c_str());
}

void have_service_manager_keep(const Descriptor& control, const Descriptor& payload) {
    keep(control_name, control);
    keep(payload_name, payload);
}

void have_service_manager_forget() {
    forget(control_name);
    forget(payload_name);
}

std::optional<KeptDescriptors> descriptors_kept_by_service_manager() {
    char** names = nullptr;
    const int count = ::sd_listen_fds_with_names(1, &names);
    KeptDescriptors kept;
    for (int i = 0; i < count; ++i) {
        Descriptor one(SD_LISTEN_FDS_START + i);  // Ours to close, whatever it is.
        if (names[i] == control_name) kept.control = std::move(one);
        if (names[i] == payload_name) kept.payload = std::move(one);
        std::free(names[i]);
    }
    std::free(static_cast<void*>(names));
    if (!kept.control || !kept.payload) return std::nullopt;
    return kept;
}

}  // namespace shmpool::host
