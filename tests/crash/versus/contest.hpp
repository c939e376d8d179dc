// SPDX-License-Identifier: Apache-2.0
/// One system against kill -9, again and again: a victim takes slots and gives them back in a tight
/// loop and is killed; a survivor does the same beside it. After each kill the system may do all
/// that it does about a death. Then the survivor must still get on, and takes every slot that can
/// be had: what is missing is lost.
///
/// Only this harness waits for time to pass. A survivor that has made no step for `patience` hangs;
/// then it is killed, and the memory is made anew.
#pragma once

#include <atomic>
#include <optional>
#include <vector>

#include "contestant.hpp"
#include "tests/protocol/child_process.hpp"

namespace shmpool::versus {

struct Result {
    std::uint32_t slots = 0;  ///< Those that could be had at the beginning.
    std::uint32_t kills = 0;
    std::uint32_t kills_with_loss = 0;
    std::int32_t slots_lost = 0;  ///< Less than none: something came twice.
    std::uint32_t survivors_hung = 0;
    std::uint32_t survivors_failed = 0;        ///< Ended by themselves: by an error or a crash.
    std::optional<std::uint32_t> overwritten;  ///< Of `slots_read` that a reader had.
    std::vector<double> notice_us;             ///< From the kill until the survivor knew.
    std::uint32_t unnoticed = 0;
};

class Contest {
public:
    /// In which a survivor must have made a step.
    static constexpr std::chrono::seconds patience{2};

    explicit Contest(Contestant& contestant);

    /// Kills the victim so long after it has begun.
    void kill_after(std::chrono::nanoseconds delay);

    /// Kills the victim before its n-th instruction of a `work`; false, and no kill, if that one is
    /// shorter.
    bool kill_at_instruction(std::uint32_t instruction);

    /// Kills a sender after a reader has all it sent; then a survivor takes whatever it gets.
    void kill_sender();

    [[nodiscard]] const Result& result() const { return result_; }

private:
    enum class Order : std::uint32_t { work, take_all };
    enum class Fate : std::uint8_t { well, hung, failed };

    /// What the processes tell each other. In memory of its own, whatever the system does to its.
    struct Stage {
        std::atomic<Order> order{Order::work};
        std::atomic<std::uint64_t> steps{0};
        std::atomic<std::uint32_t> taken{0};
        std::atomic<bool> sees_another{false};
        std::atomic<std::uint64_t> seen_gone_ns{0};
        std::atomic<bool> begun{false};  ///< By the victim or sender.
        std::atomic<bool> reader_ready{false};
        std::atomic<bool> reader_has_all{false};
        std::atomic<bool> ask_reader{false};
        std::atomic<std::uint32_t> changed{0};
        std::atomic<bool> reader_answered{false};
    };
    using Child = testing_protocol::ChildProcess;

    void start_survivor();
    void start_again();
    void survive() const;
    [[nodiscard]] Child start_victim(bool stepped);
    [[nodiscard]] bool await_beginning(const Child& child);
    void await_notice(std::uint64_t killed_ns);
    void judge(std::uint64_t killed_ns);
    [[nodiscard]] Fate fate_of_survivor() const;
    [[nodiscard]] std::optional<std::uint32_t> count_free() const;
    [[nodiscard]] std::optional<std::uint32_t> count_recovered() const;
    void note(Fate fate);
    void play_sender() const;
    void play_reader() const;

    Contestant& contestant_;
    testing_protocol::SharedWithChildren<Stage> stage_;
    std::optional<Child> survivor_;
    std::uint32_t free_ = 0;  ///< Before the kill.
    Result result_;
};

}  // namespace shmpool::versus
