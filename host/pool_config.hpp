// SPDX-License-Identifier: Apache-2.0
/// What a host is told about its pool: every key of config/shmpool.toml with its default. A value
/// of PoolConfig is complete; `check_config` says whether it is possible.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "host/access_rules.hpp"
#include "host/quota_rules.hpp"
#include "protocol/heap_request.hpp"
#include "shmpool/platform/available_memory.hpp"
#include "shmpool/platform/result.hpp"
#include "shmpool/pool/size_class_config.hpp"

namespace shmpool::host {

enum class SuspectPolicy : std::uint8_t { wait, kill };

/// What about a peer that has no pid in the host's pid namespace.
enum class UnseenPeers : std::uint8_t { refuse, accept };
enum class LogLevel : std::uint8_t { trace, debug, info, warn, error, off };

[[nodiscard]] std::string_view name_of(SuspectPolicy policy);
[[nodiscard]] std::string_view name_of(UnseenPeers policy);
[[nodiscard]] std::string_view name_of(LogLevel level);

/// 1 KiB x 4096, 64 KiB x 512, 1 MiB x 32: about 70 MiB.
[[nodiscard]] std::vector<SizeClassConfig> default_classes();

struct PoolLimits {
    std::uint32_t peers = 64;
    std::uint32_t lanes = 256;
    std::uint32_t channels = 64;
    std::uint32_t publishers = 256;
    std::uint32_t subscribers = 256;
    std::uint32_t rings = 1024;
    std::uint32_t ring_entries = 65536;  ///< Of all rings together.
    std::uint32_t publishers_per_channel = 64;
    std::uint32_t heaps = 32;
    std::uint64_t heap_bytes = std::uint64_t{1} << 30;  ///< Address space of all heaps together.

    friend bool operator==(const PoolLimits&, const PoolLimits&) = default;
};

/// One lane for each thread, and one in reserve for each peer.
[[nodiscard]] constexpr std::uint32_t lane_cells_of(const PoolLimits& limits) {
    return limits.lanes + limits.peers;
}

struct PoolConfig {
    std::string name = "default";
    std::string socket_path;  ///< Empty: socket_path_of(name).
    std::vector<SizeClassConfig> classes = default_classes();
    PoolLimits limits;
    AccessRules access;
    QuotaRules quota;
    std::vector<HeapRequest> heaps;  ///< Created with the segment.
    std::uint32_t stop_grace_ms = 2'000;
    SuspectPolicy suspect_policy = SuspectPolicy::wait;
    std::uint32_t suspect_after_ms = 10'000;
    UnseenPeers unseen_peers = UnseenPeers::refuse;
    std::uint32_t takeover_patience_ms = 5'000;
    LogLevel log_level = LogLevel::info;
    std::string log_file;  ///< Empty: stderr.

    friend bool operator==(const PoolConfig&, const PoolConfig&) = default;
};

inline constexpr std::uint32_t ring_entries_max = 1U << 24;
inline constexpr std::uint64_t heap_bytes_max = std::uint64_t{1} << 44;
inline constexpr std::uint64_t pool_bytes_max = std::uint64_t{1} << 44;  ///< Of address space.
inline constexpr std::uint32_t stop_grace_ms_max = 10 * 60'000;
inline constexpr std::uint32_t suspect_after_ms_min = 100;
inline constexpr std::uint32_t suspect_after_ms_max = 24 * 3'600'000;
inline constexpr std::uint32_t takeover_patience_ms_max = 10 * 60'000;

/// How much memory this machine has, in bytes. Passed in, so that a test can have any machine.
using MemoryProbe = std::function<std::uint64_t()>;
/// The memory that is committed at start, without what alignment adds.
[[nodiscard]] std::uint64_t committed_bytes_of(const PoolConfig& config);

/// Everything that can be said without starting: ranges, duplicate classes, memory. To be called
/// once more after the command line has had its say. Fails with `invalid_config`; the sentence
/// names the key as the file spells it, the value and the remedy.
[[nodiscard]] Result<void> check_config(const PoolConfig& config, const MemoryProbe& memory);

/// "64KiB:512" or "64KiB:512:4096", the argument of --class.
[[nodiscard]] Result<SizeClassConfig> parse_class_argument(std::string_view text);

/// One class by itself: 64 B .. 1 GiB, 1 .. 2^24 slots, a limit that is not below them.
[[nodiscard]] Result<void> check_class(const SizeClassConfig& config);

}  // namespace shmpool::host
