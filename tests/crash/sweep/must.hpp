// SPDX-License-Identifier: Apache-2.0
/// For what has to succeed before anything is swept: else an exception that says what did not.
#pragma once

#include <stdexcept>
#include <string>

#include "shmpool/platform/result.hpp"

namespace shmpool::sweep {

inline std::string text_of(const Error& error) {
    return error.message;
}
inline std::string text_of(Errc code) {
    return std::string(explain(code));
}

template <typename Value, typename Why>
Value must(tl::expected<Value, Why> outcome, const std::string& what) {
    if (!outcome) throw std::runtime_error(what + ": " + text_of(outcome.error()));
    if constexpr (!std::is_void_v<Value>) return std::move(*outcome);
}

inline void must(bool done, const std::string& what) {
    if (!done) throw std::runtime_error("failed: " + what);
}

}  // namespace shmpool::sweep
