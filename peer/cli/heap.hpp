// SPDX-License-Identifier: Apache-2.0
/// `shmpool heap`: a command with commands of its own, one file for each group of them.
#pragma once

#include <string>

#include "peer/cli/command.hpp"

namespace shmpool::cli {

void add_heap_create(CLI::App& heap, const CommonOptions& common, Action& action);
void add_heap_list(CLI::App& heap, const CommonOptions& common, Action& action);
void add_heap_stat(CLI::App& heap, const CommonOptions& common, Action& action);
void add_heap_audit(CLI::App& heap, const CommonOptions& common, Action& action);
void add_heap_destroy(CLI::App& heap, const CommonOptions& common, Action& action);

/// The positional NAME, checked.
CLI::Option* add_heap_name(CLI::App& command, std::string& into);

}  // namespace shmpool::cli
