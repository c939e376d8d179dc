// SPDX-License-Identifier: Apache-2.0
/// The control socket: SOCK_SEQPACKET in the local domain, so that packets keep their borders and
/// carry descriptors, and the kernel vouches for who is at the other end. No call here waits past
/// its deadline, raises SIGPIPE, or leaks a descriptor that somebody sent. What the packets mean is
/// codec.hpp's.
///
///   Who may run beside whom: an object belongs to one thread at a time, with one exception: on a
///   LocalConnection one thread may send while another receives.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/wire/descriptor_closer.hpp"
#include "protocol/wire/packet.hpp"
#include "protocol/wire/runtime_path.hpp"
#include "shmpool/platform/descriptor.hpp"
#include "shmpool/platform/monotonic_clock.hpp"
#include "shmpool/platform/process.hpp"
#include "shmpool/platform/result.hpp"

struct msghdr;

namespace shmpool {

/// A path must fit `sun_path` with its NUL: at most this many bytes.
extern const std::size_t socket_path_length_max;

/// Fails with `invalid_argument`; the sentence names path, length and limit.
[[nodiscard]] Result<void> check_socket_path(std::string_view path);

/// Of a socket that is connected or listens: the other side sees that it is over, and can send
/// nothing more.
void shut_down(const Descriptor& socket) noexcept;

/// Throws away what lies unread in a connected socket that was shut down. False: descriptors came
/// with some of it, which is left there, or it is no such socket.
[[nodiscard]] bool discard_unread(const Descriptor& socket) noexcept;

class LocalConnection {
public:
    struct Received {
        wire::Packet packet;
        ReceivedDescriptors descriptors;
    };

    /// Nobody listens: `no_host`, at once. The host does not accept in time: `timed_out`.
    /// The file system says no: `no_permission`.
    [[nodiscard]] static Result<LocalConnection> connect(const std::string& path,
                                                         const Deadline& deadline);

    /// Takes a connected SOCK_SEQPACKET socket. It and what comes through it end with `closer`, if
    /// there is one.
    [[nodiscard]] static LocalConnection adopt(Descriptor socket,
                                               std::shared_ptr<DescriptorCloser> closer = nullptr);

    LocalConnection(LocalConnection&& other) noexcept = default;
    LocalConnection& operator=(LocalConnection&& other) noexcept;
    ~LocalConnection() { hang_up(); }

    /// Two connected ends in this process.
    [[nodiscard]] static Result<std::pair<LocalConnection, LocalConnection>> pair();

    /// All or nothing. The descriptors stay the caller's; the other side gets its own copies.
    /// The other side has closed: `host_gone`. It does not read in time: `timed_out`.
    [[nodiscard]] Result<void> send(const wire::Packet& packet, std::span<const int> descriptors,
                                    const Deadline& deadline);

    /// One packet. Closed: `host_gone`. Nothing in time: `timed_out`. Longer than any message, or
    /// more descriptors than any message has: `protocol_violation`, and those that came are closed.
    /// No room for descriptors in this process: `descriptor_limit`; those without room the kernel
    /// closes here and now. After any error but `timed_out` the connection is of no more use.
    [[nodiscard]] Result<Received> receive(const Deadline& deadline);

    /// For event loops: none if nothing is there.
    [[nodiscard]] Result<std::optional<Received>> try_receive();
    /// The same, but the packet stays there for the next receive; so do its descriptors, of which
    /// the caller gets copies.
    [[nodiscard]] Result<std::optional<Received>> try_peek();
    /// Whether descriptors came with the packet that is received next: they stay where they are.
    [[nodiscard]] bool next_brings_descriptors() const noexcept;
    /// Whether the other side has gone, so that no answer reaches it; what it has sent before is
    /// still there to be received.
    [[nodiscard]] bool has_been_hung_up() const noexcept;

    /// Of the process that connected, or that listened, as the kernel noted it then.
    [[nodiscard]] Result<Credentials> credentials() const;

