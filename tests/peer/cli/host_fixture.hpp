// SPDX-License-Identifier: Apache-2.0
/// A host of pool 'test' for every test, and the command line pointed at it.
#pragma once

#include <gmock/gmock.h>
#include <stdlib.h>

#include "tests/peer/cli/command_run.hpp"
#include "tests/peer/running_host.hpp"

namespace shmpool::cli {

class WithHost : public testing::Test {
protected:
    WithHost() { setenv("SHMPOOL_POOL", "test", 1); }

    RunningHost host_;  // 256 slots of 1 KiB, 16 slots of 64 KiB.
    Folder folder_;
};

}  // namespace shmpool::cli
