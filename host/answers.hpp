// SPDX-License-Identifier: Apache-2.0
/// How the requests of sessions are refused and answered.
#pragma once

#include <string>
#include <utility>

#include "host/request_desk.hpp"
#include "protocol/wire/codec.hpp"

namespace shmpool::host {

[[nodiscard]] inline tl::unexpected<wire::Refused> refuse(const Error& error,
                                                          std::uint64_t wanted = 0,
                                                          std::uint64_t offered = 0) {
    return tl::unexpected(wire::refusal_of(error, wanted, offered));
}

[[nodiscard]] inline tl::unexpected<wire::Refused> refuse(Errc code, std::string message,
                                                          std::uint64_t wanted = 0,
                                                          std::uint64_t offered = 0) {
    return refuse(Error{code, std::move(message)}, wanted, offered);
}

/// With no descriptors, and not the session's last.
[[nodiscard]] inline Answer plain(const wire::Body& body) {
    return Answer{body, {}, {}, false};
}

}  // namespace shmpool::host
