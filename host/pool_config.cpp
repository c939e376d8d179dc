// SPDX-License-Identifier: Apache-2.0
/// See pool_config.hpp. Bounds come from the headers of the layout, so that they are written once.
#include "host/pool_config.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include "protocol/layout/protocol_images.hpp"
#include "protocol/wire/local_socket.hpp"
#include "protocol/wire/names.hpp"
#include "shmpool/layout/abi_constants.hpp"
#include "shmpool/layout/pool_image.hpp"
#include "shmpool/layout/slot_record.hpp"
#include "shmpool/quantity/byte_size.hpp"
#include "shmpool/quantity/duration.hpp"
#include "shmpool/quantity/quantity.hpp"

namespace shmpool::host {
namespace {

static_assert(std::uint64_t{class_count_max} * slot_count_max <=
                  ~std::uint64_t{0} / 2 / slot_bytes_max,
              "the payload of the largest pool is far from overflow");

tl::unexpected<Error> invalid(std::string message) {
    return fail(Errc::invalid_config, std::move(message));
}

struct Range {
    std::string_view key;
    std::uint64_t value;
    std::uint64_t least;
    std::uint64_t most;
};

Result<void> check_range(const Range& range) {
    if (range.value >= range.least && range.value <= range.most) return {};
    return invalid(std::string(range.key) + " is " + std::to_string(range.value) + ", must be " +
                   std::to_string(range.least) + " to " + std::to_string(range.most));
}

Result<void> check_limits(const PoolLimits& limits) {
    const std::array<Range, 10> ranges{{
        {"[limits] peers", limits.peers, 1, peer_count_max},
        {"[limits] lanes", limits.lanes, 1, thread_lanes_max},
        {"[limits] channels", limits.channels, 1, channel_count_max},
        {"[limits] publishers", limits.publishers, 1, publisher_count_max},
        {"[limits] subscribers", limits.subscribers, 1, subscriber_count_max},
        {"[limits] rings", limits.rings, 1, ring_count_max},
        {"[limits] ring_entries", limits.ring_entries, 1, ring_entries_max},
        {"[limits] publishers_per_channel", limits.publishers_per_channel, 1,
         publishers_per_channel_max},
        {"[limits] heaps", limits.heaps, 1, heap_count_max},
        {"[limits] heap_bytes", limits.heap_bytes, 0, heap_bytes_max},
    }};
    for (const Range& range : ranges) {
        if (const auto checked = check_range(range); !checked) return checked;
    }
    if (limits.lanes < limits.peers) {
        return invalid("[limits] lanes is " + std::to_string(limits.lanes) + ", but each of " +
                       std::to_string(limits.peers) +
                       " peers needs at least one; raise lanes or lower peers");
    }
    if (limits.ring_entries < limits.rings) {
        return invalid("[limits] ring_entries is " + std::to_string(limits.ring_entries) +
                       ", but each of " + std::to_string(limits.rings) +
                       " rings needs at least one; raise ring_entries or lower rings");
    }
    return {};
}

Result<void> check_duration(std::string_view key, std::uint64_t value_ms, std::uint64_t least_ms,
                            std::uint64_t most_ms) {
    if (value_ms >= least_ms && value_ms <= most_ms) return {};
    return invalid(std::string(key) + " is " + format_duration_ms(value_ms) + ", must be " +
                   format_duration_ms(least_ms) + " to " + format_duration_ms(most_ms));
}

Result<void> check_classes(const std::vector<SizeClassConfig>& classes) {
    if (classes.empty()) {
        return invalid("there is no [[class]]; give at least one, or leave all out for defaults");
    }
    if (classes.size() > class_count_max) {
        return invalid("there are " + std::to_string(classes.size()) +
                       " [[class]] entries, the limit is " + std::to_string(class_count_max));
    }
    std::vector<std::uint64_t> sizes;
    for (std::size_t index = 0; index < classes.size(); ++index) {
        if (const auto checked = check_class(classes[index]); !checked) {
            return invalid("[[class]] number " + std::to_string(index + 1) + ": " +
                           checked.error().message);
        }
        const std::uint64_t size = classes[index].slot_size;
        const auto earlier = std::ranges::find(sizes, size);
        if (earlier != sizes.end()) {
            return invalid("[[class]] number " + std::to_string(earlier - sizes.begin() + 1) +
                           " and number " + std::to_string(index + 1) + " both have slot_size " +
                           format_byte_size(size) + "; merge them into one");
        }
        sizes.push_back(size);
    }
    return {};
}

/// Far less than a process can map, so that several pools have room in one.
Result<void> check_address_space(const std::vector<SizeClassConfig>& classes) {
    std::uint64_t bytes = 0;
    for (const SizeClassConfig& one : classes) {
        bytes += one.most_slots() * (one.slot_size + sizeof(SlotRecord));
    }
    if (bytes <= pool_bytes_max) return {};
    return invalid("all [[class]] together may grow to " + format_byte_size(bytes) + " (" +
                   std::to_string(bytes) + " bytes), must be at most " +
                   format_byte_size(pool_bytes_max) +
                   "; lower slot_size, slot_count or slot_limit of one");
}

Result<void> check_heaps(const PoolConfig& config) {
    std::uint64_t left = config.limits.heap_bytes;
    for (const HeapRequest& heap : config.heaps) {
        if (const auto named = check_heap_name(heap.name); !named) {
            return invalid("[[heap]] name: " + named.error().message);
        }
        const std::uint64_t bytes = std::max(heap.bytes, heap.max_bytes);
        if (heap.bytes == 0 || bytes > left) {
            return invalid("[[heap]] '" + heap.name + "' has the size " +
                           format_byte_size(heap.bytes == 0 ? 0 : bytes) + ", must be 1B to " +
                           format_byte_size(left) +
                           ", which is what [limits] heap_bytes leaves for it");
        }
        if (const auto sense = check_sense(heap); !sense) {
            return invalid("[[heap]]: " + sense.error().message);
        }
        left -= bytes;
    }
    if (config.heaps.size() <= config.limits.heaps) return {};
    return invalid("there are " + std::to_string(config.heaps.size()) +
                   " [[heap]] entries, [limits] heaps is " + std::to_string(config.limits.heaps));
}

Result<void> check_memory(const PoolConfig& config, const MemoryProbe& memory) {
    const std::uint64_t wanted = committed_bytes_of(config);
    const std::uint64_t there = memory();
    if (wanted <= there) return {};
    return invalid("the pool needs " + format_byte_size(wanted) + " (" + std::to_string(wanted) +
                   " bytes), this machine has " + format_byte_size(there) + " (" +
                   std::to_string(there) + " bytes); lower slot_size or slot_count of a [[class]]");
}

}  // namespace

std::string_view name_of(SuspectPolicy policy) {
    return policy == SuspectPolicy::kill ? "kill" : "wait";
}

std::string_view name_of(UnseenPeers policy) {
    return policy == UnseenPeers::accept ? "accept" : "refuse";
}

std::string_view name_of(LogLevel level) {
    switch (level) {
        case LogLevel::trace: return "trace";
        case LogLevel::debug: return "debug";
        case LogLevel::info: return "info";
        case LogLevel::warn: return "warn";
        case LogLevel::error: return "error";
        case LogLevel::off: return "off";
    }
    return "unknown";
}

std::vector<SizeClassConfig> default_classes() {
    return {{1024, 4096}, {64 * 1024, 512}, {1024 * 1024, 32}};
}

std::uint64_t committed_bytes_of(const PoolConfig& config) {
    const PoolLimits& limits = config.limits;
    std::uint64_t bytes = std::uint64_t{lane_cells_of(limits)} * sizeof(LaneCell) +
                          std::uint64_t{limits.peers} * sizeof(PeerImage) +
                          std::uint64_t{limits.channels} * sizeof(ChannelImage) +
                          std::uint64_t{limits.publishers} * sizeof(PublisherImage) +
                          std::uint64_t{limits.subscribers} * sizeof(SubscriberImage) +
                          std::uint64_t{limits.rings} * sizeof(RingImage) +
                          std::uint64_t{limits.ring_entries} * sizeof(RingEntry) +
                          std::uint64_t{limits.heaps} * sizeof(HeapImage);
    for (const SizeClassConfig& one : config.classes) {
        bytes += one.slot_count * (one.slot_size + sizeof(SlotRecord));
    }
    for (const HeapRequest& heap : config.heaps) bytes += heap.bytes;
    return bytes;
}

Result<void> check_class(const SizeClassConfig& config) {
    if (config.slot_size < slot_bytes_min || config.slot_size > slot_bytes_max) {
        return invalid("slot_size is " + format_byte_size(config.slot_size) + ", must be " +
                       format_byte_size(slot_bytes_min) + " to " +
                       format_byte_size(slot_bytes_max));
    }
    if (auto checked = check_range({"slot_count", config.slot_count, 1, slot_count_max});
        !checked) {
        return checked;
    }
    if (config.slot_limit != 0) {
        const std::uint32_t least = config.slot_count;
        if (auto checked = check_range({"slot_limit", config.slot_limit, least, slot_count_max});
            !checked) {
            return checked;
        }
    }
    if (config.grow_when_exhausted && !config.grows()) {
        return invalid(
            "grow_when_exhausted is true, but the class may not grow; give it a "
            "slot_limit above its slot_count of " +
            std::to_string(config.slot_count));
    }
    return {};
}

Result<void> check_config(const PoolConfig& config, const MemoryProbe& memory) {
    if (const auto checked = check_pool_name(config.name); !checked) {
        return invalid("[pool] name: " + checked.error().message);
    }
    if (!config.socket_path.empty()) {
        if (config.socket_path.front() != '/') {
            return invalid("[pool] socket is \"" + config.socket_path +
                           "\", must be an absolute path, or empty for the default");
        }
        if (const auto checked = check_socket_path(config.socket_path); !checked) {
            return invalid("[pool] socket: " + checked.error().message);
        }
    }
    if (const auto checked = check_classes(config.classes); !checked) return checked;
    if (const auto checked = check_address_space(config.classes); !checked) return checked;
    if (const auto checked = check_limits(config.limits); !checked) return checked;
    if (const auto checked = check_heaps(config); !checked) return checked;
    if (const auto checked =
            check_duration("[stop] grace", config.stop_grace_ms, 0, stop_grace_ms_max);
        !checked) {
        return checked;
    }
    if (config.unseen_peers == UnseenPeers::accept &&
        config.suspect_policy == SuspectPolicy::kill) {
        return fail(Errc::invalid_config,
                    "[death] unseen_peers is \"accept\" and suspect_policy is \"kill\": a host can "
                    "not kill whom it can not see; choose \"refuse\", or \"wait\"");
    }
    if (const auto checked = check_duration("[death] suspect_after", config.suspect_after_ms,
                                            suspect_after_ms_min, suspect_after_ms_max);
        !checked) {
        return checked;
    }
    if (const auto checked = check_duration("[takeover] patience", config.takeover_patience_ms, 0,
                                            takeover_patience_ms_max);
        !checked) {
        return checked;
    }
    return check_memory(config, memory);
}

namespace {

Result<std::uint32_t> parse_slots(std::string_view name, std::string_view text) {
    const auto count = parse_quantity(text, {name, "512", {}, 1});
    if (!count) return invalid(count.error().message);
    constexpr std::uint64_t widest = std::numeric_limits<std::uint32_t>::max();
    if (*count <= widest) return static_cast<std::uint32_t>(*count);
    return invalid(std::string(name) + " is " + std::to_string(*count) + ", must be 1 to " +
                   std::to_string(slot_count_max));
}

}  // namespace

Result<SizeClassConfig> parse_class_argument(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) {
        return invalid("the class \"" + std::string(text) +
                       "\" must be SIZE:COUNT or SIZE:COUNT:LIMIT, like 64KiB:512");
    }
    const auto size = parse_byte_size(text.substr(0, colon));
    if (!size) return invalid("slot_size: " + size.error().message);
    const std::string_view counts = text.substr(colon + 1);
    const std::size_t second = counts.find(':');
    const auto count = parse_slots("slot_count", counts.substr(0, second));
    if (!count) return tl::unexpected(count.error());
    SizeClassConfig config{*size, *count};
    if (second != std::string_view::npos) {
        const auto limit = parse_slots("slot_limit", counts.substr(second + 1));
        if (!limit) return tl::unexpected(limit.error());
        config.slot_limit = *limit;
    }
    if (const auto checked = check_class(config); !checked) {
        return invalid("the class \"" + std::string(text) + "\": " + checked.error().message);
    }
    return config;
}

}  // namespace shmpool::host
