// SPDX-License-Identifier: Apache-2.0
#include "crash_rig.hpp"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>

namespace shmpool::testing_protocol {
namespace {

PointCounts* counts = nullptr;
std::vector<Step> steps_left;  ///< The next one last.

void hook(const char* name) {
    if (steps_left.empty()) {
        if (counts != nullptr) counts->count(name);
        return;
    }
    Step& next = steps_left.back();
    if (next.name != name || --next.nth != 0) return;
    const std::function<void()> act = std::move(next.act);
    steps_left.pop_back();
    act();
}

}  // namespace

void PointCounts::count(const char* name) {
    for (std::size_t i = 0; i < points_max; ++i) {
        const char* known = names[i].load();
        if (known == nullptr) {
            names[i].store(name);
            known = name;
        }
        if (std::strcmp(known, name) == 0) {
            ++hits[i];
            return;
        }
    }
}

unsigned PointCounts::of(const std::string& name) const {
    for (const auto& [known, count] : all()) {
        if (known == name) return count;
    }
    return 0;
}

std::vector<std::pair<std::string, unsigned>> PointCounts::all() const {
    std::vector<std::pair<std::string, unsigned>> result;
    for (std::size_t i = 0; i < points_max && names[i].load() != nullptr; ++i) {
        result.emplace_back(names[i].load(), hits[i].load());
    }
    return result;
}

void count_points(PointCounts& into) {
    counts = &into;
    crash_hook.store(&hook);
}

void act_at_points(std::vector<Step> steps) {
    steps_left.assign(std::make_move_iterator(steps.rbegin()),
                      std::make_move_iterator(steps.rend()));
    crash_hook.store(&hook);
}

void signal_at_point(const std::string& name, unsigned nth, int signal) {
    act_at_points({{name, nth, [signal] { ::raise(signal); }}});
}

Step kill_at(const std::string& name, unsigned nth) {
    return {name, nth, [] { ::raise(SIGKILL); }};
}

Step stop_at(const std::string& name, unsigned nth) {
    return {name, nth, [] { ::raise(SIGSTOP); }};
}

std::set<std::string> points_in_protocol_sources() {
    std::set<std::string> names;
    const std::regex point("SHMPOOL_CRASH_POINT\\((\\w+)\\)");
    for (const auto& entry : std::filesystem::directory_iterator(SHMPOOL_PROTOCOL_SOURCES)) {
        const auto extension = entry.path().extension();
        if (extension != ".cpp" && extension != ".hpp") continue;
        std::ifstream file(entry.path());
        const std::string text((std::istreambuf_iterator<char>(file)), {});
        for (std::sregex_iterator match(text.begin(), text.end(), point), end; match != end;
             ++match) {
            names.insert((*match)[1]);
        }
    }
    return names;
}

}  // namespace shmpool::testing_protocol
