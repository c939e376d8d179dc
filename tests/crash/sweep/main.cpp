// SPDX-License-Identifier: Apache-2.0
/// The program behind `scripts/crash sweep` and `stops`: kills or stops in the operations that its
/// options name, and says what it found, one line of JSON for each.
#include <dlfcn.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <span>

#include "stops.hpp"
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
                            {"visit", one.visit},
                            {"module", place.module},
                            {"offset", place.offset},
                            {"text", one.account.text}});
    }
    return {{"name", row.name},
            {"instructions", row.instructions},
            {"points", row.points},
            {"visits", row.visits},
            {"missed", row.missed},
            {"lost", row.lost},
            {"doubled", row.doubled},
            {"stuck", row.stuck},
            {"broken", row.broken},
            {"findings", findings},
            {"wrong_path", row.wrong_path},
            {"long", is_long(row.instructions)}};
}

Json json_of(const StopsRow& row) {
    Json json = json_of(static_cast<const Row&>(row));
    json["suspected"] = row.suspected;
    json["killed"] = row.killed;
    json["went_on"] = row.went_on;
    return json;
}

void print(const Json& json) {
    std::cout << json.dump() << std::endl;
}

struct Options {
    std::vector<std::string> names;
    Extent extent;
    bool list = false;
    bool stop = false;
    std::uint32_t stop_ms = 0;
};

/// Operations that need the same pool, one after the other.
using Part = std::span<const Operation>;

void sweep_all(Part operations, const Options& options) {
    Arena arena({.limits = operations.front().limits});
    for (const Operation& one : operations) {
        print(json_of(Sweep(arena).run(one, options.extent)));
    }
}

void stop_all(Part operations, const Options& options) {
    Arena waiting(that_suspects_soon("wait", operations.front().limits));
    Arena killing(that_suspects_soon("kill", operations.front().limits));
    for (const Operation& one : operations) {
        Stops stops(waiting, killing);
        print(json_of(stops.run(one, options.extent, std::chrono::milliseconds(options.stop_ms))));
    }
}

void run(const Options& options) {
    std::vector<Operation> operations = all_operations();
    if (!options.names.empty()) {
        std::erase_if(operations, [&](const Operation& one) {
            return std::ranges::find(options.names, one.name) == options.names.end();
        });
    }
    if (options.list) {
        for (const Operation& one : operations) std::cout << one.name << std::endl;
        return;
    }
    for (Part rest = operations; !rest.empty();) {
        const auto end = std::ranges::find_if_not(
            rest, [&](const Operation& one) { return one.limits == rest.front().limits; });
        const Part part(rest.begin(), end);
        options.stop ? stop_all(part, options) : sweep_all(part, options);
        rest = Part(end, rest.end());
    }
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Sweeps operations; see scripts/crash sweep and scripts/crash stops");
    Options options;
    app.add_option("operations", options.names, "Exact names; all if there is none");
    app.add_option("--every", options.extent.every)->check(CLI::PositiveNumber);
    app.add_option("--point", options.extent.only);
    app.add_flag("--list", options.list);
    app.add_flag("--stop", options.stop, "Stops them instead of killing them");
    app.add_option("--stop-ms", options.stop_ms);
    CLI11_PARSE(app, argc, argv);
    try {
        run(options);
    } catch (const std::exception& error) {
        std::cerr << "sweep: " << error.what() << "\n";
        return 1;
    }
    return 0;
}
