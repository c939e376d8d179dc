// SPDX-License-Identifier: Apache-2.0
/// The version of Boost that a contestant was compiled with, as people write it.
#pragma once

#include <boost/version.hpp>
#include <string>

namespace shmpool::versus {

inline std::string boost_version() {
    return std::to_string(BOOST_VERSION / 100'000) + "." +
           std::to_string(BOOST_VERSION / 100 % 1'000);
}

}  // namespace shmpool::versus
