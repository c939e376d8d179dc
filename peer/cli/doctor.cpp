// SPDX-License-Identifier: Apache-2.0
/// `shmpool doctor`: walks over everything in a pool and names every invariant that is broken.
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

#include "peer/cli/heap_check.hpp"
#include "peer/cli/observer.hpp"
#include "peer/cli/printing.hpp"
#include "peer/cli/protocol_audit.hpp"
#include "shmpool/quantity/byte_size.hpp"

namespace shmpool::cli {
namespace {

/// As DESIGN has them.
std::string_view meaning_of(std::string_view invariant) {
    if (invariant == "I1") return "every slot is in exactly one place";
    if (invariant == "I2") return "nothing names who is gone";
    if (invariant == "I3") return "a slot that somebody reads is not handed out";
    if (invariant == "I5") return "stale names fail";
    if (invariant == "I6") return "what lies in the segment makes sense";
    return "see the documentation";
}

std::vector<AuditFinding> examine(const Observer& observer, const HeapCheck& heaps) {
    AuditFindings findings = audit_moving(observer.pool());
    findings.insert(findings.end(), heaps.findings.begin(), heaps.findings.end());
    const AuditFindings more =
        found_at_every_look([&] { return audit_protocol(observer.pool(), observer.view()); });
    findings.insert(findings.end(), more.begin(), more.end());
    std::ranges::stable_sort(findings, {}, &AuditFinding::invariant);
    return findings;
}

struct Examined {
    std::uint64_t slots = 0;
    std::uint32_t classes = 0;
    std::uint32_t peers = 0;
};

Examined count_examined(const Observer& observer) {
    Examined examined;
    examined.classes = observer.pool().class_count;
    for (const ClassView& one : observer.pool().all_classes()) examined.slots += one.slot_count();
    for (std::uint32_t i = 0; i < observer.view().peers.count; ++i) {
        examined.peers += find_peer(observer.view(), i) != nullptr ? 1U : 0U;
    }
    return examined;
}

std::string place_of(const PoolView& pool, const AuditFinding& finding) {
    if (finding.slot_index == no_slot) return {};
    const std::uint64_t slot_bytes =
        finding.class_index < pool.class_count ? pool.classes[finding.class_index].slot_bytes : 0;
    return fmt::format("class {} ({}), slot {}, word {:#018x}: ", finding.class_index,
                       format_byte_size(slot_bytes), finding.slot_index, finding.word);
}

/// The only one who has a right to write what was found; null if there are more, or he is gone.
const PeerImage* writer_of(const Observer& observer, const AuditFinding& finding) {
    const auto index = living_peer_of(observer.view(), finding.writer);
    return index ? find_peer(observer.view(), *index) : nullptr;
}

std::string text_of(const Observer& observer, const std::vector<AuditFinding>& findings) {
    std::string text;
    for (const AuditFinding& one : findings) {
        text += fmt::format("{}: {}{}", one.invariant, place_of(observer.pool(), one), one.text);
        if (const PeerImage* const writer = writer_of(observer, one)) {
            text +=
                fmt::format("; only peer {} '{}' (pid {}) writes this", peer_of_owner(one.writer),
                            printable(cli::text_of(writer->name, name_bytes)),
                            writer->pid.load(std::memory_order_relaxed));
        }
        text += '\n';
    }
    return text;
}

/// What was well.
std::string summary_of(const Examined& examined, const HeapCheck& heaps) {
    std::string text = fmt::format("audit ok: {} slots in {} classes, {} peers", examined.slots,
                                   examined.classes, examined.peers);
    if (heaps.heaps == 0) return text + "\n";
    if (heaps.not_done.empty()) return text + fmt::format(", {} heaps\n", heaps.heaps);
    return text + "; heaps were not looked at: " + heaps.not_done + "\n";
}

Json json_of(const CommonOptions& common, const Examined& examined, const HeapCheck& heaps,
             const Observer& observer, const std::vector<AuditFinding>& findings) {
    Json list = Json::array();
    for (const AuditFinding& one : findings) {
        Json finding{{"invariant", one.invariant}, {"text", one.text}};
        if (one.slot_index != no_slot) {
            finding["class_index"] = one.class_index;
            finding["slot_index"] = one.slot_index;
            finding["word"] = one.word;
        }
        if (const PeerImage* const writer = writer_of(observer, one)) {
            finding["writer"] = {{"peer", peer_of_owner(one.writer)},
                                 {"name", cli::text_of(writer->name, name_bytes)},
                                 {"pid", writer->pid.load(std::memory_order_relaxed)}};
        }
        list.push_back(std::move(finding));
    }
    return {{"pool", common.pool},        {"ok", findings.empty()},
            {"slots", examined.slots},    {"peers", examined.peers},
            {"heaps", heaps.heaps},       {"heaps_not_looked_at", heaps.not_done},
            {"findings", std::move(list)}};
}

Error broken(const CommonOptions& common, const std::vector<AuditFinding>& findings) {
    std::set<std::string> invariants;
    for (const AuditFinding& one : findings) invariants.insert(one.invariant);
    std::string names;
    for (const std::string& one : invariants) {
        names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", one, meaning_of(one));
    }
    return Error{
        Errc::pool_damaged,
        fmt::format("pool '{}' is damaged, {} findings; broken: {}; 'shmpool rebuild' makes it "
                    "anew; please report it with this output",
                    common.pool, findings.size(), names)};
}

/// The host has just agreed with this build about the layout: it is the memory that is wrong.
bool is_of_the_memory(Errc code) {
    switch (code) {
        case Errc::not_yet_published:
        case Errc::wrong_magic:
        case Errc::region_too_small:
        case Errc::damaged_header: return true;
        default: return false;
    }
}

Error unreadable(const CommonOptions& common, const Error& why) {
    return Error{Errc::pool_damaged,
                 fmt::format("pool '{}' is damaged so that it can not be opened: {}; 'shmpool "
                             "rebuild' makes it anew",
                             common.pool, why.message)};
}

Result<int> run_doctor(const CommonOptions& common) {
    const auto observer = Observer::attach(common);
    if (!observer && is_of_the_memory(observer.error().code)) {
        return tl::unexpected(unreadable(common, observer.error()));
    }
    if (!observer) return tl::unexpected(observer.error());
    const Examined examined = count_examined(*observer);
    const HeapCheck heaps = check_heaps(common, *observer);
    const std::vector<AuditFinding> findings = examine(*observer, heaps);
    const std::string text =
        findings.empty() ? summary_of(examined, heaps) : text_of(*observer, findings);
    const auto printed = common.json
                             ? print_json(json_of(common, examined, heaps, *observer, findings))
                             : print(text);
    if (!printed) return tl::unexpected(printed.error());
    if (!findings.empty()) return tl::unexpected(broken(common, findings));
    return exit_fine;
}

}  // namespace

void add_doctor(CLI::App& program, const CommonOptions& common, Action& action) {
    CLI::App* const command = add_command(
        program, "doctor",
        "Check everything in a pool; exit code 1 and the broken invariant if any",
        "Exact on a quiet pool. While the pool moves, only what several looks show in the same\n"
        "words is reported. Stops nobody and repairs nothing; of heaps it sees what was found by\n"
        "who has used them: 'shmpool heap audit' reads all of one.\n\n"
        "Example: fail a script when a pool is damaged\n"
        "  shmpool doctor --pool video || exit 1");
    command->callback([&common, &action] { action = [&common] { return run_doctor(common); }; });
}

}  // namespace shmpool::cli
