// SPDX-License-Identifier: Apache-2.0
/// What the service manager is told (sd_notify), and what it keeps for us: the segment's
/// descriptors, so that the next host has them when this one dies, even if no peer lives (needs
/// FileDescriptorStoreMax=2 in the unit). Nothing happens without $NOTIFY_SOCKET.
#pragma once

#include <optional>
#include <string>

#include "shmpool/platform/descriptor.hpp"

namespace shmpool::host {

void notify_ready(const std::string& status);
void notify_stopping(const std::string& status);

/// Gives copies of both to the service manager; in place of those that it has.
void have_service_manager_keep(const Descriptor& control, const Descriptor& payload);
/// After an orderly stop nobody shall come back to this segment.
void have_service_manager_forget();

struct KeptDescriptors {
    Descriptor control;
    Descriptor payload;
};
/// What an earlier process of this service has left; none: nothing, or not both. Once per process.
[[nodiscard]] std::optional<KeptDescriptors> descriptors_kept_by_service_manager();

}  // namespace shmpool::host
