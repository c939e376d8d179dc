// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire/socket_watch.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <filesystem>

namespace shmpool {

SocketWatch SocketWatch::on(const std::string& socket_path) {
    const std::string directory = std::filesystem::path(socket_path).parent_path().string();
    SocketWatch watch;
    watch.events_ = Descriptor(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    // A socket is moved to its place when somebody listens: its birth beside it is of no interest.
    if (watch.events_ &&
        ::inotify_add_watch(watch.events_.get(), directory.c_str(), IN_MOVED_TO) < 0) {
        watch.events_ = Descriptor();
    }
    return watch;
}

void SocketWatch::clear() const noexcept {
    alignas(inotify_event) std::array<std::byte, 4096> events;
    while (::read(events_.get(), events.data(), events.size()) > 0) {
    }
}

}  // namespace shmpool
