// SPDX-License-Identifier: Apache-2.0
#include "row.hpp"

namespace shmpool::sweep {

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
    for (int tries = 0; tries < 3; ++tries) {
        path = trace(arena, operation);
        row.enter({path.instructions.size(), "traced", 0, arena.settle()}, arena);
        if (path.wrong.empty()) break;
    }
    row.instructions = path.length();
    row.wrong_path = path.wrong;
    return path;
}

}  // namespace shmpool::sweep
