// SPDX-License-Identifier: Apache-2.0
/// A folder of a test, for heaps on files; gone with its end.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <vector>

namespace shmpool::test {

class HeapFolder {
public:
    HeapFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "heap-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) std::abort();
        name_ = name;
    }
    ~HeapFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(name_, ignored);
    }
    HeapFolder(const HeapFolder&) = delete;
    HeapFolder& operator=(const HeapFolder&) = delete;

    [[nodiscard]] std::string path(const std::string& file) const { return name_ + "/" + file; }
    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> all;
        for (const auto& one : std::filesystem::directory_iterator(name_)) {
            all.push_back(one.path().filename().string());
        }
        return all;
    }

private:
    std::string name_;
};

}  // namespace shmpool::test
