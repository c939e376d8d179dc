// SPDX-License-Identifier: Apache-2.0
/// Other processes, by a descriptor that can not come to mean somebody else (pidfd): a pid is used
/// again, a pidfd never. Only what is said here counts as "dead" (the kernel says it, no timer).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "shmpool/platform/descriptor.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool {

struct Credentials {
    pid_t pid;
    uid_t uid;
    gid_t gid;
    std::vector<gid_t> groups = {};  ///< The others that the process is in.
};

[[nodiscard]] pid_t own_pid() noexcept;

/// In which pid namespace, and by which clock of boot time, this process counts pids and times of
/// start: two processes in which it is equal mean the same by them. 0 if it cannot be known. (The
/// number of a namespace is used again only when nobody is in it any more, nor in one below it.)
[[nodiscard]] std::uint64_t process_space();

/// When the process of that pid was started, in ticks since the machine was: with the pid it names
/// one process for ever. 0 if it cannot be seen from here.
[[nodiscard]] std::uint64_t process_started(pid_t pid);

/// Looks for a process that was seen earlier. None: it has ended, whoever has its pid now. With
/// `started` 0, whoever has its pid is taken for it. Errc::system, descriptor_limit: not known.
[[nodiscard]] Result<std::optional<Descriptor>> find_process(pid_t pid, std::uint64_t started);

/// Whether the process has the object mapped, by the kernel's list of its mappings. Errc::system:
/// not to be seen from here.
[[nodiscard]] Result<bool> maps_object(pid_t pid, const Descriptor& object);

/// The caller must know that `pid` still means the process he thinks of. Errc::system if there is
/// none, descriptor_limit.
[[nodiscard]] Result<Descriptor> open_pidfd(pid_t pid);

/// Who was at the other end of a connected unix socket when it connected, by the kernel's word.
[[nodiscard]] Result<Credentials> credentials_of_socket_peer(const Descriptor& socket);

/// Its user alone; this process's if it is no such socket.
[[nodiscard]] uid_t user_of_socket_peer(const Descriptor& socket) noexcept;

/// The pidfd of the process that connected: SO_PEERPIDFD, Linux 6.5; on older kernels a pidfd of
/// its pid, then a check that the connection still stands, so that the pid was not used again
/// before. Errc::host_gone if the other side has closed, system if it is not visible from here.
[[nodiscard]] Result<Descriptor> pidfd_of_socket_peer(const Descriptor& socket);

/// The way of older kernels alone, for tests.
[[nodiscard]] Result<Descriptor> pidfd_of_socket_peer_by_pid(const Descriptor& socket);

/// Whether the process has really ended: its memory is gone, whether or not it has been waited for.
/// False if in doubt.
[[nodiscard]] bool has_ended(const Descriptor& pidfd) noexcept;

/// Sends a signal. A process that has ended already is no error. Errc::no_permission names the pid
/// and the remedy.
[[nodiscard]] Result<void> kill_through(const Descriptor& pidfd, int signal);

}  // namespace shmpool
