// SPDX-License-Identifier: Apache-2.0
/// How a victim lives on that was stopped but not killed.
#pragma once

#include <string>

#include "operation.hpp"

namespace shmpool::sweep {

/// Looks whether everything the victim has is as it left it, works on as any peer does, gives
/// everything back and leaves. What is not as it should be; empty if all is.
[[nodiscard]] std::string live_on(Victim& victim);

}  // namespace shmpool::sweep
