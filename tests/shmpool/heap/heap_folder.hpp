// SPDX-License-Identifier: Apache-2.0
/// A folder of a test, for heaps on files, that can say what is in it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/shmpool/platform/temporary_directory.hpp"

namespace shmpool::test {

class HeapFolder : public TemporaryDirectory {
public:
    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> all;
        for (const auto& one : std::filesystem::directory_iterator(path())) {
            all.push_back(one.path().filename().string());
        }
        return all;
    }
};

}  // namespace shmpool::test
