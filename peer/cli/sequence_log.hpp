// SPDX-License-Identifier: Apache-2.0
/// The sequence numbers that a reader saw, publisher by publisher: what is missing between the
/// first and the last one. What a publisher sent before this reader came is not missing.
#pragma once

#include <cstdint>
#include <vector>

namespace shmpool::cli {

class SequenceLog {
public:
    struct Stream {
        std::uint32_t publisher = 0;
        std::uint64_t first_sequence = 0;
        std::uint64_t last_sequence = 0;
        std::uint64_t messages = 0;
        std::uint64_t gaps = 0;
        std::uint64_t missed = 0;  ///< Messages that the gaps stand for.
    };

    void note(std::uint32_t publisher, std::uint64_t sequence);

    /// In the order of their first messages. A number that begins again is another publisher.
    [[nodiscard]] const std::vector<Stream>& streams() const { return streams_; }
    [[nodiscard]] std::uint64_t gaps() const;
    [[nodiscard]] std::uint64_t missed() const;

private:
    std::vector<Stream> streams_;
};

}  // namespace shmpool::cli
