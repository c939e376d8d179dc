// SPDX-License-Identifier: Apache-2.0
/// One process of a storm: plays one seat until it is killed, or the storm ends. What it sees that
/// must not be, it writes on the board, and goes on.
#pragma once

#include <chrono>
#include <random>
#include <string>

#include "board.hpp"
#include "payload.hpp"
#include "peer/peer.hpp"
#include "seats.hpp"

namespace shmpool::storm {

inline constexpr const char* pool_name = "storm";

/// Added to a life's number when its process becomes another program.
inline constexpr std::uint64_t next_program = 1U << 24U;

struct Life {
    std::size_t seat = 0;
    std::uint64_t number = 0;  ///< Of those who have had the seat, below 2^32.
    std::uint64_t seed = 0;    ///< Of the storm.
    std::string folder;        ///< Of the board, and of the host's socket.
};

class Actor {
public:
    explicit Actor(const Life& life);

    /// Until the storm ends; the exit code.
    int play();

    // --- for the parts

    [[nodiscard]] const Seat& seat() const { return seats[life_.seat]; }
    [[nodiscard]] const Life& life() const { return life_; }
    [[nodiscard]] const Board& board() const { return board_; }
    /// Names this life, as a writer. Its bits from 32 to 47 are free for writers within it.
    [[nodiscard]] std::uint64_t name() const { return name_of_life(life_.seat, life_.number); }
    [[nodiscard]] static std::uint64_t name_of_life(std::size_t seat, std::uint64_t number) {
        return (static_cast<std::uint64_t>(seat + 1) << 48U) | number;
    }

    /// Says that it gets on; false when the storm ends.
    bool goes_on() const;
    /// A whole number below `end`.
    std::uint64_t below(std::uint64_t end) { return random_() % end; }
    bool once_in(std::uint64_t times) { return below(times) == 0; }
    /// From a few bytes to 64 KiB; small ones as often as large ones.
    std::size_t draw_bytes();

    /// None, or enough for others to make room.
    std::chrono::milliseconds draw_timeout() {
        return std::chrono::milliseconds(once_in(4) ? 0 : 50);
    }

    /// Attaches, if need be to a host that is not there yet.
    [[nodiscard]] std::optional<Peer> attach();
    /// On the seat's channel. Again, while all places are taken: they come free when readers have
    /// taken what those who left had published.
    [[nodiscard]] std::optional<Publisher> open_publisher(Peer& peer) const;
    [[nodiscard]] std::optional<Subscriber> open_subscriber(Peer& peer, std::uint32_t depth) const;
    void complain(const std::string& what) const;
    void complain(const std::string& what, Errc why) const;

private:
    /// What `open` gives; none at the storm's end, and after a complaint.
    template <typename Endpoint, typename Open>
    [[nodiscard]] std::optional<Endpoint> open_in_time(const char* what, Open&& open) const;

    Life life_;
    Board board_;
    std::mt19937_64 random_;
};

void play_writer(Actor& me);
void play_reader(Actor& me);
void play_churner(Actor& me);
void play_keeper(Actor& me);
void play_founder(Actor& me);

/// Fills, publishes. False: nobody has got it, and its number is still to be given.
bool publish_one(Actor& me, Publisher& publisher, const Message& message);

}  // namespace shmpool::storm
