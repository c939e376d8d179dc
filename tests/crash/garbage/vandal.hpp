// SPDX-License-Identifier: Apache-2.0
/// The peer that writes garbage: attached like any other, it writes into every word it can reach.
/// Which words and which values follow from the seed alone; what they meet there does not.
///
///   scattered   any 8 bytes of control memory or payload
///   a field     of a random item, with a value that is random, extreme, near the old one, of
///               another item, or of the right shape with wrong parts (indices, generations,
///               states, owners, links, positions, intents)
///   a flood     one field of all items of an image
///   a hammer    one word again and again, while the others look at it
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "board.hpp"
#include "tests/host/plain_peer.hpp"
#include "word_map.hpp"

namespace shmpool::garbage {

struct VandalPlan {
    std::uint64_t seed = 1;
    std::uint64_t words = 10'000;
    bool hides_damage = false;  ///< Clears the mark again and again, so that all go on.
};

class Vandal {
public:
    Vandal(const std::string& socket, Board& board, const VandalPlan& plan);

    /// Writes what the plan says, with pauses in which the others work.
    void run();

private:
    void act();
    void scatter();
    void write_field();
    void flood_field();
    void hammer();
    void write_into_heap();
    void hide_damage();
    void remember_fixed();
    void write(const Place& place, std::byte* word, std::uint64_t value);
    [[nodiscard]] const Place& any_place();
    [[nodiscard]] std::byte* any_word(const Place& place, std::uint64_t item);
    [[nodiscard]] std::uint64_t value_for(const Place& place, std::byte* word);
    [[nodiscard]] std::uint64_t shaped(const Place& place);
    [[nodiscard]] std::uint64_t below(std::uint64_t bound);
    [[nodiscard]] std::uint64_t near(std::uint64_t count);

    test::PlainPeer peer_;
    WordMap map_;
    Place control_;  ///< All of the memory, without names.
    Place payload_;
    std::vector<std::pair<const Place*, std::vector<std::uint64_t>>> fixed_;
    Board& board_;
    const VandalPlan plan_;
    std::mt19937_64 random_;
    std::uint64_t written_ = 0;
};

}  // namespace shmpool::garbage
