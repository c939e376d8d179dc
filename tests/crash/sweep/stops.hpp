// SPDX-License-Identifier: Apache-2.0
/// Stops at every place of an operation, one fresh victim for each: at every instruction, or, of a
/// long one, before and after each of its stores into the segment and each system call.
///
/// A stop between two loads is a place of its own: what was read may be of yesterday when it is
/// used. (A death is not: nobody can tell it from one before the next store.)
///
/// Each place has three stories. All processes of the arena work beside the stopped one:
///   wait  the host holds it for suspect and waits; it goes on
///   host  the host is killed meanwhile, the next one takes over; it goes on
///   kill  the host kills it, because `suspect_policy` says so, and takes back what it held
/// Who goes on ends the operation, finds everything that it has as it left it, works on as a peer
/// and leaves in order (survivor.hpp). Behind each story everything is counted.
#pragma once

#include <chrono>

#include "row.hpp"

namespace shmpool::sweep {

enum class Story : std::uint8_t { wait, host, kill };

struct StopsRow : Row {
    std::uint32_t suspected = 0;  ///< Seen as suspect, of those that are to go on.
    std::uint32_t killed = 0;     ///< By the host.
    std::uint32_t went_on = 0;    ///< To an orderly end.
};

/// Of an arena for stops: its host holds who is stopped for suspect as soon as it may.
[[nodiscard]] ArenaOptions that_suspects_soon(const std::string& policy, Limits limits);

class Stops {
public:
    /// Under each of the two policies.
    Stops(Arena& waiting, Arena& killing) : waiting_(waiting), killing_(killing) {}

    /// `lasts`: at least so long, once it is suspect.
    [[nodiscard]] StopsRow run(const Operation& operation, const Extent& extent,
                               std::chrono::milliseconds lasts = {});

private:
    struct Stop {
        const Operation& operation;
        const Point& point;
        Story story;
        std::chrono::milliseconds lasts;
    };
    void play(const Stop& stop, Arena& arena, StopsRow& row, Finding& finding);
    static void outlast(SteppedVictim& victim, Arena& arena, const Stop& stop, StopsRow& row);
    static void let_end(SteppedVictim& victim, Arena& arena, const Stop& stop, StopsRow& row,
                        Account& account);

    Arena& waiting_;
    Arena& killing_;
    std::minstd_rand random_;
};

}  // namespace shmpool::sweep
