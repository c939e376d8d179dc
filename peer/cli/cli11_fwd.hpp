// SPDX-License-Identifier: Apache-2.0
/// CLI11's classes for headers that only name them: its own header costs seconds to compile.
#pragma once

namespace CLI {
class App;
class Option;
}  // namespace CLI
