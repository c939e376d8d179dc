// SPDX-License-Identifier: Apache-2.0
// Tries every file of the folder that is named; fails unless together they reach all that the
// subject's corpus is kept for. With --write-seeds FOLDER: writes the inputs to begin with there.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>

#include "fuzz.hpp"

namespace {

using shmpool::fuzz::Seed;

int try_folder(const std::filesystem::path& folder) {
    std::size_t tried = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        std::ifstream file(entry.path(), std::ios::binary);
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        std::cerr << entry.path().filename().string() << '\n';  // The last one is the culprit.
        shmpool::fuzz::try_input(std::as_bytes(std::span(text)));
        ++tried;
    }
    const auto missing = shmpool::fuzz::reach().missing();
    for (const std::string& place : missing) std::cerr << "not reached: " << place << '\n';
    if (!missing.empty()) {
        std::cerr << "--write-seeds " << folder.string()
                  << " writes the inputs to begin with; what is missing then, needs a seed more\n";
    }
    std::cout << tried << " inputs\n";
    return missing.empty() ? 0 : 1;
}

int write_seeds(const std::filesystem::path& folder) {
    for (const Seed& seed : shmpool::fuzz::seeds()) {
        std::ofstream file(folder / seed.name, std::ios::binary);
        file.write(reinterpret_cast<const char*>(seed.bytes.data()),
                   static_cast<std::streamsize>(seed.bytes.size()));
        if (!file.flush()) {
            std::cerr << "can not write " << (folder / seed.name) << '\n';
            return 1;
        }
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::span arguments(argv, static_cast<std::size_t>(argc));
    if (argc == 2) return try_folder(arguments[1]);
    if (argc == 3 && std::string_view(arguments[1]) == "--write-seeds") {
        return write_seeds(arguments[2]);
    }
    std::cerr << "usage: FOLDER, or --write-seeds FOLDER\n";
    return 2;
}
