// SPDX-License-Identifier: Apache-2.0
/// `shmpool heap create`.
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <memory>

#include "peer/cli/heap.hpp"
#include "peer/cli/observer.hpp"
#include "peer/cli/printing.hpp"
#include "peer/cli/quantity_options.hpp"
#include "peer/heaps.hpp"
#include "shmpool/quantity/byte_size.hpp"

namespace shmpool::cli {
namespace {

struct Wanted {
    std::string name;
    HeapSpec spec;
};

Result<int> run_create(const CommonOptions& common, const Wanted& wanted) {
    const auto observer = Observer::attach(common);
    if (!observer) return tl::unexpected(observer.error());
    const auto created = create_heap(observer->control(), wanted.name, wanted.spec);
    if (!created) return tl::unexpected(created.error());
    const auto printed =
        common.json
            ? print_json({{"heap", wanted.name},
                          {"kind", name_of(wanted.spec.kind)},
                          {"bytes", wanted.spec.bytes},
                          {"on_death", name_of(wanted.spec.on_death)}})
            : print(fmt::format("created heap '{}' of kind {} with {}\n", wanted.name,
                                name_of(wanted.spec.kind), format_byte_size(wanted.spec.bytes)));
    if (!printed) return tl::unexpected(printed.error());
    return exit_fine;
}

std::string names_of(std::span<const HeapKind> kinds) {
    std::string names;
    for (const HeapKind kind : kinds) {
        names += (names.empty() ? "" : ", ") + std::string(name_of(kind));
    }
    return names;
}

HeapKind kind_named(const std::string& text, std::span<const HeapKind> kinds) {
    for (const HeapKind kind : kinds) {
        if (name_of(kind) == text) return kind;
    }
    throw CLI::ValidationError(
        "--kind", "'" + text + "' is no kind of heap here; the kinds are " + names_of(kinds));
}

OnDeath on_death_named(const std::string& text) {
    for (const OnDeath choice : on_death_choices) {
        if (name_of(choice) == text) return choice;
    }
    throw CLI::ValidationError("--on-death", "'" + text + "' is neither keep nor reclaim");
}

}  // namespace

CLI::Option* add_heap_kind(CLI::App& command, HeapKind& into, std::span<const HeapKind> kinds) {
    return command
        .add_option_function<std::string>(
            "--kind", [&into, kinds](const std::string& text) { into = kind_named(text, kinds); },
            "What it hands out, and how: " + names_of(kinds))
        ->required()
        ->type_name("KIND");
}

void add_piece_sizes(CLI::App& command, HeapOptions& into) {
    add_bytes(command, "--page-size", into.bytes_per_page, 512,
              "Of bitmap_pages, page_chain, and of a slab of a slab_cache (default: 4KiB)");
    add_bytes(command, "--block-size", into.block_bytes, 4,
              "What a block of slab_stack and checked_slab, or an object of a slab_cache, holds "
              "(default: 64B)");
}

void add_heap_create(CLI::App& heap, const CommonOptions& common, Action& action) {
    auto wanted = std::make_shared<Wanted>();
    CLI::App* const command = add_command(
        heap, "create", "Create a heap, and take its memory from the machine",
        "Takes the right to grow. The memory is there when the command is done.\n\n"
        "Examples: a heap of bytes, one of pages, one of objects, one of 1000 ids from 100\n"
        "  shmpool heap create table --kind tlsf --size 64MiB\n"
        "  shmpool heap create frames --kind bitmap_pages --size 1GiB --page-size 2MiB "
        "--alignment 2MiB\n"
        "  shmpool heap create orders --kind slab_cache --size 16MiB --block-size 96\n"
        "  shmpool heap create ids --kind ids --size 64KiB --first-id 100 --ids 1000");
    add_heap_name(*command, wanted->name);
    add_heap_kind(*command, wanted->spec.kind, heap_kinds);
    command
        ->add_option_function<std::string>(
            "--on-death",
            [wanted](const std::string& text) { wanted->spec.on_death = on_death_named(text); },
            "What becomes of a block whose owner dies: keep or reclaim (default: keep)")
        ->type_name("CHOICE");
    HeapOptions& options = wanted->spec.options;
    add_bytes(*command, "--size", wanted->spec.bytes, 1, "Its memory, like 64MiB")->required();
    add_bytes(*command, "--max-size", wanted->spec.max_bytes, 1,
              "That it may grow to (default: it can not grow)");
    add_bytes(*command, "--alignment", options.map_alignment, page_bytes,
              "Of its beginning, up to 2MiB (default: 4KiB)");
    add_piece_sizes(*command, options);
    add_count(*command, "--first-id", options.first_id, 0, ~std::uint64_t{0},
              "Of ids (default: 0)");
    add_count(*command, "--ids", options.id_count, 1, ~std::uint64_t{0}, "How many ids there are");
    add_count(*command, "--ids-max", options.id_capacity, 1, ~std::uint64_t{0},
              "How many ids there can ever be (default: as many as from the beginning)");
    command->callback([&common, &action, wanted] {
        action = [&common, wanted] { return run_create(common, *wanted); };
    });
}

}  // namespace shmpool::cli
