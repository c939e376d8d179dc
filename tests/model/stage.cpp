// SPDX-License-Identifier: Apache-2.0
#include "stage.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace shmpool::model {
namespace {

std::vector<std::string>& sites() {
    static std::vector<std::string> all;
    return all;
}

void print_row(const std::string& name, const Bounds& bounds, const Report& report,
               double seconds) {
    static const bool header = [] {
        std::printf("%-52s %5s %5s %5s %11s %12s %10s %10s %5s %7s\n", "play", "peers", "host",
                    "pre.", "states", "transitions", "ends", "kills", "runs", "seconds");
        return true;
    }();
    (void)header;
    const std::string preemptions =
        bounds.preemptions < 0 ? "all" : std::to_string(bounds.preemptions);
    std::printf("%-52s %5u %5u %5s %11llu %12llu %10llu %10llu %5u %7.1f\n", name.c_str(),
                bounds.peer_kills, bounds.host_kills, preemptions.c_str(),
                static_cast<unsigned long long>(report.states),
                static_cast<unsigned long long>(report.transitions),
                static_cast<unsigned long long>(report.ends),
                static_cast<unsigned long long>(report.kills), report.runs, seconds);
    std::fflush(stdout);
}

}  // namespace

Depth depth() {
    const char* const asked = std::getenv("SHMPOOL_MODEL_DEPTH");
    if (asked == nullptr) return Depth::short_form;
    return std::string_view(asked) == "unbounded" ? Depth::unbounded : Depth::full;
}

Bounds deep(Bounds bounds, int preemptions) {
    return deep(bounds, preemptions, -1);
}

Bounds deep(Bounds bounds, int preemptions, int at_full_depth) {
    switch (depth()) {
        case Depth::short_form: bounds.preemptions = preemptions; break;
        case Depth::full: bounds.preemptions = at_full_depth; break;
        case Depth::unbounded: bounds.preemptions = -1; break;
    }
    return bounds;
}

void expect_holds(const std::string& name, const Shape& shape, const Bounds& bounds,
                  const std::function<void(World&)>& cast) {
    const auto begin = std::chrono::steady_clock::now();
    const Report report = explore(
        [&] {
            const auto world = std::make_shared<World>(shape);
            cast(*world);
            return world->play(world);
        },
        bounds);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    print_row(name, bounds, report, took.count());
    sites().insert(sites().end(), report.sites.begin(), report.sites.end());
    EXPECT_EQ(report.violation, "") << report.trace;
    EXPECT_TRUE(report.complete || !report.violation.empty()) << "the table of states is full";
}

void unsubscribe(World& world, Player& reader) {
    reader.then([](Player& me) { me.close(); });
    world.add_duty([&reader] { return reader.closed() && !reader.dead(); },
                   [&reader](ChannelDirectory& directory) {
                       directory.subscriber_left(reader.subscriber_index(), EndpointState::left);
                   });
}

const std::vector<std::string>& executed_sites() {
    return sites();
}

}  // namespace shmpool::model
