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
    std::atomic<std::uint64_t> threads{0};
    std::atomic<std::uint64_t> forks{0};
    std::atomic<std::uint64_t> programs{0};  ///< Actors that became another program.
    std::atomic<std::uint64_t> attachments{0};
    std::atomic<std::uint64_t> violations{0};
};

struct Notice {
    Totals totals;
    std::atomic<bool> ending{false};
    /// Of the writer that is never killed: its last message, once it has published it.
    std::atomic<std::uint64_t> last_number{0};
    std::atomic<bool> last_is_published{false};
    /// Grow as long as somebody gets on.
    std::array<std::atomic<std::uint64_t>, seats_max> steps{};

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
