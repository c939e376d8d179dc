// SPDX-License-Identifier: Apache-2.0
/// LocalConnection, see local_socket.hpp. Every operation is tried without waiting first and waits
/// in ppoll only if the kernel says EAGAIN, so a deadline that has passed means "try once".
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "protocol/wire/local_socket.hpp"
#include "protocol/wire/socket_address.hpp"

namespace shmpool {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

/// The most that the kernel lets anybody send in one packet (SCM_MAX_FD). What has no room here it
/// closes in this thread, however long that takes, so all have: only what the process has no number
/// left for is still closed so.
constexpr std::size_t descriptors_room = 253;
constexpr std::size_t room_to_receive = CMSG_SPACE(descriptors_room * sizeof(int));
constexpr std::size_t room_to_send = CMSG_SPACE(wire::packet_descriptors_max * sizeof(int));

template <typename Visit>
void for_each_descriptor(msghdr& message, Visit&& visit) {
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
         part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t index = 0; index < count; ++index) {
            int number = -1;
            std::memcpy(&number, CMSG_DATA(part) + index * sizeof(int), sizeof(int));
            visit(number);
        }
    }
}

tl::unexpected<Error> connect_error(const std::string& path, int error_number) {
    switch (error_number) {
        case ENOENT:
        case ENOTDIR:
            return fail(Errc::no_host,
                        "no host at " + path +
                            ": there is no such socket; start shmpoold, or check the "
                            "pool's name and SHMPOOL_RUNTIME_DIR");
        case ECONNREFUSED:
            return fail(Errc::no_host, "no host at " + path +
                                           ": nobody listens there; its host has ended, start "
                                           "shmpoold again");
        case EACCES:
        case EPERM:
            return fail(Errc::no_permission,
                        "no permission to connect to " + path +
                            ": its owner must grant write permission to the socket and search "
                            "permission to its directory");
        case EPROTOTYPE:
            return fail(Errc::protocol_violation,
                        "the socket " + path + " belongs to another program, not to shmpoold");
        case EAGAIN:
            return fail(
                Errc::timed_out,
                "the host at " + path + " did not accept the connection in time; is it stopped?");
        default: return fail_errno(Errc::system, "connect to " + path, error_number);
    }
}

/// A connect that blocks ends at the send timeout of its socket: 0 is "never".
timeval connect_timeout(const Deadline& deadline) {
    const nanoseconds left = deadline.remaining();
    if (left > seconds(86400)) return {0, 0};
    const auto microseconds = std::max<std::int64_t>(left.count() / 1000, 1);
    return {microseconds / 1'000'000, microseconds % 1'000'000};
}

tl::unexpected<Error> io_error(const char* what, int error_number) {
    switch (error_number) {
        case EPIPE:
        case ECONNRESET:
        case ENOTCONN: return fail(Errc::host_gone, "the other side has closed the connection");
        case ETOOMANYREFS:
        case EMFILE:
        case ENFILE: return fail_errno(Errc::descriptor_limit, what, error_number);
        case ENOMEM:
        case ENOBUFS: return fail_errno(Errc::out_of_memory, what, error_number);
        default: return fail_errno(Errc::system, what, error_number);
    }
}

/// What the kernel says of a packet that it has delivered.
Result<void> check_delivery(int flags, std::size_t descriptor_count) {
    if (descriptor_count > wire::packet_descriptors_max) {
        return fail(Errc::protocol_violation, "a packet came with more than " +
                                                  std::to_string(wire::packet_descriptors_max) +
                                                  " descriptors");
    }
    if ((flags & MSG_CTRUNC) != 0) {
        return fail(Errc::descriptor_limit,
                    "the descriptors that came with a message do not fit this process; raise its "
                    "limit of open files (ulimit -n)");
    }
    if ((flags & MSG_TRUNC) != 0) {
        return fail(Errc::protocol_violation, "a packet is longer than the longest message of " +
                                                  std::to_string(wire::packet_bytes_max) +
                                                  " bytes");
    }
    return {};
}

}  // namespace

