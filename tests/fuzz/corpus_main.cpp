// SPDX-License-Identifier: Apache-2.0
// Tries every file of the folders that are named; at least one must be there.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "fuzz.hpp"

int main(int argc, char** argv) {
    std::size_t tried = 0;
    for (const char* folder : std::span(argv, static_cast<std::size_t>(argc)).subspan(1)) {
        for (const auto& entry : std::filesystem::directory_iterator(folder)) {
            std::ifstream file(entry.path(), std::ios::binary);
            const std::string text{std::istreambuf_iterator<char>(file), {}};
            std::cerr << entry.path().filename().string() << '\n';  // The last one is the culprit.
            shmpool::fuzz::try_input(std::as_bytes(std::span(text)));
            ++tried;
        }
    }
    std::cout << tried << " inputs\n";
    return tried != 0 ? 0 : 1;
}
