// SPDX-License-Identifier: Apache-2.0
/// The version of this program, from the project's CMakeLists.txt.
#pragma once

#ifndef SHMPOOL_VERSION
#error "SHMPOOL_VERSION comes from the build"
#endif

namespace shmpool::host {

inline constexpr const char* version_text = SHMPOOL_VERSION;

}  // namespace shmpool::host
