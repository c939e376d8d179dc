// SPDX-License-Identifier: Apache-2.0
/// `shmpool heap list`, `heap grow` and `heap destroy`, and what all commands about heaps share.
#include "peer/cli/heap.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <memory>

#include "peer/cli/observer.hpp"
#include "peer/cli/printing.hpp"
#include "peer/cli/quantity_options.hpp"
#include "peer/heaps.hpp"
#include "protocol/heap_table.hpp"
#include "protocol/wire/names.hpp"
#include "shmpool/quantity/byte_size.hpp"

namespace shmpool::cli {
namespace {

Json json_of(const HeapEntry& heap) {
    return {{"name", heap.name},
            {"kind", name_of(heap.kind)},
            {"on_death", name_of(heap.on_death)},
            {"bytes", heap.bytes},
            {"committed_bytes", heap.committed_bytes},
            {"created_by", heap.created_by},
            {"users", heap.users}};
}

std::string table_of(const std::vector<HeapEntry>& heaps) {
    TextTable table({"HEAP", "KIND", "SIZE", "UP TO", "ON DEATH", "OPEN BY"});
    for (const HeapEntry& heap : heaps) {
        std::string users;
        for (const std::uint32_t peer : heap.users) {
            users += (users.empty() ? "peer " : ", peer ") + std::to_string(peer);
        }
        table.add({printable(heap.name), std::string(name_of(heap.kind)),
                   format_byte_size(heap.committed_bytes), format_byte_size(heap.bytes),
                   std::string(name_of(heap.on_death)), users});
    }
    return table.text();
}

Result<int> run_list(const CommonOptions& common) {
    const auto observer = Observer::attach(common);
    if (!observer) return tl::unexpected(observer.error());
    const std::vector<HeapEntry> heaps = read_heaps(observer->view());
    Json list = Json::array();
    for (const HeapEntry& heap : heaps) list.push_back(json_of(heap));
    const auto printed =
        common.json ? print_json({{"name", common.pool}, {"heaps", list}}) : print(table_of(heaps));
    if (!printed) return tl::unexpected(printed.error());
    return exit_fine;
}

Result<int> run_grow(const CommonOptions& common, const std::string& name, std::uint64_t to_bytes) {
    const auto observer = Observer::attach(common);
    if (!observer) return tl::unexpected(observer.error());
    const auto heap = find_heap(observer->view(), name);
    if (!heap) return tl::unexpected(heap.error());
    if (auto done = grow_heap(observer->control(), heap->id, to_bytes); !done) {
        return tl::unexpected(done.error());
    }
    const auto now = find_heap(observer->view(), name);
    if (!now) return tl::unexpected(now.error());
    const auto printed =
        common.json ? print_json({{"heap", name}, {"committed_bytes", now->committed_bytes}})
                    : print(fmt::format("heap '{}' has {}\n", name,
                                        format_byte_size(now->committed_bytes)));
    if (!printed) return tl::unexpected(printed.error());
    return exit_fine;
}

Result<int> run_destroy(const CommonOptions& common, const std::string& name) {
    const auto observer = Observer::attach(common);
    if (!observer) return tl::unexpected(observer.error());
    const auto heap = find_heap(observer->view(), name);
    if (!heap) return tl::unexpected(heap.error());
    if (auto done = destroy_heap(observer->control(), heap->id); !done) {
        return tl::unexpected(done.error());
    }
    const auto printed = common.json ? print_json({{"heap", name}, {"bytes", heap->bytes}})
                                     : print(fmt::format("destroyed heap '{}' of {}\n", name,
                                                         format_byte_size(heap->bytes)));
    if (!printed) return tl::unexpected(printed.error());
    return exit_fine;
}

}  // namespace

CLI::Option* add_heap_name(CLI::App& command, std::string& into) {
    return command.add_option("NAME", into, "Name of the heap")
        ->required()
        ->type_name("")
        ->check([](const std::string& name) {
            const auto sound = check_heap_name(name);
            return sound ? std::string() : sound.error().message;
        });
}

void add_heap_list(CLI::App& heap, const CommonOptions& common, Action& action) {
    CLI::App* const command =
        add_command(heap, "list", "Show the heaps, and who has them open",
                    "Example: what each heap takes\n"
                    "  shmpool heap list --json | jq '.heaps[] | {name, committed_bytes}'");
    command->callback([&common, &action] { action = [&common] { return run_list(common); }; });
}

void add_heap_grow(CLI::App& heap, const CommonOptions& common, Action& action) {
    struct Wanted {
        std::string name;
        std::uint64_t bytes = 0;
    };
    auto wanted = std::make_shared<Wanted>();
    CLI::App* const command = add_command(
        heap, "grow", "Give a heap more memory, while it is in use",
        "Up to the --max-size that it was created with. It has more already: nothing happens.\n\n"
        "Example:\n"
        "  shmpool heap create table --kind tlsf --size 64MiB --max-size 1GiB\n"
        "  shmpool heap grow table --size 128MiB");
    add_heap_name(*command, wanted->name);
    add_bytes(*command, "--size", wanted->bytes, 1, "What it is to have, like 128MiB")->required();
    command->callback([&common, &action, wanted] {
        action = [&common, wanted] { return run_grow(common, wanted->name, wanted->bytes); };
    });
}

void add_heap_destroy(CLI::App& heap, const CommonOptions& common, Action& action) {
    auto name = std::make_shared<std::string>();
    CLI::App* const command =
        add_command(heap, "destroy", "Give the memory of a heap back, with all that is in it",
                    "Refused as long as a peer has it open.\n\n"
                    "Example:\n"
                    "  shmpool heap destroy table");
    add_heap_name(*command, *name);
    command->callback([&common, &action, name] {
        action = [&common, name] { return run_destroy(common, *name); };
    });
}

void add_heap(CLI::App& program, const CommonOptions& common, Action& action) {
    CLI::App* const command =
        add_command(program, "heap", "Create, look at, grow and destroy heaps",
                    "A heap is shared memory for what is no message: tables, graphs, containers,\n"
                    "pages, ids. Who is killed while he changes it leaves it as it was.\n\n"
                    "Example: a heap of 64 MiB, and what is in it\n"
                    "  shmpool heap create table --kind tlsf --size 64MiB\n"
                    "  shmpool heap stat table");
    command->require_subcommand(1);
    for (const auto add : {add_heap_create, add_heap_list, add_heap_stat, add_heap_audit,
                           add_heap_grow, add_heap_destroy, add_heap_file}) {
        add(*command, common, action);
    }
}

}  // namespace shmpool::cli
