// SPDX-License-Identifier: Apache-2.0
/// A victim at a leash: a child that prepares an operation by itself, and then does it one
/// instruction after the other (ptrace), until it is killed. Only the thread that does the
/// operation is stepped; the others of the process run, as they would.
///
/// Who steps and who is stepped share a core: there a step is a switch of threads; across two it
/// is two wake-ups, which on a virtual machine take twenty times as long.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "arena.hpp"
#include "operation.hpp"
#include "tests/shmpool/platform/stay_on.hpp"

namespace shmpool::sweep {

/// What a victim does when it is not killed in its operation.
enum class Afterwards : std::uint8_t { nothing, live_on };

/// The kernel's code for reading clocks, mapped at the same place in a forked victim. It stores
/// nothing into the segment.
class ClockCode {
public:
    ClockCode();
    [[nodiscard]] bool has(std::uint64_t address) const { return address - begin_ < bytes_; }

private:
    std::uint64_t begin_;
    std::uint64_t bytes_ = 0;  ///< 0: clocks are read by system calls here.
};

class SteppedVictim {
public:
    /// Returns when the operation is to begin.
    SteppedVictim(Arena& arena, const Operation& operation,
                  Afterwards afterwards = Afterwards::nothing);
    ~SteppedVictim();
    SteppedVictim(const SteppedVictim&) = delete;
    SteppedVictim& operator=(const SteppedVictim&) = delete;

    /// One instruction; but a look at a clock is one step, because it begins anew whenever the
    /// kernel's tick goes by: its length would differ from time to time. False when the operation
    /// is over.
    bool step();
    /// Of the next instruction.
    [[nodiscard]] std::uint64_t address() const;
    [[nodiscard]] bool is_at_system_call() const;

    /// After the operation is over: whether it went as its name says.
    [[nodiscard]] bool went_as_named();

    /// Takes it off the leash, stopped where it is, with all its threads.
    void stop();
    void go_on();
    [[nodiscard]] pid_t process() const { return process_; }
    /// How the process has ended, as wait says; none if it has not, or is at the leash.
    [[nodiscard]] std::optional<int> has_ended();

    /// kill -9 and the wait for its end.
    void kill();

private:
    void await_beginning();
    bool step_once();
    /// Waits until it stops there, or has ended.
    [[nodiscard]] bool is_at_leash(int& status);

    Board& board_;
    ClockCode clock_code_;
    std::optional<StayOn> leash_;
    pid_t process_ = -1;
    pid_t thread_ = -1;
    bool thread_has_ended_ = false;  ///< Or is off the leash.
    std::optional<int> end_;         ///< From then on the number may be another process's.
};

}  // namespace shmpool::sweep
