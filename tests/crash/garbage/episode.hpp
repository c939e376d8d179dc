// SPDX-License-Identifier: Apache-2.0
/// One episode: a real host, honest peers in all roles, each a process of its own, and one vandal,
/// which writes its words into their pool. The supervisor kills an honest peer now and then, so
/// that the host has to take back what lies in damaged memory, and replaces whoever has ended.
///
/// The honest peers outlive the vandal: when the pool is made anew, they come back by themselves.
///
/// Findings: a process that ended by anything but a planned death, and an operation that took
/// longer than `patience`. Each names the seed, which repeats the writes, and the last words.
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "board.hpp"
#include "tests/peer/running_host.hpp"
#include "vandal.hpp"

namespace shmpool::garbage {

/// Far longer than the longest time limit of an operation (20 ms), also under the sanitizers.
inline constexpr std::chrono::seconds patience{15};

struct Finding {
    std::string what;
    std::uint64_t seed = 0;
    std::vector<std::string> last_words;  ///< The latest last.
};

/// Memory that the run's processes share with their supervisor alone.
class SharedBoard {
public:
    SharedBoard();
    ~SharedBoard();
    SharedBoard(const SharedBoard&) = delete;
    SharedBoard& operator=(const SharedBoard&) = delete;
    [[nodiscard]] Board& operator*() const { return *board_; }
    [[nodiscard]] Board* operator->() const { return board_; }

private:
    Board* board_;
};

class Episode {
public:
    Episode(RunningHost& host, Board& board, const VandalPlan& plan,
            std::chrono::seconds limit = patience);
    ~Episode();
    Episode(const Episode&) = delete;
    Episode& operator=(const Episode&) = delete;

    /// Until the vandal has written its words, or something was found.
    [[nodiscard]] std::optional<Finding> run();

    /// Runs a program that must end by itself, beside the honest peers; its exit code, or 1000 +
    /// the number of the signal that ended it.
    [[nodiscard]] tl::expected<int, Finding> run_beside(const std::vector<std::string>& command);

    /// Until every honest peer has attached once more than now. Nobody is killed meanwhile.
    [[nodiscard]] std::optional<Finding> wait_for_return();

private:
    struct Honest {
        pid_t pid = -1;
        bool killed = false;
    };

    void spawn(std::size_t role);
    void spawn_vandal();
    [[nodiscard]] std::optional<Finding> look();
    [[nodiscard]] std::optional<Finding> look_at_host();
    [[nodiscard]] std::optional<Finding> look_at(std::size_t role);
    [[nodiscard]] tl::expected<int, Finding> wait_for_end(pid_t pid, const std::string& what);
    void kill_somebody();
    [[nodiscard]] Finding finding(std::string what) const;

    RunningHost& host_;
    Board& board_;
    const VandalPlan plan_;
    const std::chrono::seconds limit_;
    std::mt19937_64 random_;
    std::array<Honest, role_count> honest_{};
    pid_t vandal_ = -1;
    std::chrono::steady_clock::time_point next_kill_{};
    bool kills_ = true;
};

}  // namespace shmpool::garbage
