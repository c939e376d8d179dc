// SPDX-License-Identifier: Apache-2.0
/// See sequence_log.hpp.
#include "peer/cli/sequence_log.hpp"

#include <algorithm>

namespace shmpool::cli {

void SequenceLog::note(std::uint32_t publisher, std::uint64_t sequence) {
    const auto newest =
        std::find_if(streams_.rbegin(), streams_.rend(),
                     [publisher](const Stream& stream) { return stream.publisher == publisher; });
    if (newest == streams_.rend() || sequence <= newest->last_sequence) {
        streams_.push_back({publisher, sequence, sequence, 1, 0, 0});
        return;
    }
    const std::uint64_t skipped = sequence - newest->last_sequence - 1;
    newest->gaps += skipped != 0 ? 1U : 0U;
    newest->missed += skipped;
    newest->last_sequence = sequence;
    ++newest->messages;
}

std::uint64_t SequenceLog::gaps() const {
    std::uint64_t sum = 0;
    for (const Stream& stream : streams_) sum += stream.gaps;
    return sum;
}

std::uint64_t SequenceLog::missed() const {
    std::uint64_t sum = 0;
    for (const Stream& stream : streams_) sum += stream.missed;
    return sum;
}

}  // namespace shmpool::cli
