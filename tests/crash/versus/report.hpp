// SPDX-License-Identifier: Apache-2.0
/// The program around a contest: `--kills N --seed N`, random moments, and the result as one line
/// of JSON on standard output, which scripts/crash makes a row of its table of.
#pragma once

#include "contestant.hpp"

namespace shmpool::versus {

/// The exit code: 0 if the contest was held, whatever it showed.
int hold_contest(Contestant& contestant, int argc, char** argv);

}  // namespace shmpool::versus
