// SPDX-License-Identifier: Apache-2.0
/// What a contestant is told on its command line:
///     HOW latency|throughput FRONT_CORE BACK_CORE AMOUNT
/// `how` is the contestant's own: which of its ways to carry messages. `amount` is round trips for
/// latency, milliseconds for throughput.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace shmpool::contest {

enum class Workload { latency, throughput };

struct Order {
    std::string how;
    Workload workload = Workload::latency;
    unsigned front_core = 0;
    unsigned back_core = 0;
    std::uint64_t amount = 0;

    [[nodiscard]] bool two_cores() const { return front_core != back_core; }

    static Order read(int count, char** words) {
        constexpr int words_wanted = 6;
        if (count != words_wanted) {
            throw std::runtime_error("HOW latency|throughput FRONT_CORE BACK_CORE AMOUNT");
        }
        const bool latency = std::string(words[2]) == "latency";
        return {.how = words[1],
                .workload = latency ? Workload::latency : Workload::throughput,
                .front_core = static_cast<unsigned>(std::atoi(words[3])),
                .back_core = static_cast<unsigned>(std::atoi(words[4])),
                .amount = std::strtoull(words[5], nullptr, 10)};
    }
};

}  // namespace shmpool::contest
