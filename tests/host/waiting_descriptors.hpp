// SPDX-License-Identifier: Apache-2.0
/// Descriptors whose close(2) waits in the kernel, as an enemy would make them: a TCP socket that
/// lingers, and a file whose file system does not answer. Fails a test by throwing.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "protocol/wire/local_socket.hpp"
#include "tests/shmpool/platform/temporary_directory.hpp"

namespace shmpool::test {

/// Sockets to a reader that does not read, each with data that can not be sent: the last close of
/// one waits ten minutes, longer than any test. The readers are this object's.
class LingeringSockets {
public:
    LingeringSockets();

    [[nodiscard]] std::vector<Descriptor> make(std::size_t count);

    /// A reader that goes away ends the waiting.
    void forget_readers() { readers_.clear(); }

private:
    [[nodiscard]] Descriptor make_one();

    Descriptor listener_;
    std::uint16_t port_ = 0;
    std::vector<Descriptor> readers_;
};

/// The one file of a file system (FUSE) of this process. Each close of a descriptor of it asks its
/// server, and no signal ends that wait. Needs root and /dev/fuse.
class UnansweredFile {
public:
    [[nodiscard]] static bool can_be_made();

    UnansweredFile();
    ~UnansweredFile();
    UnansweredFile(const UnansweredFile&) = delete;
    UnansweredFile& operator=(const UnansweredFile&) = delete;

    [[nodiscard]] Descriptor open() const;

    /// From now on nobody who closes it gets an answer.
    void be_silent() { is_silent_.store(true); }
    /// Who waits gets it now, and who closes it later at once.
    void answer_all();
    [[nodiscard]] std::size_t unanswered();

private:
    void serve();
    void handle(std::span<const std::byte> request);

    const TemporaryDirectory directory_;
    Descriptor device_;
    std::atomic<bool> is_silent_{false};
    std::atomic<bool> is_over_{false};
    std::mutex mutex_;
    std::vector<std::uint64_t> unanswered_;  ///< Requests, by number.
    std::thread server_;
};

/// Sends without waiting, and has none of the descriptors any more.
void send_with(const LocalConnection& connection, std::span<const std::byte> bytes,
               std::vector<Descriptor> descriptors);

}  // namespace shmpool::test
