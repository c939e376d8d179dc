// SPDX-License-Identifier: Apache-2.0
/// `shmpool heap stat` and `heap audit`.
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <memory>
#include <optional>

#include "peer/cli/heap.hpp"
#include "peer/cli/heap_check.hpp"
#include "peer/cli/observer.hpp"
#include "peer/cli/printing.hpp"
#include "shmpool/quantity/byte_size.hpp"

namespace shmpool::cli {
namespace {

std::string text_of(const std::string& name, const HeapGlance& heap) {
    if (heap.kind == HeapKind::ids) {
        return fmt::format("heap '{}' of kind {}: {} of {} ids are used\n", name,
                           name_of(heap.kind), heap.used, heap.total);
    }
    const bool hands_out_pages =
        heap.kind == HeapKind::bitmap_pages || heap.kind == HeapKind::page_chain;
    std::string text =
        fmt::format("heap '{}' of kind {}: {} of {} are used", name, name_of(heap.kind),
                    format_byte_size(heap.used), format_byte_size(heap.total));
    if (!hands_out_pages) text += fmt::format(", in {} blocks", heap.blocks);
    return text + fmt::format("; {} region{}\n", heap.regions, heap.regions == 1 ? "" : "s");
}

Json json_of(const std::string& name, const HeapGlance& heap) {
    return {{"heap", name},
            {"kind", name_of(heap.kind)},
            {"total", heap.total},
            {"used", heap.used},
            {"free", heap.total - heap.used},
            {"blocks", heap.blocks},
            {"regions", heap.regions},
            {"locked", heap.holder != 0},
            {"damaged", heap.damaged}};
}

/// See heap_check.hpp; nothing, too, if nobody may look.
std::optional<std::string> lock_of_nobody(const CommonOptions& common, Peer& peer,
                                          const std::string& name) {
    const auto observer = Observer::attach(common);
    if (!observer) return std::nullopt;
    const auto text = lock_of_nobody(*observer, peer, name);
    if (!text) return std::nullopt;
    return fmt::format("heap '{}' {}", printable(name), *text);
}

Result<int> run_stat(const CommonOptions& common, const std::string& name) {
    auto peer = attach(common, "shmpool heap stat", Use::reads);
    if (!peer) return tl::unexpected(peer.error());
    const auto heap = peer->glance_at_heap(name);
    if (!heap) return tl::unexpected(heap.error());
    std::string text = text_of(name, *heap);
    if (heap->damaged) text += "it is damaged; see 'shmpool heap audit'\n";
    const auto nobodys = lock_of_nobody(common, *peer, name);
    if (nobodys) text += *nobodys + '\n';
    Json json = json_of(name, *heap);
    json["locked_by_nobody"] = nobodys.has_value();
    const auto printed = common.json ? print_json(json) : print(text);
    if (!printed) return tl::unexpected(printed.error());
    return exit_fine;
}

/// Whose lane that is, as far as somebody may know who looks.
std::string text_of_lane(const CommonOptions& common, std::uint32_t lane) {
    std::string text = lane == host_lane ? "the host" : "lane " + std::to_string(lane);
    const auto observer = Observer::attach(common);
    if (!observer || lane >= observer->pool().lane_count) return text;
    const std::uint64_t owner = observer->pool().lanes[lane].owner.load(std::memory_order_relaxed);
    const auto index = living_peer_of(observer->view(), owner);
    if (!index) return text;
    const PeerImage& peer = observer->view().peers.at(*index);
    return text + fmt::format(" of peer {} '{}' (pid {})", *index,
                              printable(cli::text_of(peer.name, name_bytes)),
                              peer.pid.load(std::memory_order_relaxed));
}

/// An error of who has waited in vain says for whom.
Error with_holder(const CommonOptions& common, Peer& peer, const std::string& name, Error error) {
    if (error.code != Errc::would_block) return error;
    const auto heap = peer.glance_at_heap(name);
    if (!heap || heap->holder == 0) return error;
    error.message += " In it is " + text_of_lane(common, heap->holder - 1) + ".";
    return error;
}

Result<int> run_audit(const CommonOptions& common, const std::string& name) {
    auto peer = attach(common, "shmpool heap audit", Use::writes);
    if (!peer) return tl::unexpected(peer.error());
    if (const auto nobodys = lock_of_nobody(common, *peer, name)) {
        return fail(Errc::heap_damaged, *nobodys + "; run it again");
    }
    const auto findings = peer->audit_heap(name);
    if (!findings) {
        return tl::unexpected(with_holder(common, *peer, name, findings.error()));
    }
    const auto heap = peer->glance_at_heap(name);
    return print_findings(common, name, *findings, heap && heap->damaged);
}

using Run = Result<int> (*)(const CommonOptions&, const std::string&);

void add_look(CLI::App* command, const CommonOptions& common, Action& action, Run run) {
    auto name = std::make_shared<std::string>();
    add_heap_name(*command, *name);
    command->callback([&common, &action, name, run] {
        action = [&common, name, run] { return run(common, *name); };
    });
}

}  // namespace

Result<int> print_findings(const CommonOptions& common, const std::string& name,
                           const std::vector<HeapFinding>& findings, bool was_damaged) {
    Json list = Json::array();
    std::string text;
    for (const HeapFinding& one : findings) {
        list.push_back({{"at", one.at}, {"text", one.text}});
        text += fmt::format("at {}: {}\n", one.at, one.text);
    }
    if (findings.empty()) {
        text = fmt::format("heap '{}' is whole{}\n", name,
                           was_damaged ? "; nonsense was met in it before" : "");
    }
    const auto printed =
        common.json ? print_json({{"heap", name}, {"findings", list}}) : print(text);
    if (!printed) return tl::unexpected(printed.error());
    return findings.empty() ? exit_fine : exit_refused;
}

void add_heap_stat(CLI::App& heap, const CommonOptions& common, Action& action) {
    add_look(add_command(heap, "stat", "Show how full a heap is",
                         "Waits for nobody: somebody may be in the middle of a change.\n\n"
                         "Example:\n"
                         "  shmpool heap stat table --json"),
             common, action, run_stat);
}

void add_heap_audit(CLI::App& heap, const CommonOptions& common, Action& action) {
    add_look(add_command(heap, "audit", "Check a heap: every block, every list, every counter",
                         "Nobody else can use the heap meanwhile. Exit code 1 if something is "
                         "wrong.\n\n"
                         "Example:\n"
                         "  shmpool heap audit table"),
             common, action, run_audit);
}

}  // namespace shmpool::cli
