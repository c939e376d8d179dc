// SPDX-License-Identifier: Apache-2.0
#include "tests/host/waiting_descriptors.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace shmpool::test {
namespace {

constexpr int linger_seconds = 600;
constexpr int small_buffer_bytes = 4096;

int sound(int result, const char* what) {
    if (result < 0) throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
    return result;
}

template <typename T>
void set_option(const Descriptor& socket, int option, const T& value) {
    sound(::setsockopt(socket.get(), SOL_SOCKET, option, &value, sizeof(value)), "setsockopt");
}

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    address.sin_port = port;
    return address;
}

}  // namespace

LingeringSockets::LingeringSockets()
    : listener_(sound(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")) {
    set_option(listener_, SO_RCVBUF, small_buffer_bytes);  // Inherited by those it accepts.
    sockaddr_in address = loopback(0);
    socklen_t length = sizeof(address);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    sound(::bind(listener_.get(), generic, length), "bind");
    sound(::listen(listener_.get(), 16), "listen");
    sound(::getsockname(listener_.get(), generic, &length), "getsockname");
    port_ = address.sin_port;
}

std::vector<Descriptor> LingeringSockets::make(std::size_t count) {
    std::vector<Descriptor> all;
    for (std::size_t i = 0; i < count; ++i) all.push_back(make_one());
    return all;
}

Descriptor LingeringSockets::make_one() {
    Descriptor sender(sound(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    set_option(sender, SO_SNDBUF, small_buffer_bytes);
    set_option(sender, SO_LINGER, linger{1, linger_seconds});
    const sockaddr_in address = loopback(port_);
    sound(::connect(sender.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
          "connect");
    readers_.emplace_back(
        sound(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
    constexpr std::array<char, 4096> data{};
    while (::send(sender.get(), data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
    }
    return sender;
}

bool UnansweredFile::can_be_made() {
    return ::geteuid() == 0 && ::access("/dev/fuse", R_OK | W_OK) == 0;
}

UnansweredFile::UnansweredFile()
    : device_(sound(::open("/dev/fuse", O_RDWR | O_CLOEXEC), "open /dev/fuse")) {
    const std::string path = directory_.file("file");
    std::ofstream{path};  // A file to mount upon.
    const std::string options =
        "fd=" + std::to_string(device_.get()) + ",rootmode=100644,user_id=0,group_id=0,allow_other";
    sound(::mount("none", path.c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()), "mount");
    server_ = std::thread([this] { serve(); });
}

/// The end of the device ends every wait for an answer.
UnansweredFile::~UnansweredFile() {
    is_over_.store(true);
    server_.join();
    device_ = Descriptor();
    ::umount2(directory_.file("file").c_str(), MNT_DETACH);
}

Descriptor UnansweredFile::open() const {
    return Descriptor(sound(::open(directory_.file("file").c_str(), O_RDONLY | O_CLOEXEC), "open"));
}

void UnansweredFile::serve() {
    std::vector<std::byte> buffer(1 << 17);
    while (!is_over_.load()) {
        pollfd entry{device_.get(), POLLIN, 0};
        if (::poll(&entry, 1, 20) <= 0) continue;
        const ssize_t length = ::read(device_.get(), buffer.data(), buffer.size());
        if (length > 0) handle(std::span(buffer).first(static_cast<std::size_t>(length)));
    }
}

namespace {

template <typename Body>
void reply(const Descriptor& device, std::uint64_t number, const Body& body, std::size_t length) {
    fuse_out_header header{};
    header.len = static_cast<std::uint32_t>(sizeof(header) + length);
    header.unique = number;
    const std::array pieces{iovec{&header, sizeof(header)},
                            iovec{const_cast<Body*>(&body), length}};
    (void)!::writev(device.get(), pieces.data(), length == 0 ? 1 : 2);
}

}  // namespace

void UnansweredFile::handle(std::span<const std::byte> request) {
    fuse_in_header header{};
    std::memcpy(&header, request.data(), sizeof(header));
    switch (header.opcode) {
        case FUSE_INIT: {
            fuse_init_out body{};
            body.major = FUSE_KERNEL_VERSION;
            body.minor = FUSE_KERNEL_MINOR_VERSION;
            body.max_write = small_buffer_bytes;
            return reply(device_, header.unique, body, sizeof(body));
        }
        case FUSE_GETATTR: {
            fuse_attr_out body{};
            body.attr.ino = header.nodeid;
            body.attr.mode = S_IFREG | 0644;
            body.attr.nlink = 1;
            return reply(device_, header.unique, body, sizeof(body));
        }
        case FUSE_OPEN:
            return reply(device_, header.unique, fuse_open_out{}, sizeof(fuse_open_out));
        case FUSE_FLUSH:
            if (is_silent_.load()) {
                const std::lock_guard lock(mutex_);
                unanswered_.push_back(header.unique);
                return;
            }
            return reply(device_, header.unique, 0, 0);
        case FUSE_FORGET:
        case FUSE_BATCH_FORGET: return;  // Wants no answer.
        default: return reply(device_, header.unique, 0, 0);
    }
}

void UnansweredFile::answer_all() {
    is_silent_.store(false);
    const std::lock_guard lock(mutex_);
    for (const std::uint64_t number : unanswered_) reply(device_, number, 0, 0);
    unanswered_.clear();
}

std::size_t UnansweredFile::unanswered() {
    const std::lock_guard lock(mutex_);
    return unanswered_.size();
}

void send_with(const LocalConnection& connection, std::span<const std::byte> bytes,
               std::vector<Descriptor> descriptors) {
    iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};
    std::vector<int> numbers;
    for (const Descriptor& one : descriptors) numbers.push_back(one.get());
    std::vector<char> control(CMSG_SPACE(numbers.size() * sizeof(int)));
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(numbers.size() * sizeof(int));
    std::memcpy(CMSG_DATA(part), numbers.data(), numbers.size() * sizeof(int));
    const ssize_t sent =
        ::sendmsg(connection.socket().get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    sound(static_cast<int>(sent), "sendmsg");
}

}  // namespace shmpool::test
