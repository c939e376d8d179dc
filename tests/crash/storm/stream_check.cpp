// SPDX-License-Identifier: Apache-2.0
#include "stream_check.hpp"

namespace shmpool::storm {

std::optional<std::string> StreamCheck::next(const Message& message) {
    const auto [known, is_new] = last_of_.try_emplace(message.writer, message.number);
    const std::uint64_t before = is_new ? 0 : known->second;
    known->second = message.number;
    if (is_new && !rules_.from_the_first) return std::nullopt;
    if (message.number == before + 1) return std::nullopt;
    if (rules_.may_drop && message.number > before) {
        missing_ += message.number - before - 1;
        return std::nullopt;
    }
    return "message " + std::to_string(message.number) + " of writer " +
           std::to_string(message.writer) + " came after its message " + std::to_string(before);
}

std::uint64_t StreamCheck::last_of(std::uint64_t writer) const {
    const auto known = last_of_.find(writer);
    return known == last_of_.end() ? 0 : known->second;
}

}  // namespace shmpool::storm
