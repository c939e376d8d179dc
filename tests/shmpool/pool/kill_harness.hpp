// SPDX-License-Identifier: Apache-2.0
/// Kills real processes at random instructions while another one works on the same slots, and says
/// what was lost, handed out twice, or overwritten. It knows its subject only as a `Depot`, so that
/// a depot that is known to lose slots can show that the harness notices.
///
///   Depot::Worker(depot, lane_index)     in a child; the lane has been claimed by the parent
///     optional<Piece> take(rng)          Piece: slot number over all classes, payload, its own
///     name void give(Piece) void finish()                      leaves the depot in good order
///   uint32_t claim()                     a lane for the next child
///   void reclaim(lane_index)             after the death of its child
///   string verdict()                     at the end, when nobody has anything: empty if all is
///   well
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <thread>

#include "tests/shmpool/platform/forked_child.hpp"
#include "tests/shmpool/pool/slot_claims.hpp"

namespace shmpool::test {

struct KillReport {
    std::uint32_t kills = 0;
    std::uint64_t rival_pieces = 0;  ///< How often the living one took a piece meanwhile.
    std::uint64_t doubled = 0;
    std::uint64_t overwritten = 0;
    std::string verdict;
};

struct KillBoard {
    SlotClaims claims;
    Atomic<std::uint32_t> begun{0};
    Atomic<std::uint32_t> rival_stops{0};
    Atomic<std::uint64_t> rival_pieces{0};
};

template <typename Depot>
class KillHarness {
public:
    using Worker = typename Depot::Worker;
    using Piece = typename Depot::Piece;

    KillHarness(Depot& depot, std::uint64_t seed) : depot_(depot), random_(seed) {}

    KillReport run(std::uint32_t kills) {
        constexpr std::uint32_t rival_name = 1;
        board_->claims.is_born(rival_name);
        const std::uint32_t rival_lane = depot_.claim();
        ForkedChild rival([&] { return live(rival_lane, rival_name, &board_->rival_stops); });
        KillReport report;
        for (std::uint32_t name = 2; name < kills + 2; ++name) {
            kill_one(name);
            ++report.kills;
        }
        board_->rival_stops.store(1);
        if (rival.wait() != 0) report.verdict = "the living rival has died\n";
        depot_.reclaim(rival_lane);
        report.rival_pieces = board_->rival_pieces.load();
        report.doubled = board_->claims.doubled();
        report.overwritten = board_->claims.overwritten();
        report.verdict += depot_.verdict();
        return report;
    }

private:
    void kill_one(std::uint32_t name) {
        board_->claims.is_born(name);
        board_->begun.store(0);
        const std::uint32_t lane = depot_.claim();
        ForkedChild victim([&] { return live(lane, name, nullptr); });
        const std::uint64_t rounds = 1 + random_() % 5;
        while (board_->begun.load() < rounds) std::this_thread::yield();
        const auto end =
            std::chrono::steady_clock::now() + std::chrono::nanoseconds(random_() % 100'000);
        while (std::chrono::steady_clock::now() < end) {
        }
        victim.kill();
        victim.wait();
        board_->claims.has_died(name);
        depot_.reclaim(lane);
    }

    /// Takes and gives until it is killed, or until `stop`. Long and short bursts by turns, so that
    /// magazines run empty and full, and whole chains move.
    int live(std::uint32_t lane, std::uint32_t name, const Atomic<std::uint32_t>* stop) {
        Worker worker(depot_, lane);
        std::mt19937_64 random(name);
        std::deque<Piece> held;
        while (stop == nullptr || stop->load(std::memory_order_relaxed) == 0) {
            const std::size_t wanted = random() % (random() % 4 == 0 ? 60 : 6);
            while (held.size() < wanted) {
                auto piece = worker.take(random);
                if (!piece) break;
                board_->claims.take(piece->number, name);
                write(*piece, name);
                held.push_back(*piece);
                if (stop != nullptr) board_->rival_pieces.fetch_add(1, std::memory_order_relaxed);
            }
            while (held.size() > wanted / 2) {
                const bool oldest = random() % 2 == 0;
                give(worker, oldest ? held.front() : held.back(), name);
                oldest ? held.pop_front() : held.pop_back();
            }
            if (stop == nullptr) board_->begun.fetch_add(1, std::memory_order_relaxed);
        }
        for (const Piece& piece : held) give(worker, piece, name);
        worker.finish();
        return 0;
    }

    void give(Worker& worker, const Piece& piece, std::uint32_t name) {
        for (std::size_t i = 0; i < piece.words; ++i) {
            if (piece.payload[i].load(std::memory_order_relaxed) != canary(piece, name)) {
                board_->claims.payload_was_overwritten();
                break;
            }
        }
        board_->claims.give(piece.number, name);
        worker.give(piece);
    }
    static void write(const Piece& piece, std::uint32_t name) {
        for (std::size_t i = 0; i < piece.words; ++i) {
            piece.payload[i].store(canary(piece, name), std::memory_order_relaxed);
        }
    }
    static std::uint64_t canary(const Piece& piece, std::uint32_t name) {
        return (std::uint64_t{name} << 32) | (piece.number * 2654435761U);
    }

    Depot& depot_;
    std::mt19937_64 random_;
    Shared<KillBoard> board_;
};

}  // namespace shmpool::test
