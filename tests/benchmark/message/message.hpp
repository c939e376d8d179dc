// SPDX-License-Identifier: Apache-2.0
/// The message of the contest: 64 bytes, all of them written by the sender and looked at by the
/// receiver, who finds out by that when it gets half of one.
#pragma once

#include <array>
#include <cstdint>
#include <stdexcept>

namespace shmpool::contest {

struct Message {
    std::uint64_t number;
    std::array<std::uint64_t, 6> filling;
    std::uint64_t number_again;

    void fill(std::uint64_t with) {
        number = with;
        filling.fill(with);
        number_again = with;
    }
};
static_assert(sizeof(Message) == 64);

[[nodiscard]] inline std::uint64_t number_of(const Message& message) {
    std::uint64_t differing = message.number ^ message.number_again;
    for (const std::uint64_t word : message.filling) differing |= message.number ^ word;
    if (differing != 0) throw std::runtime_error("half a message");
    return message.number;
}

}  // namespace shmpool::contest