const std::size_t socket_path_length_max = sizeof(sockaddr_un::sun_path) - 1;

Result<void> check_socket_path(std::string_view path) {
    if (path.empty()) return fail(Errc::invalid_argument, "the path of the socket is empty");
    if (path.find('\0') != std::string_view::npos) {
        return fail(Errc::invalid_argument, "the path of the socket holds a NUL byte");
    }
    if (path.size() <= socket_path_length_max) return {};
    return fail(Errc::invalid_argument,
                "the socket path " + std::string(path) + " has " + std::to_string(path.size()) +
                    " bytes, the limit of the system is " + std::to_string(socket_path_length_max) +
                    "; choose a shorter directory (SHMPOOL_RUNTIME_DIR) or name");
}

void shut_down(const Descriptor& socket) noexcept {
    ::shutdown(socket.get(), SHUT_RDWR);
}

/// An empty packet is told from the end by the credentials that the kernel puts to each, for which
/// there is room; for descriptors there is none.
bool discard_unread(const Descriptor& socket) noexcept {
    const int on = 1;
    if (::setsockopt(socket.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) != 0) return false;
    for (;;) {
        alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(ucred))> control;
        msghdr message{};
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        if (::recvmsg(socket.get(), &message, MSG_DONTWAIT | MSG_PEEK) < 0) return false;
        if ((message.msg_flags & MSG_CTRUNC) != 0) return false;
        if (message.msg_controllen == 0) return true;
        if (::recv(socket.get(), nullptr, 0, MSG_DONTWAIT) < 0) return false;
    }
}

int connect_once(int socket, const std::string& path) {
    const sockaddr_un address = socket_address(path);
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    return ::connect(socket, generic, sizeof(address)) == 0 ? 0 : errno;
}

Result<Descriptor> new_socket(int extra_type) {
    const int number = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | extra_type, 0);
    if (number < 0) return io_error("make a socket", errno);
    return Descriptor(number);
}

Result<void> wait_ready(int descriptor, short events, const Deadline& deadline, const char* what) {
    do {
        const nanoseconds left =
            std::clamp<nanoseconds>(deadline.remaining(), nanoseconds(0), seconds(3600));
        const timespec timeout{left.count() / 1'000'000'000, left.count() % 1'000'000'000};
        pollfd entry{descriptor, events, 0};
        const int ready = ::ppoll(&entry, 1, &timeout, nullptr);
        if (ready > 0) return {};
        if (ready < 0 && errno != EINTR) return fail_errno(Errc::system, what, errno);
    } while (!deadline.expired());
    return fail(Errc::timed_out, std::string(what) + ": nothing happened before the deadline");
}

Result<LocalConnection> LocalConnection::connect(const std::string& path,
                                                 const Deadline& deadline) {
    if (const auto checked = check_socket_path(path); !checked) {
        return tl::unexpected(checked.error());
    }
    auto socket = new_socket(0);
    if (!socket) return tl::unexpected(socket.error());
    int error_number = 0;
    do {
        const timeval timeout = connect_timeout(deadline);
        if (::setsockopt(socket->get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) != 0) {
            return fail_errno(Errc::system, "set the timeout of a connection", errno);
        }
        error_number = connect_once(socket->get(), path);
    } while (error_number == EINTR && !deadline.expired());
    if (error_number == EINTR) error_number = EAGAIN;
    if (error_number != 0) return connect_error(path, error_number);
    return LocalConnection(*std::move(socket));
}

LocalConnection LocalConnection::adopt(Descriptor socket,
                                       std::shared_ptr<DescriptorCloser> closer) {
    return LocalConnection(std::move(socket), std::move(closer));
}

LocalConnection& LocalConnection::operator=(LocalConnection&& other) noexcept {
    if (this == &other) return *this;
    hang_up();
    socket_ = std::move(other.socket_);
    closer_ = std::move(other.closer_);
    return *this;
}

void LocalConnection::hang_up() noexcept {
    if (socket_ && closer_) closer_->close_socket(std::move(socket_));
}