    /// For event loops and for pidfd_of_socket_peer; stays owned by this object.
    [[nodiscard]] const Descriptor& socket() const { return socket_; }

private:
    explicit LocalConnection(Descriptor socket, std::shared_ptr<DescriptorCloser> closer = nullptr)
        : socket_(std::move(socket)), closer_(std::move(closer)) {}

    [[nodiscard]] Result<std::optional<Received>> try_receive_with(int flags);
    [[nodiscard]] ReceivedDescriptors take_descriptors(msghdr& message) const;
    void hang_up() noexcept;

    Descriptor socket_;
    std::shared_ptr<DescriptorCloser> closer_;
};

struct ListenOptions {
    SocketDirectory directory = SocketDirectory::must_exist;
    std::uint32_t mode = 0600;   ///< Who may connect needs write permission.
    std::optional<uid_t> user;   ///< None: of this process.
    std::optional<gid_t> group;  ///< The same.
    int backlog = 16;            ///< So many at most, of a flood, are in front of an honest caller.
};

/// The host's end. At most one listener per path: a socket file is replaced only if nobody listens
/// on it, and the look and the replacement happen under a lock on the directory itself, so that of
/// two hosts that start at once exactly one wins and no lock file is left. Invariant: from the
/// first host's file until an orderly end there is a file at the path, stale or living.
class LocalListener {
public:
    /// A living host there: `name_taken` with its pid. Something there that is no socket, a path
    /// that is too long, a directory that is missing: `invalid_argument`.
    [[nodiscard]] static Result<LocalListener> bind(const std::string& path,
                                                    const ListenOptions& options);

    LocalListener(LocalListener&& other) noexcept = default;
    LocalListener& operator=(LocalListener&& other) noexcept;
    /// Removes the socket file, if it is still this listener's, is not to stay, and this is not a
    /// forked child.
    ~LocalListener();

    /// From now on connections, and in the end this listener with those that it has not accepted,
    /// are closed by `closer`.
    void close_through(std::shared_ptr<DescriptorCloser> closer) { closer_ = std::move(closer); }

    /// Nobody there in time: `timed_out`. No descriptor left: the caller outside is turned away
    /// (its connection closes, so that a loop over a readable listener does not spin for long), and
    /// `descriptor_limit` is returned.
    [[nodiscard]] Result<LocalConnection> accept(const Deadline& deadline);

    /// For event loops: readable while somebody waits outside.
    [[nodiscard]] const Descriptor& socket() const { return socket_; }
    [[nodiscard]] const std::string& path() const { return path_; }
    /// For looks at what is beside the file; stays owned by this object.
    [[nodiscard]] const Descriptor& directory() const { return directory_; }
    /// The file of a listener that had died lay there: whoever has gone in order removes his.
    [[nodiscard]] bool replaced_stale() const { return replaced_stale_; }
    /// Whether the file stays when this listener ends, so that the next one finds it stale. Until
    /// this is said it does if it has replaced a stale one: who fails must not hide who died.
    void keep_file_at_end(bool keep) noexcept { file_stays_ = keep; }

private:
    LocalListener(Descriptor socket, Descriptor directory, Descriptor reserve, std::string path);

    void stop_listening() noexcept;
    void remove_file() noexcept;
    void keep_reserve() noexcept;
    [[nodiscard]] tl::unexpected<Error> turn_one_away(int error_number);

    Descriptor socket_;
    Descriptor directory_;  ///< Locked while the file changes.
    Descriptor reserve_;    ///< Given up for a moment to turn somebody away.
    std::string path_;
    std::uint64_t device_ = 0;  ///< With inode_: which file is ours.
    std::uint64_t inode_ = 0;
    int process_id_ = 0;
    bool replaced_stale_ = false;
    bool file_stays_ = false;
    std::shared_ptr<DescriptorCloser> closer_;
};

}  // namespace shmpool
