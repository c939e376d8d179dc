// SPDX-License-Identifier: Apache-2.0
/// Goal: what the model explores is the production code and nothing else. Method: the program was
/// compiled from the sources that its build names; every access to shared memory in it says where
/// it stands; and every production line of pool and protocol that touches an atomic word was
/// executed by a small play, or stands in the list of those that no play needs.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "stage.hpp"

namespace shmpool::model {
namespace {

const std::filesystem::path root = SHMPOOL_SOURCE_DIR;

/// What the program was compiled from, from the root of the tree.
std::set<std::string> compiled_sources() {
    std::set<std::string> sources;
    std::istringstream words(SHMPOOL_MODEL_SOURCES);
    for (std::string word; std::getline(words, word, '|');) {
        sources.insert(std::filesystem::relative(word, root).string());
    }
    return sources;
}

std::set<std::string> sources_in(const std::string& room) {
    std::set<std::string> sources;
    for (const auto& entry : std::filesystem::directory_iterator(root / room)) {
        if (entry.path().extension() == ".cpp") {
            sources.insert(room + "/" + entry.path().filename().string());
        }
    }
    return sources;
}

/// The files, from the root of the tree, in which accesses were executed.
std::set<std::string> files_met() {
    std::set<std::string> files;
    for (const std::string& site : executed_sites()) {
        const std::filesystem::path file = site.substr(0, site.rfind(':'));
        const std::filesystem::path path = file.is_absolute() ? file : SHMPOOL_BUILD_DIR / file;
        files.insert(std::filesystem::weakly_canonical(path).lexically_relative(root).string());
    }
    return files;
}

/// Headers and sources of a room with an access to an atomic word in them.
std::set<std::string> files_with_accesses(const std::string& room) {
    static const std::regex access(R"((\.|->)(load|store|fetch_\w+|compare_exchange_\w+)\()"
                                   R"(|(load_halves|compare_exchange_128)\()");
    std::set<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(root / room)) {
        if (!entry.is_regular_file()) continue;
        std::ostringstream text;
        text << std::ifstream(entry.path()).rdbuf();
        const std::string content = text.str();
        if (std::regex_search(content, access)) {
            files.insert(room + "/" + entry.path().filename().string());
        }
    }
    return files;
}

/// A play in which everybody does something, and one of them dies.
void play_a_little_of_everything() {
    const Shape shape{.classes = {{64, 4}, {128, 128}}, .lanes = 5};
    expect_holds("a little of everything", shape, {.peer_kills = 1, .preemptions = 0},
                 [](World& world) {
                     Player& writer = world.add_player("W");
                     writer.open_publisher();
                     for (const char* name : {"R", "S"}) {
                         Player& reader = world.add_player(name);
                         reader.open_subscriber(1);
                         reader.then([](Player& me) { me.take(); }).then([](Player& me) {
                             me.release();
                             me.loan(128);
                             me.end();
                         });
                     }
                     writer.then([](Player& me) {
                         me.loan();
                         me.publish();
                         me.allocate(128);
                         me.free();
                     });
                 });
}

TEST(ModelIsProduction, AllSourcesOfPoolAndProtocolAreCompiled) {
    const std::set<std::string> compiled = compiled_sources();
    for (const char* room : {"shmpool/layout", "shmpool/pool", "protocol"}) {
        for (const std::string& source : sources_in(room)) {
            EXPECT_TRUE(compiled.contains(source)) << source;
        }
    }
}

/// A second pool or protocol would stand in a file that is none of these.
TEST(ModelIsProduction, NothingElseButTheStageIsCompiled) {
    const std::set<std::string> stage = sources_in("tests/model");
    for (const std::string& source : compiled_sources()) {
        const bool production = source.starts_with("shmpool/") || source.starts_with("protocol/");
        EXPECT_TRUE(production || stage.contains(source)) << source;
    }
}

TEST(ModelIsProduction, EveryAccessStandsInAProductionFile) {
    play_a_little_of_everything();
    const std::set<std::string> met = files_met();
    EXPECT_GE(met.size(), 10U);
    for (const std::string& file : met) {
        const bool production = file.starts_with("shmpool/") || file.starts_with("protocol/");
        // "user": the players' looks at their own payload. player.cpp: at their slots' generation.
        const bool of_a_user = file.ends_with("user") || file == "tests/model/player.cpp";
        EXPECT_TRUE(production || of_a_user || file.ends_with("futex")) << file;
    }
}

TEST(ModelIsProduction, EveryFileWithAnAccessWasMet) {
    play_a_little_of_everything();
    std::set<std::string> expected = files_with_accesses("shmpool/pool");
    expected.merge(files_with_accesses("protocol"));
    for (const char* quiet : {
             "shmpool/pool/class_view.hpp",        // Growth is played elsewhere.
             "shmpool/pool/growth.cpp",            // As that.
             "shmpool/pool/pool_audit.cpp",        // Looks at ends only, which are no steps.
             "shmpool/pool/pool_opening.cpp",      // Before the play.
             "shmpool/pool/pool_queries.cpp",      // Only looks.
             "shmpool/pool/pool_view.hpp",         // Marks damage, of which there is none.
             "shmpool/pool/pool_statistics.cpp",   // As the audit.
             "protocol/channel_directory.cpp",     // Opening is played elsewhere.
             "protocol/ring_room.cpp",             // As that.
             "protocol/committed_memory.cpp",      // A number for people.
             "protocol/heap_directory.cpp",        // No player has a heap; one thread writes it.
             "protocol/heap_directory_tasks.cpp",  // As that.
             "protocol/heap_directory_works.cpp",  // As that.
             "protocol/heap_row.hpp",              // As that.
             "protocol/heap_table.cpp",            // Only looks.
             "protocol/quota.cpp",                 // Only counts, and no player has a quota.
         }) {
        expected.erase(quiet);
    }
    const std::set<std::string> met = files_met();
    for (const std::string& file : expected) EXPECT_TRUE(met.contains(file)) << file;
    EXPECT_GE(expected.size(), 12U);
}

/// The atomics of the players' few looks are the exchanged ones, and of nobody else in the program.
TEST(ModelIsProduction, TheAtomicsAreExchanged) {
    EXPECT_FALSE((std::is_same_v<Atomic<std::uint64_t>, std::atomic<std::uint64_t>>));
}

}  // namespace
}  // namespace shmpool::model
