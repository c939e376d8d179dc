// SPDX-License-Identifier: Apache-2.0
#include "tests/host/descriptor_store.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <array>
#include <cstring>
#include <stdexcept>

namespace shmpool::test {

DescriptorStore::DescriptorStore(const std::string& path)
    : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const timeval limit{30, 0};  // Turns a hang into a failure.
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    if (::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
        throw std::runtime_error("bind " + path);
    }
}

DescriptorStore::Notice DescriptorStore::next() const {
    std::array<char, 1024> text{};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(4 * sizeof(int)) + 64> control{};
    iovec piece{text.data(), text.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t length = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    Notice notice;
    if (length <= 0) return notice;
    notice.text.assign(text.data(), static_cast<std::size_t>(length));
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
         part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        int number = -1;
        std::memcpy(&number, CMSG_DATA(part), sizeof(number));
        notice.descriptors.emplace_back(number);
    }
    return notice;
}

DescriptorStore::Notice DescriptorStore::next_about(const std::string& word) const {
    for (;;) {
        Notice notice = next();
        if (notice.text.empty() || notice.text.starts_with(word + "=")) return notice;
    }
}

}  // namespace shmpool::test
