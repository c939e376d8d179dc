// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire/presence_mark.hpp"

#include <fcntl.h>

#include <filesystem>

#include "shmpool/layout/layout_fingerprint.hpp"

namespace shmpool {
namespace {

Descriptor open_directory_of(const std::string& socket_path) {
    const std::string directory = std::filesystem::path(socket_path).parent_path().string();
    return Descriptor(
        ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/// A lock that belongs to the open file, not to the process: a process may have several peers.
struct flock lock_on(const std::string& socket_path, short kind) {
    std::uint32_t place = fnv_basis;
    for (const char one : std::filesystem::path(socket_path).filename().string()) {
        place = fold(place, static_cast<unsigned char>(one));
    }
    struct flock lock {};
    lock.l_type = kind;
    lock.l_whence = SEEK_SET;
    lock.l_start = place;
    lock.l_len = 1;
    return lock;
}

}  // namespace

Descriptor mark_presence(const std::string& socket_path) {
    Descriptor directory = open_directory_of(socket_path);
    struct flock lock = lock_on(socket_path, F_RDLCK);
    if (directory && ::fcntl(directory.get(), F_OFD_SETLK, &lock) != 0) return {};
    return directory;
}

bool is_presence_marked(const Descriptor& directory, const std::string& socket_path) {
    struct flock lock = lock_on(socket_path, F_WRLCK);
    return ::fcntl(directory.get(), F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

}  // namespace shmpool
