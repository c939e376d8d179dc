// SPDX-License-Identifier: Apache-2.0
/// A victim at a leash: a child that prepares an operation by itself, and then does it one
/// instruction after the other (ptrace), until it is killed. Only the thread that does the
/// operation is stepped; the others of the process run, as they would.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "arena.hpp"
#include "operation.hpp"

namespace shmpool::sweep {

/// What a victim does when it is not killed in its operation.
enum class Afterwards : std::uint8_t { nothing, live_on };

class SteppedVictim {
public:
    /// Returns when the operation is to begin.
    SteppedVictim(Arena& arena, const Operation& operation,
                  Afterwards afterwards = Afterwards::nothing);
    ~SteppedVictim();
    SteppedVictim(const SteppedVictim&) = delete;
    SteppedVictim& operator=(const SteppedVictim&) = delete;

    /// One instruction. False when the operation is over.
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
    /// Waits until it stops there, or has ended.
    [[nodiscard]] bool is_at_leash(int& status);

    Board& board_;
    pid_t process_ = -1;
    pid_t thread_ = -1;
    bool thread_has_ended_ = false;  ///< Or is off the leash.
    std::optional<int> end_;         ///< From then on the number may be another process's.
};

}  // namespace shmpool::sweep
