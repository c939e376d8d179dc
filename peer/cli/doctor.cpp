// SPDX-License-Identifier: Apache-2.0
/// `shmpool doctor`: walks over everything in a pool and names every invariant that is broken.
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

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

std::vector<AuditFinding> examine(const Observer& observer) {
    AuditFindings findings = audit_moving(observer.pool());
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
    for (const ClassView& one : observer.pool().all_classes()) examined.slots += one.slot_count;
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

std::string text_of(const PoolView& pool, const std::vector<AuditFinding>& findings) {
    std::string text;
    for (const AuditFinding& one : findings) {
        text += fmt::format("{}: {}{}\n", one.invariant, place_of(pool, one), one.text);
    }
    return text;
}

Json json_of(const CommonOptions& common, const Examined& examined,
             const std::vector<AuditFinding>& findings) {
    Json list = Json::array();
    for (const AuditFinding& one : findings) {
        Json finding{{"invariant", one.invariant}, {"text", one.text}};
        if (one.slot_index != no_slot) {
            finding["class_index"] = one.class_index;
            finding["slot_index"] = one.slot_index;
            finding["word"] = one.word;
        }
        list.push_back(std::move(finding));
    }
    return {{"pool", common.pool},
            {"ok", findings.empty()},
            {"slots", examined.slots},
            {"peers", examined.peers},
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
        fmt::format("pool '{}' is damaged, {} findings; broken: {}; restart its host for a "
                    "new pool, and please report it with this output",
                    common.pool, findings.size(), names)};
}

Result<int> run_doctor(const CommonOptions& common) {
    const auto observer = Observer::attach(common);
    if (!observer) return tl::unexpected(observer.error());
    const std::vector<AuditFinding> findings = examine(*observer);
    const Examined examined = count_examined(*observer);
    const std::string text = findings.empty()
                                 ? fmt::format("audit ok: {} slots in {} classes, {} peers\n",
                                               examined.slots, examined.classes, examined.peers)
                                 : text_of(observer->pool(), findings);
    const auto printed =
        common.json ? print_json(json_of(common, examined, findings)) : print(text);
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
        "words is reported. Stops nobody and repairs nothing.\n\n"
        "Example: fail a script when a pool is damaged\n"
        "  shmpool doctor --pool video || exit 1");
    command->callback([&common, &action] { action = [&common] { return run_doctor(common); }; });
}

}  // namespace shmpool::cli
