// SPDX-License-Identifier: Apache-2.0
/// `shmpool heap file create` and `heap file audit`: heaps on a file, which need no host.
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <memory>

#include "peer/cli/heap.hpp"
#include "peer/cli/printing.hpp"
#include "peer/cli/quantity_options.hpp"
#include "shmpool/heap/heap_audit.hpp"
#include "shmpool/heap/heap_file.hpp"
#include "shmpool/heap/heap_options.hpp"
#include "shmpool/quantity/byte_size.hpp"

namespace shmpool::cli {
namespace {

struct WantedFile {
    std::string path;
    HeapKind kind = HeapKind::none;
    std::uint64_t bytes = 0;
    HeapOptions options;
};

Result<int> run_create(const CommonOptions& common, WantedFile wanted) {
    wanted.options.map_alignment =
        std::max(wanted.options.map_alignment, wanted.options.bytes_per_page);
    if (auto sense = check_options(wanted.kind, wanted.bytes, wanted.options); !sense) {
        return tl::unexpected(sense.error());
    }
    const auto file = HeapFile::create(wanted.path, wanted.kind, wanted.bytes, wanted.options);
    if (!file) return tl::unexpected(file.error());
    const auto printed =
        common.json
            ? print_json(
                  {{"path", wanted.path}, {"kind", name_of(wanted.kind)}, {"bytes", wanted.bytes}})
            : print(fmt::format("created '{}', a heap of kind {} with {}\n", printable(wanted.path),
                                name_of(wanted.kind), format_byte_size(wanted.bytes)));
    if (!printed) return tl::unexpected(printed.error());
    return exit_fine;
}

Result<int> run_audit(const CommonOptions& common, const std::string& path) {
    auto file = HeapFile::open(path);
    if (!file) return tl::unexpected(file.error());
    const auto findings = file->audit();
    if (!findings) return tl::unexpected(findings.error());
    const auto heap = glance_at_heap(file->memory());
    return print_findings(common, path, *findings, heap && heap->damaged);
}

void add_path(CLI::App& command, std::string& into) {
    command.add_option("PATH", into, "The file")->required()->type_name("");
}

void add_create(CLI::App& file, const CommonOptions& common, Action& action) {
    auto wanted = std::make_shared<WantedFile>();
    CLI::App* const command =
        add_command(file, "create", "Make a file with an empty heap in it",
                    "All of its blocks are taken from the disk. What is there is never "
                    "overwritten.\n\n"
                    "Example:\n"
                    "  shmpool heap file create /var/lib/x/table --kind first_fit --size 64MiB");
    add_path(*command, wanted->path);
    add_heap_kind(*command, wanted->kind, file_heap_kinds);
    add_bytes(*command, "--size", wanted->bytes, 1, "Of the file, like 64MiB")->required();
    add_piece_sizes(*command, wanted->options);
    command->callback([&common, &action, wanted] {
        action = [&common, wanted] { return run_create(common, *wanted); };
    });
}

void add_audit(CLI::App& file, const CommonOptions& common, Action& action) {
    auto path = std::make_shared<std::string>();
    CLI::App* const command =
        add_command(file, "audit", "Check a heap on a file that nobody has open",
                    "Undoes what somebody who died in it has left. Exit code 1 if something is "
                    "wrong.\n\n"
                    "Example:\n"
                    "  shmpool heap file audit /var/lib/x/table");
    add_path(*command, *path);
    command->callback([&common, &action, path] {
        action = [&common, path] { return run_audit(common, *path); };
    });
}

}  // namespace

void add_heap_file(CLI::App& heap, const CommonOptions& common, Action& action) {
    CLI::App* const command =
        add_command(heap, "file", "Make and check heaps that lie on a file, without a host",
                    "One process at a time has such a heap; it is there again after a kill and "
                    "after a reboot.\n\n"
                    "Example:\n"
                    "  shmpool heap file create table.heap --kind page_chain --size 16MiB\n"
                    "  shmpool heap file audit table.heap");
    command->require_subcommand(1);
    add_create(*command, common, action);
    add_audit(*command, common, action);
}

}  // namespace shmpool::cli
