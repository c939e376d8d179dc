// SPDX-License-Identifier: Apache-2.0
/// `shmpool heap`: a command with commands of its own, one file for each group of them.
#pragma once

#include <string>
#include <vector>

#include "peer/cli/command.hpp"
#include "shmpool/heap/heap_census.hpp"
#include "shmpool/heap/heap_format.hpp"

namespace shmpool::cli {

void add_heap_create(CLI::App& heap, const CommonOptions& common, Action& action);
void add_heap_list(CLI::App& heap, const CommonOptions& common, Action& action);
void add_heap_stat(CLI::App& heap, const CommonOptions& common, Action& action);
void add_heap_audit(CLI::App& heap, const CommonOptions& common, Action& action);
void add_heap_destroy(CLI::App& heap, const CommonOptions& common, Action& action);
void add_heap_file(CLI::App& heap, const CommonOptions& common, Action& action);

/// The positional NAME, checked.
CLI::Option* add_heap_name(CLI::App& command, std::string& into);
/// --kind, required.
CLI::Option* add_heap_kind(CLI::App& command, HeapKind& into);
/// --page-size and --block-size.
void add_piece_sizes(CLI::App& command, HeapOptions& into);

/// What an audit has found, and its exit code.
[[nodiscard]] Result<int> print_findings(const CommonOptions& common, const std::string& name,
                                         const std::vector<HeapFinding>& findings);

}  // namespace shmpool::cli
