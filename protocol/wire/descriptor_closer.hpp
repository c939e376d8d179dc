// SPDX-License-Identifier: Apache-2.0
/// Where the descriptors of strangers end. Their close(2) may wait in the kernel for as long as who
/// made them likes: for the peer of a lingering TCP socket, for the server of a file system. So
/// whoever serves strangers has them closed elsewhere; who has no closer closes them in place.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "shmpool/platform/descriptor.hpp"

namespace shmpool {

/// Any thread. Never waits.
class DescriptorCloser {
public:
    virtual ~DescriptorCloser() = default;

    /// A descriptor that `user` has sent.
    virtual void close_received(uid_t user, Descriptor descriptor) noexcept = 0;

    /// A socket that is connected or listens, with all that nobody has read. The other end sees at
    /// once that it is over.
    virtual void close_socket(Descriptor socket) noexcept = 0;
};

/// What came with one packet, in its order.
class ReceivedDescriptors {
public:
    ReceivedDescriptors() = default;
    /// Sent by `user`; no closer: they are closed in place.
    ReceivedDescriptors(uid_t user, std::shared_ptr<DescriptorCloser> closer)
        : user_(user), closer_(std::move(closer)) {}
    ReceivedDescriptors(ReceivedDescriptors&&) noexcept = default;
    ReceivedDescriptors& operator=(ReceivedDescriptors&& other) noexcept {
        std::swap(user_, other.user_);
        closer_.swap(other.closer_);
        all_.swap(other.all_);
        return *this;
    }
    ~ReceivedDescriptors() {
        if (!closer_) return;
        for (Descriptor& one : all_) {
            if (one) closer_->close_received(user_, std::move(one));
        }
    }

    void add(Descriptor descriptor) { all_.push_back(std::move(descriptor)); }

    [[nodiscard]] std::size_t size() const { return all_.size(); }
    [[nodiscard]] Descriptor& operator[](std::size_t index) { return all_[index]; }
    [[nodiscard]] const Descriptor& operator[](std::size_t index) const { return all_[index]; }
    [[nodiscard]] std::span<const Descriptor> all() const { return all_; }

    /// For who knows what they are: from now on the caller closes them, in place.
    [[nodiscard]] std::vector<Descriptor> release() { return std::exchange(all_, {}); }

private:
    uid_t user_ = 0;
    std::shared_ptr<DescriptorCloser> closer_;
    std::vector<Descriptor> all_;
};

}  // namespace shmpool
