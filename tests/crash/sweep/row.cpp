// SPDX-License-Identifier: Apache-2.0
#include "row.hpp"

namespace shmpool::sweep {
namespace {

constexpr int tries_max = 5;

}  // namespace

void Row::enter(Finding finding, Arena& arena) {
    const Account& account = finding.account;
    lost += account.lost;
    doubled += account.doubled;
    stuck += account.stuck;
    broken += account.broken;
    if (account.is_clean()) return;
    findings.push_back(std::move(finding));
    arena.renew();
}

Path trace_into(Row& row, const Operation& operation, Arena& arena) {
    row.name = operation.name;
    Path path;
    arena.board().sleep_ms = sleep_ms_at_first;
    for (int tries = 0; tries < tries_max; ++tries) {
        path = trace(arena, operation);
        row.enter({path.instructions.size(), "traced", 0, arena.settle()}, arena);
        if (path.wrong.empty()) break;
        arena.board().let_sleep_longer();
    }
    row.instructions = path.length();
    row.wrong_path = path.wrong;
    return path;
}

}  // namespace shmpool::sweep
