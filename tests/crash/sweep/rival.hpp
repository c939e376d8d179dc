// SPDX-License-Identifier: Apache-2.0
/// One of the living: a process that takes and gives slots of all classes, publishes to all
/// channels beside the victim and reads what it publishes, by turns. It looks at every payload when
/// it gets it and again when it lets it go.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "board.hpp"
#include "heap_share.hpp"
#include "peer/peer.hpp"

namespace shmpool::sweep {

class Rival {
public:
    Rival(Board& board, const std::string& pool, std::uint32_t number);

    /// Until it is killed.
    [[noreturn]] void play();

private:
    /// A message in hand, as it was when it came.
    struct Kept {
        Sample sample;
        Mark mark;
        std::uint64_t until_round;
    };
    struct Reading {
        std::string channel;
        Subscriber subscriber;
        bool all_must_come;
        std::map<std::uint64_t, std::uint64_t> last{};  ///< Number, by writer.
        std::vector<Kept> kept{};
    };
    struct Writing {
        Publisher publisher;
        std::uint64_t writer;
        std::uint64_t sent = 0;
    };
    struct Raw {
        SlotRef ref;
        Mark mark;
        bool offered;
    };

    void write_to(const std::string& channel, ChannelPolicy policy);
    void read_from(const std::string& channel, ChannelPolicy policy);

    void work();
    void rest();
    void count();
    [[nodiscard]] Result<std::uint32_t> ask_patiently(
        const std::function<Result<std::uint32_t>()>& ask) const;
    void let_class_shrink();
    void let_class_grow();
    void wait();
    void wait_together();
    void sleep_until_message(Reading& reading);

    void give_cached();
    void take_raw();
    void give_raw(std::size_t keep);
    [[nodiscard]] bool is_as_left(const Raw& raw);
    bool send(Writing& writing, std::chrono::nanoseconds timeout);
    bool receive(Reading& reading);
    void let_go(Reading& reading, std::uint64_t round);
    static void expect_in_order(Board& board, Reading& reading, const Mark& mark);

    Board& board_;
    const std::uint32_t number_;
    Peer peer_;
    Subscriber silence_;  ///< Of a channel to which nobody publishes.
    std::vector<Writing> writings_;
    std::vector<Reading> readings_;
    std::vector<Raw> raw_;
    HeapShare heaps_;
    std::uint64_t rounds_ = 0;
    std::uint64_t raw_taken_ = 0;
};

}  // namespace shmpool::sweep
