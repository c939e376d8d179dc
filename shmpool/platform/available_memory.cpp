// SPDX-License-Identifier: Apache-2.0
/// See available_memory.hpp. A group's file cache counts as available, because the kernel drops it
/// before it refuses; MemAvailable has that already.
#include "shmpool/platform/available_memory.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>

namespace shmpool {
namespace {

constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

/// The number that follows `key` in a file of lines "key number [kB]".
std::uint64_t keyed_number(const std::string& path, const std::string& key) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string name;
        std::uint64_t number = 0;
        if (words >> name >> number && name == key) return number;
    }
    return 0;
}

/// None when the file is missing or says "max".
std::optional<std::uint64_t> number_in(const std::string& path) {
    std::ifstream file(path);
    std::uint64_t number = 0;
    if (file >> number) return number;
    return std::nullopt;
}

struct GroupFiles {
    std::string limit;
    std::string usage;
    std::string cache_prefix;
};

std::uint64_t left_in_group(const std::string& folder, const GroupFiles& files) {
    const auto limit = number_in(folder + "/" + files.limit);
    const auto usage = number_in(folder + "/" + files.usage);
    if (!limit || !usage) return unlimited;
    const std::string statistics = folder + "/memory.stat";
    const std::uint64_t cache = keyed_number(statistics, files.cache_prefix + "inactive_file") +
                                keyed_number(statistics, files.cache_prefix + "active_file");
    const std::uint64_t used = *usage - std::min(*usage, cache);
    return *limit - std::min(*limit, used);
}

/// The least of what the group at `path` and all above it have left. Inside a container the path
/// may not exist below the mount; the loop then ends at the mount, which is the container's group.
std::uint64_t left_in_groups(const std::string& mount, std::string path, const GroupFiles& files) {
    std::uint64_t left = unlimited;
    for (;;) {
        left = std::min(left, left_in_group(mount + path, files));
        const std::size_t slash = path.rfind('/');
        if (slash == std::string::npos) return left;
        path.resize(slash);
    }
}

std::uint64_t left_in_all_groups(const std::string& root) {
    std::uint64_t left = unlimited;
    std::ifstream membership(root + "/proc/self/cgroup");
    for (std::string line; std::getline(membership, line);) {
        const std::size_t first = line.find(':');
        const std::size_t second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
        const std::string path = line.substr(second + 1);
        if (controllers == ",,") {
            const GroupFiles files{"memory.max", "memory.current", ""};
            left = std::min(left, left_in_groups(root + "/sys/fs/cgroup", path, files));
        } else if (controllers.find(",memory,") != std::string::npos) {
            const GroupFiles files{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_"};
            left = std::min(left, left_in_groups(root + "/sys/fs/cgroup/memory", path, files));
        }
    }
    return left;
}

}  // namespace

std::uint64_t available_memory_bytes(const std::string& root) {
    const std::string meminfo = root + "/proc/meminfo";
    const std::uint64_t machine =
        (keyed_number(meminfo, "MemAvailable:") + keyed_number(meminfo, "SwapFree:")) * 1024;
    return std::min(machine == 0 ? unlimited : machine, left_in_all_groups(root));
}

std::uint64_t available_memory_bytes() {
    return available_memory_bytes("");
}

std::uint64_t machine_memory_bytes() {
    return keyed_number("/proc/meminfo", "MemTotal:") * 1024;
}

}  // namespace shmpool
