// SPDX-License-Identifier: Apache-2.0
/// See process.hpp. The three pidfd calls go through syscall(2): glibc 2.36 has wrappers for them,
/// older ones that we may be built against do not.
#include "shmpool/platform/process.hpp"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

namespace shmpool {
namespace {

constexpr int so_peerpidfd = 77;  // SO_PEERPIDFD; headers before Linux 6.5 lack it.
constexpr std::size_t groups_first_room = 64;

Errc code_of(int error_number) {
    const bool full = error_number == EMFILE || error_number == ENFILE;
    return full ? Errc::descriptor_limit : Errc::system;
}

bool has_event(int descriptor, short events, short wanted) noexcept {
    pollfd entry{descriptor, events, 0};
    int ready = 0;
    do {
        ready = ::poll(&entry, 1, 0);
    } while (ready < 0 && errno == EINTR);
    return ready > 0 && (entry.revents & wanted) != 0;
}

/// SO_PEERGROUPS, Linux 4.13: the kernel says how much room is missing.
Result<std::vector<gid_t>> groups_of_socket_peer(const Descriptor& socket) {
    std::vector<gid_t> groups(groups_first_room);
    for (;;) {
        auto length = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
        const int result =
            ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length);
        const std::size_t count = length / sizeof(gid_t);
        if (result == 0) {
            groups.resize(count);
            return groups;
        }
        if (errno != ERANGE || count <= groups.size()) {
            return fail_errno(Errc::system, "ask for the groups of who is at the other end", errno);
        }
        groups.resize(count);
    }
}

/// For messages only. "unknown" if /proc does not tell.
std::string pid_text(const Descriptor& pidfd) {
    std::ifstream file("/proc/self/fdinfo/" + std::to_string(pidfd.get()));
    for (std::string word; file >> word;) {
        if (word == "Pid:" && file >> word) return word;
    }
    return "unknown";
}

}  // namespace

pid_t own_pid() noexcept {
    return ::getpid();
}

std::uint64_t process_space() {
    struct stat pids {};
    if (::stat("/proc/self/ns/pid", &pids) != 0) return 0;
    std::uint32_t clock = 0;  // A kernel without time namespaces has no such file.
    std::ifstream file("/proc/self/timens_offsets");
    for (std::string line; std::getline(file, line);) {
        std::istringstream fields(line);
        std::string name;
        std::int64_t seconds = 0;
        fields >> name >> seconds;
        if (name == "boottime") clock = static_cast<std::uint32_t>(seconds);
    }
    return (std::uint64_t{pids.st_ino} << 32) | clock;
}

std::uint64_t process_started(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    std::getline(file, text);
    // The second field, the name in brackets, may hold anything; the 22nd is wanted.
    std::istringstream fields(text.substr(std::min(text.rfind(')'), text.size())));
    std::string skipped;
    for (int field = 2; field < 22; ++field) fields >> skipped;
    std::uint64_t ticks = 0;
    fields >> ticks;
    return ticks;
}

Result<std::optional<Descriptor>> find_process(pid_t pid, std::uint64_t started) {
    const long number = ::syscall(SYS_pidfd_open, pid, 0U);
    if (number < 0) {
        if (errno == ESRCH) return std::nullopt;
        return fail_errno(code_of(errno), "watch the process with pid " + std::to_string(pid),
                          errno);
    }
    Descriptor pidfd(static_cast<int>(number));
    // Behind the pidfd: what it means can not change while we look, unless it ends.
    const std::uint64_t now = process_started(pid);
    if (has_ended(pidfd) || (started != 0 && now != 0 && now != started)) return std::nullopt;
    return std::optional(std::move(pidfd));
}

Result<bool> maps_object(pid_t pid, const Descriptor& object) {
    struct stat status {};
    if (::fstat(object.get(), &status) != 0) {
        return fail_errno(Errc::system, "look at a memory object", errno);
    }
    std::ifstream file("/proc/" + std::to_string(pid) + "/maps");
    // address perms offset device inode: of memory without a file system, the inode alone tells.
    bool any = false;
    for (std::string line; std::getline(file, line); any = true) {
        std::istringstream fields(line);
        std::string skipped;
        std::uint64_t inode = 0;
        fields >> skipped >> skipped >> skipped >> skipped >> inode;
        const bool shared_memory = line.find("/memfd:") != std::string::npos;
        if (inode == status.st_ino && shared_memory) return true;
    }
    if (any) return false;
    return fail(Errc::system,
                "the mappings of the process with pid " + std::to_string(pid) + " can not be read");
}

Result<Descriptor> open_pidfd(pid_t pid) {
    const long number = ::syscall(SYS_pidfd_open, pid, 0U);
    if (number < 0) {
        return fail_errno(code_of(errno), "watch the process with pid " + std::to_string(pid),
                          errno);
    }
    return Descriptor(static_cast<int>(number));
}

Result<Credentials> credentials_of_socket_peer(const Descriptor& socket) {
    ucred credentials{};
    socklen_t length = sizeof(credentials);
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
        return fail_errno(Errc::system, "ask who is at the other end of a socket", errno);
    }
    auto groups = groups_of_socket_peer(socket);
    if (!groups) return tl::unexpected(groups.error());
    return Credentials{credentials.pid, credentials.uid, credentials.gid, std::move(*groups)};
}

uid_t user_of_socket_peer(const Descriptor& socket) noexcept {
    ucred credentials{};
    socklen_t length = sizeof(credentials);
    const int done = ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length);
    return done == 0 ? credentials.uid : ::geteuid();
}

Result<Descriptor> pidfd_of_socket_peer(const Descriptor& socket) {
    int number = -1;
    socklen_t length = sizeof(number);
    if (::getsockopt(socket.get(), SOL_SOCKET, so_peerpidfd, &number, &length) == 0) {
        return Descriptor(number);
    }
    if (errno != ENOPROTOOPT) {
        return fail_errno(code_of(errno), "watch the process at the other end of a socket", errno);
    }
    return pidfd_of_socket_peer_by_pid(socket);
}

Result<Descriptor> pidfd_of_socket_peer_by_pid(const Descriptor& socket) {
    const auto credentials = credentials_of_socket_peer(socket);
    if (!credentials) return tl::unexpected(credentials.error());
    if (credentials->pid <= 0) {
        return fail(Errc::system,
                    "the process at the other end of a socket is not visible from here; run both "
                    "in one pid namespace");
    }
    auto pidfd = open_pidfd(credentials->pid);
    if (!pidfd) return pidfd;
    if (has_event(socket.get(), POLLRDHUP, POLLHUP | POLLRDHUP | POLLERR | POLLNVAL)) {
        return fail(Errc::host_gone, "the other side, pid " + std::to_string(credentials->pid) +
                                         ", has closed the connection");
    }
    return pidfd;
}

bool has_ended(const Descriptor& pidfd) noexcept {
    return has_event(pidfd.get(), POLLIN, POLLIN);
}

Result<void> kill_through(const Descriptor& pidfd, int signal) {
    if (::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0U) == 0) return {};
    if (errno == ESRCH) return {};
    const int error_number = errno;
    const std::string what =
        "send signal " + std::to_string(signal) + " to the process with pid " + pid_text(pidfd);
    if (error_number == EPERM) {
        return fail(Errc::no_permission,
                    what + ": not allowed; run as the same user, or with CAP_KILL");
    }
    return fail_errno(Errc::system, what, error_number);
}

}  // namespace shmpool
