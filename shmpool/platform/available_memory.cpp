// SPDX-License-Identifier: Apache-2.0
/// See available_memory.hpp. A group's file cache counts as available, because the kernel drops it
/// before it refuses; MemAvailable has that already.
#include "shmpool/platform/available_memory.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string_view>

namespace shmpool {
namespace {

constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

/// Version one has no word for it: the largest number of whole pages, whatever these are.
constexpr std::uint64_t no_limit_of_version_one = std::uint64_t{1} << 62;

/// The sum of what follows these keys in a file of lines "key number [kB]".
std::uint64_t sum_of(const std::string& path, std::initializer_list<std::string_view> keys) {
    std::ifstream file(path);
    std::uint64_t sum = 0;
    std::size_t missing = keys.size();
    for (std::string line; missing != 0 && std::getline(file, line);) {
        const std::size_t end = std::min(line.find(' '), line.size());
        const auto key = std::string_view(line).substr(0, end);
        if (std::ranges::find(keys, key) == keys.end()) continue;
        sum += std::strtoull(line.c_str() + end, nullptr, 10);
        --missing;
    }
    return sum;
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
    std::string inactive_cache;
    std::string active_cache;
};

/// What the group has left, if that is less than `bound`, else `bound`. What the kernel takes
/// longest to tell, the size of the cache, is asked for only where it matters.
std::uint64_t left_in_group(const std::string& folder, const GroupFiles& files,
                            std::uint64_t bound) {
    const auto limit = number_in(folder + "/" + files.limit);
    if (!limit || *limit >= no_limit_of_version_one) return bound;
    const auto usage = number_in(folder + "/" + files.usage);
    if (!usage) return bound;
    if (*limit - std::min(*limit, *usage) >= bound) return bound;
    const std::uint64_t cache =
        sum_of(folder + "/memory.stat", {files.inactive_cache, files.active_cache});
    const std::uint64_t used = *usage - std::min(*usage, cache);
    return std::min(bound, *limit - std::min(*limit, used));
}

/// The least of what the group at `path` and all above it have left. Inside a container the path
/// may not exist below the mount; the loop then ends at the mount, which is the container's group.
std::uint64_t left_in_groups(const std::string& mount, std::string path, const GroupFiles& files,
                             std::uint64_t bound) {
    for (;;) {
        bound = left_in_group(mount + path, files, bound);
        const std::size_t slash = path.rfind('/');
        if (slash == std::string::npos) return bound;
        path.resize(slash);
    }
}

std::uint64_t left_in_all_groups(const std::string& root, std::uint64_t bound) {
    std::ifstream membership(root + "/proc/self/cgroup");
    for (std::string line; std::getline(membership, line);) {
        const std::size_t first = line.find(':');
        const std::size_t second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
        const std::string path = line.substr(second + 1);
        if (controllers == ",,") {
            const GroupFiles files{"memory.max", "memory.current", "inactive_file", "active_file"};
            bound = left_in_groups(root + "/sys/fs/cgroup", path, files, bound);
        } else if (controllers.find(",memory,") != std::string::npos) {
            const GroupFiles files{"memory.limit_in_bytes", "memory.usage_in_bytes",
                                   "total_inactive_file", "total_active_file"};
            bound = left_in_groups(root + "/sys/fs/cgroup/memory", path, files, bound);
        }
    }
    return bound;
}

}  // namespace

std::uint64_t available_memory_bytes(const std::string& root) {
    const std::uint64_t machine = sum_of(root + "/proc/meminfo", {"MemAvailable:", "SwapFree:"});
    return left_in_all_groups(root, machine == 0 ? unlimited : machine * 1024);
}

std::uint64_t available_memory_bytes() {
    return available_memory_bytes("");
}

std::uint64_t machine_memory_bytes() {
    return sum_of("/proc/meminfo", {"MemTotal:"}) * 1024;
}

}  // namespace shmpool
