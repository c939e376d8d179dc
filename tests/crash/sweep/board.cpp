// SPDX-License-Identifier: Apache-2.0
#include "board.hpp"

#include <sched.h>

#include <algorithm>
#include <cstring>

#include "shmpool/platform/futex.hpp"
#include "shmpool/platform/monotonic_clock.hpp"

namespace shmpool::sweep {
namespace {

std::string name_of(ChannelPolicy policy) {
    switch (policy) {
        case ChannelPolicy::drop_newest: return "drop_newest";
        case ChannelPolicy::drop_oldest: return "drop_oldest";
        default: return "block";
    }
}

std::uint64_t filling(const Mark& mark, std::size_t at) {
    return (mark.writer * 0x9E37'79B9'7F4A'7C15 + mark.number) * 0xBF58'476D'1CE4'E5B9 + at;
}

constexpr std::size_t word = sizeof(std::uint64_t);

}  // namespace

std::string to_one(ChannelPolicy policy) {
    return "one." + name_of(policy);
}
std::string to_three(ChannelPolicy policy) {
    return "three." + name_of(policy);
}
std::string to_victim(ChannelPolicy policy) {
    return "victim." + name_of(policy);
}
std::string to_victim_too(ChannelPolicy policy) {
    return "victim_too." + name_of(policy);
}

void Board::complain(const std::string& text) {
    complaint.fill(0);
    std::copy_n(text.begin(), std::min(text.size(), complaint.size() - 1), complaint.begin());
}

void begin_turn(Board& board, Order order) {
    board.order = order;
    ++board.turn;
    futex_wake(board.turn, static_cast<int>(rival_count));
}

bool turn_has_ended(const Board& board) {
    const std::uint32_t turn = board.turn;
    return std::ranges::all_of(board.played, [turn](const auto& last) { return last == turn; });
}

namespace {

bool await_end_of_turn(const Board& board) {
    const Deadline deadline = Deadline::after(std::chrono::seconds(board.patience_s.load()));
    while (!turn_has_ended(board)) {
        if (deadline.expired()) return false;
        ::sched_yield();
    }
    return true;
}

}  // namespace

bool play_turn(Board& board, Order order) {
    if (!await_end_of_turn(board)) return false;
    begin_turn(board, order);
    return await_end_of_turn(board);
}

void write_mark(std::span<std::byte> payload, const Mark& mark) {
    std::memcpy(payload.data(), &mark, sizeof(mark));
    for (std::size_t at = sizeof(mark); at + word <= payload.size(); at += word) {
        const std::uint64_t value = filling(mark, at);
        std::memcpy(payload.data() + at, &value, word);
    }
}

std::optional<Mark> read_mark(std::span<const std::byte> payload) {
    Mark mark;
    if (payload.size() < sizeof(mark)) return std::nullopt;
    std::memcpy(&mark, payload.data(), sizeof(mark));
    for (std::size_t at = sizeof(mark); at + word <= payload.size(); at += word) {
        std::uint64_t value = 0;
        std::memcpy(&value, payload.data() + at, word);
        if (value != filling(mark, at)) return std::nullopt;
    }
    return mark;
}

}  // namespace shmpool::sweep
