// SPDX-License-Identifier: Apache-2.0
/// What the processes of a storm tell each other: in a file of its own, mapped by all, so that it
/// is there whatever happens to the pool, and for programs that an actor starts in its own place.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace shmpool::storm {

inline constexpr std::size_t seats_max = 32;
inline constexpr std::size_t complaints_max = 50;

/// Counted by all.
struct Totals {
    std::atomic<std::uint64_t> published{0};
    std::atomic<std::uint64_t> taken{0};
    std::atomic<std::uint64_t> bytes_taken{0};
    std::atomic<std::uint64_t> full{0};       ///< A queue was full, or no slot was free.
    std::atomic<std::uint64_t> raw_slots{0};  ///< Allocated without a channel.
    std::atomic<std::uint64_t> heap_calls{0};
    std::atomic<std::uint64_t> heaps_made{0};
    std::atomic<std::uint64_t> classes_grown{0};  ///< By request.
    std::atomic<std::uint64_t> classes_shrunk{0};
    std::atomic<std::uint64_t> threads{0};
    std::atomic<std::uint64_t> forks{0};
    std::atomic<std::uint64_t> programs{0};  ///< Actors that became another program.
    std::atomic<std::uint64_t> attachments{0};
    std::atomic<std::uint64_t> violations{0};
};

/// Which of a seat's things are there for good, by the word of its lives: so whoever comes later
/// sees what was lost. Written by one life at a time.
template <std::size_t count>
class Record {
public:
    [[nodiscard]] bool has(std::size_t number) const {
        return (words_[number / 64].load() >> (number % 64) & 1) != 0;
    }
    /// From now to `is` or `is_as_before`, nobody knows of this one.
    void changes(std::size_t number) { in_doubt_.store(number + 1); }
    void is(std::size_t number, bool there) {
        const std::uint64_t bit = std::uint64_t{1} << (number % 64);
        there ? words_[number / 64].fetch_or(bit) : words_[number / 64].fetch_and(~bit);
        in_doubt_.store(0);
    }
    void is_as_before() { in_doubt_.store(0); }
    [[nodiscard]] bool is_in_doubt(std::size_t number) const {
        return in_doubt_.load() == number + 1;
    }

    /// What is there, `is_there(number)`, against what was written down: how many differ. What a
    /// life was killed in is as it is found.
    template <typename IsThere>
    std::uint64_t settle(IsThere is_there) {
        std::uint64_t wrong = 0;
        for (std::size_t number = 0; number < count; ++number) {
            const bool there = is_there(number);
            if (is_in_doubt(number)) is(number, there);
            wrong += has(number) != there ? 1U : 0U;
        }
        return wrong;
    }

private:
    std::array<std::atomic<std::uint64_t>, (count + 63) / 64> words_{};
    std::atomic<std::uint64_t> in_doubt_{0};  ///< Its number and one.
};

inline constexpr std::size_t entries_of_seat = 100;  ///< Of the ledger; see keeper.cpp.
inline constexpr std::size_t cells_of_seat = 16;     ///< Of the table.

struct SeatRecords {
    Record<entries_of_seat> entries;
    Record<cells_of_seat> cells;
    Record<1> own_heap;  ///< Of a founder; see founder.cpp.
};

struct Notice {
    Totals totals;
    std::atomic<bool> ending{false};
    /// Of the writer that is never killed: its last message, once it has published it.
    std::atomic<std::uint64_t> last_number{0};
    std::atomic<bool> last_is_published{false};
    /// Grow as long as somebody gets on.
    std::array<std::atomic<std::uint64_t>, seats_max> steps{};
    std::array<SeatRecords, seats_max> records{};

    struct Complaint {
        std::atomic<bool> written{false};
        std::array<char, 240> text{};
    };
    std::array<Complaint, complaints_max> complaints;
};

class Board {
public:
    /// Creates the file, or opens it. Throws std::system_error.
    explicit Board(const std::string& path);
    ~Board();
    Board(const Board&) = delete;
    Board& operator=(const Board&) = delete;

    Notice* operator->() const { return notice_; }

    /// Counts a violation; keeps the first ones' words.
    void complain(std::string_view text) const;
    [[nodiscard]] std::vector<std::string> complaints() const;

private:
    Notice* notice_;
};

}  // namespace shmpool::storm
