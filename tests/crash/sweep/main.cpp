// SPDX-License-Identifier: Apache-2.0
/// The program behind `scripts/crash sweep`: sweeps the operations that its options name, and says
/// what it found, one line of JSON for each.
#include <dlfcn.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>

#include "sweep.hpp"

namespace {

using namespace shmpool::sweep;
using Json = nlohmann::ordered_json;

struct Place {
    std::string module;
    std::uint64_t offset = 0;
};

/// Victims are forks of this very program: their addresses are its own.
Place place_of(std::uint64_t address) {
    Dl_info info{};
    if (::dladdr(reinterpret_cast<void*>(address), &info) == 0) return {"?", address};
    return {info.dli_fname, address - reinterpret_cast<std::uint64_t>(info.dli_fbase)};
}

Json json_of(const Row& row) {
    Json findings = Json::array();
    for (const Finding& one : row.findings) {
        const Place place = place_of(one.address);
        findings.push_back({{"point", one.point},
                            {"rivals", one.rivals == Rivals::calm ? "calm" : "busy"},
                            {"module", place.module},
                            {"offset", place.offset},
                            {"text", one.account.text}});
    }
    return {{"name", row.name},       {"instructions", row.instructions},
            {"long", row.is_long},    {"points", row.points},
            {"kills", row.kills},     {"lost", row.lost},
            {"doubled", row.doubled}, {"stuck", row.stuck},
            {"broken", row.broken},   {"wrong_path", row.wrong_path},
            {"findings", findings}};
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Sweeps operations; see scripts/crash sweep");
    std::vector<std::string> names;
    Extent extent;
    bool list = false;
    app.add_option("operations", names, "Exact names; all if there is none");
    app.add_option("--every", extent.every)->check(CLI::PositiveNumber);
    app.add_option("--point", extent.only);
    app.add_flag("--list", list);
    CLI11_PARSE(app, argc, argv);
    try {
        std::unique_ptr<Arena> arena;
        for (const Operation& operation : all_operations()) {
            if (!names.empty() && std::ranges::find(names, operation.name) == names.end()) continue;
            if (list) {
                std::cout << operation.name << std::endl;
                continue;
            }
            if (!arena) arena = std::make_unique<Arena>();
            std::cout << json_of(Sweep(*arena).run(operation, extent)).dump() << std::endl;
        }
    } catch (const std::exception& error) {
        std::cerr << "sweep: " << error.what() << "\n";
        return 1;
    }
    return 0;
}