Result<std::pair<LocalConnection, LocalConnection>> LocalConnection::pair() {
    std::array<int, 2> numbers{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, numbers.data()) != 0) {
        return io_error("make a pair of sockets", errno);
    }
    return std::pair(LocalConnection(Descriptor(numbers[0])),
                     LocalConnection(Descriptor(numbers[1])));
}

Result<void> LocalConnection::send(const wire::Packet& packet, std::span<const int> descriptors,
                                   const Deadline& deadline) {
    if (descriptors.size() > wire::packet_descriptors_max) {
        return fail(Errc::invalid_argument, "a packet carries at most " +
                                                std::to_string(wire::packet_descriptors_max) +
                                                " descriptors");
    }
    const std::span<const std::byte> bytes = packet.bytes();
    // sendmsg reads only; its interface is older than const.
    iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) std::array<std::byte, room_to_send> control{};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    if (!descriptors.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
        cmsghdr* part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(descriptors.size_bytes());
        std::memcpy(CMSG_DATA(part), descriptors.data(), descriptors.size_bytes());
    }
    while (::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno == EINTR) continue;
        if (errno != EAGAIN) return io_error("send a message", errno);
        const auto ready = wait_ready(socket_.get(), POLLOUT, deadline, "send a message");
        if (!ready) return ready;
    }
    return {};
}

Result<std::optional<LocalConnection::Received>> LocalConnection::try_receive() {
    return try_receive_with(0);
}

Result<std::optional<LocalConnection::Received>> LocalConnection::try_peek() {
    return try_receive_with(MSG_PEEK);
}

Result<std::optional<LocalConnection::Received>> LocalConnection::try_receive_with(int flags) {
    Received received{};
    iovec piece{received.packet.buffer.data(), received.packet.buffer.size()};
    alignas(cmsghdr) std::array<std::byte, room_to_receive> control;  // Written by the kernel.
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t length = 0;
    do {
        length = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | flags);
    } while (length < 0 && errno == EINTR);
    if (length < 0 && errno == EAGAIN) return std::nullopt;
    if (length < 0) return io_error("receive a message", errno);
    if (message.msg_controllen != 0) received.descriptors = take_descriptors(message);
    // An empty packet looks the same as the end, and nobody honest sends one.
    if (length == 0) return fail(Errc::host_gone, "the other side has closed the connection");
    const auto delivered = check_delivery(message.msg_flags, received.descriptors.size());
    if (!delivered) return tl::unexpected(delivered.error());
    received.packet.length_bytes = static_cast<std::size_t>(length);
    return std::optional<Received>(std::move(received));
}

/// Owns everything that came with a packet before anything can go wrong.
ReceivedDescriptors LocalConnection::take_descriptors(msghdr& message) const {
    ReceivedDescriptors all(user_of_socket_peer(socket_), closer_);
    for_each_descriptor(message, [&](int number) { all.add(Descriptor(number)); });
    return all;
}

/// Without room for any, the kernel takes none out and says that it has left some out.
bool LocalConnection::next_brings_descriptors() const noexcept {
    msghdr message{};
    return ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_PEEK) >= 0 &&
           (message.msg_flags & MSG_CTRUNC) != 0;
}

bool LocalConnection::has_been_hung_up() const noexcept {
    pollfd state{socket_.get(), 0, 0};  // What is asked for by nobody is told anyway.
    return ::poll(&state, 1, 0) == 1 && (state.revents & POLLHUP) != 0;
}

Result<LocalConnection::Received> LocalConnection::receive(const Deadline& deadline) {
    for (;;) {
        auto received = try_receive();
        if (!received) return tl::unexpected(received.error());
        if (received->has_value()) return **std::move(received);
        const auto ready = wait_ready(socket_.get(), POLLIN, deadline, "receive a message");
        if (!ready) return tl::unexpected(ready.error());
    }
}

Result<Credentials> LocalConnection::credentials() const {
    return credentials_of_socket_peer(socket_);
}

}  // namespace shmpool
