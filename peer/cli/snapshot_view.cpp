// SPDX-License-Identifier: Apache-2.0
/// See snapshot_view.hpp.
#include "peer/cli/snapshot_view.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "shmpool/quantity/byte_size.hpp"
#include "shmpool/quantity/duration.hpp"

namespace shmpool::cli {
namespace {

std::chrono::nanoseconds seconds(double count) {
    return std::chrono::nanoseconds(static_cast<std::int64_t>(count * 1e9));
}

Json json_of(const QuotaUse& use) {
    return {{"slots_held", use.used.slots},
            {"bytes_held", use.used.bytes},
            {"slots_limit", use.limit.slots},
            {"bytes_limit", use.limit.bytes}};
}

/// "12/64 slots 3KiB/1MiB"; what has no limit is left out.
std::string text_of(const QuotaUse& use, const std::string& whose) {
    std::string text;
    if (use.limit.slots != 0) {
        text += fmt::format("{}{}/{} slots", whose, use.used.slots, use.limit.slots);
    }
    if (use.limit.bytes != 0) {
        text += fmt::format("{}{}{}/{}", text.empty() ? "" : ", ", whose,
                            format_byte_size(use.used.bytes), format_byte_size(use.limit.bytes));
    }
    return text;
}

std::string text_of(const QuotaReport& quota) {
    const std::string own = text_of(quota.of_peer, "");
    const std::string user = text_of(quota.of_user, "user ");
    if (own.empty() && user.empty()) return "none";
    return own + (own.empty() || user.empty() ? "" : ", ") + user;
}

}  // namespace

Json json_of_classes(const Snapshot& shot) {
    Json classes = Json::array();
    for (const ClassStatistics& one : shot.classes) {
        classes.push_back({{"slot_size", one.slot_size},
                           {"slot_count", one.slot_count},
                           {"slot_limit", one.slot_limit},
                           {"free", one.free},
                           {"cached", one.cached},
                           {"loaned", one.loaned},
                           {"published", one.published},
                           {"in_transit", one.in_transit},
                           {"allocations_total", one.allocations_total},
                           {"exhausted_total", one.exhausted_total},
                           {"high_water", one.high_water}});
    }
    return classes;
}

Json json_of_peers(const Snapshot& shot) {
    Json peers = Json::array();
    for (const PeerNumbers& one : shot.peers) {
        peers.push_back({{"id", one.id},
                         {"name", one.name},
                         {"pid", one.pid},
                         {"uid", one.uid},
                         {"state", one.state},
                         {"read_only", one.read_only},
                         {"lanes", one.lanes},
                         {"cached", one.cached},
                         {"loaned", one.loaned},
                         {"leases", one.leases},
                         {"bytes_held", one.bytes_held},
                         {"quota", json_of(one.quota.of_peer)},
                         {"user_quota", json_of(one.quota.of_user)},
                         {"attached_seconds", one.attached_seconds}});
    }
    return peers;
}

Json json_of_channels(const Snapshot& shot) {
    Json channels = Json::array();
    for (const ChannelNumbers& one : shot.channels) {
        Json subscribers = Json::array();
        for (const SubscriberNumbers& reader : one.subscribers) {
            subscribers.push_back({{"peer", reader.peer},
                                   {"depth", reader.depth},
                                   {"queued", reader.queued},
                                   {"received_total", reader.received_total},
                                   {"dropped_total", reader.dropped_total}});
        }
        channels.push_back({{"name", one.name},
                            {"policy", one.policy},
                            {"type", one.type},
                            {"type_bytes", one.type_bytes},
                            {"publishers", one.publishers},
                            {"published_total", one.published_total},
                            {"subscribers", std::move(subscribers)}});
    }
    return channels;
}

Json json_of_reclaims(const Snapshot& shot) {
    const ReclaimNumbers& one = shot.reclaims;
    const std::uint64_t took_ns = one.last_reclaim_at_ns > one.last_notice_at_ns
                                      ? one.last_reclaim_at_ns - one.last_notice_at_ns
                                      : 0;
    return {{"peers_total", one.peers_total},
            {"slots_total", one.slots_total},
            {"last_notice_us", one.last_notice_at_ns / 1000},
            {"last_reclaim_us", static_cast<double>(took_ns) / 1000},
            {"last_notice_at_ns", one.last_notice_at_ns},
            {"last_reclaim_at_ns", one.last_reclaim_at_ns}};
}

std::string table_of_classes(const Snapshot& shot) {
    TextTable table({"SLOT SIZE", "SLOTS", "UP TO", "FREE", "CACHED", "LOANED", "PUBLISHED",
                     "IN TRANSIT", "ALLOCATIONS", "EXHAUSTED", "HIGH WATER"});
    for (const ClassStatistics& one : shot.classes) {
        table.add({format_byte_size(one.slot_size), fmt::to_string(one.slot_count),
                   fmt::to_string(one.slot_limit), fmt::to_string(one.free),
                   fmt::to_string(one.cached), fmt::to_string(one.loaned),
                   fmt::to_string(one.published), fmt::to_string(one.in_transit),
                   fmt::to_string(one.allocations_total), fmt::to_string(one.exhausted_total),
                   fmt::to_string(one.high_water)});
    }
    return table.text();
}

std::string table_of_peers(const Snapshot& shot) {
    if (shot.peers.empty()) return "no peers\n";
    TextTable table({"PEER", "NAME", "PID", "UID", "STATE", "ACCESS", "LANES", "CACHED", "LOANED",
                     "LEASES", "HELD", "QUOTA", "ATTACHED"});
    for (const PeerNumbers& one : shot.peers) {
        table.add({fmt::to_string(one.id), printable(one.name), fmt::to_string(one.pid),
                   fmt::to_string(one.uid), one.state, one.read_only ? "read-only" : "read-write",
                   fmt::to_string(one.lanes), fmt::to_string(one.cached),
                   fmt::to_string(one.loaned), fmt::to_string(one.leases),
                   format_byte_size(one.bytes_held), text_of(one.quota),
                   format_duration(seconds(one.attached_seconds))});
    }
    return table.text();
}

std::string table_of_channels(const Snapshot& shot) {
    if (shot.channels.empty()) return "no channels\n";
    TextTable table({"CHANNEL", "POLICY", "TYPE", "PUBLISHERS", "PUBLISHED", "SUBSCRIBER", "DEPTH",
                     "QUEUED", "RECEIVED", "DROPPED"});
    for (const ChannelNumbers& one : shot.channels) {
        const std::vector<std::string> channel{
            printable(one.name), one.policy, one.type.empty() ? "bytes" : printable(one.type),
            fmt::to_string(one.publishers), fmt::to_string(one.published_total)};
        if (one.subscribers.empty()) {
            auto row = channel;
            row.insert(row.end(), {"none", "", "", "", ""});
            table.add(std::move(row));
        }
        for (const SubscriberNumbers& reader : one.subscribers) {
            auto row = channel;
            row.insert(row.end(),
                       {fmt::format("peer {}", reader.peer), fmt::to_string(reader.depth),
                        fmt::to_string(reader.queued), fmt::to_string(reader.received_total),
                        fmt::to_string(reader.dropped_total)});
            table.add(std::move(row));
        }
    }
    return table.text();
}

}  // namespace shmpool::cli
