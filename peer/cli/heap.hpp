// SPDX-License-Identifier: Apache-2.0
/// `shmpool heap`: a command with commands of its own, one file for each group of them.
#pragma once

#include <span>
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
/// --kind, required: one of `kinds`, which live on.
CLI::Option* add_heap_kind(CLI::App& command, HeapKind& into, std::span<const HeapKind> kinds);
/// --page-size and --block-size.
void add_piece_sizes(CLI::App& command, HeapOptions& into);

/// What an audit has found, and its exit code. `was_damaged`: by the word of the heap.
[[nodiscard]] Result<int> print_findings(const CommonOptions& common, const std::string& name,
                                         const std::vector<HeapFinding>& findings,
                                         bool was_damaged);

}  // namespace shmpool::cli
