// SPDX-License-Identifier: Apache-2.0
/// What driver, rivals and victim of a sweep tell each other, in memory of its own; and the marks
/// in payloads by which everybody sees whether somebody else wrote there.
///
/// The rivals play by turns. Who lets them play sets the order and adds one to `turn`; each rival
/// plays its part of it, beside the others, and then says so.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "protocol/layout/protocol_images.hpp"
#include "shmpool/layout/slot_ref.hpp"
#include "shmpool/platform/atomics.hpp"

namespace shmpool::sweep {

inline constexpr std::uint32_t rival_count = 3;

/// Sizes of the three classes. Only the middle one is large enough for magazines.
inline constexpr std::uint64_t small_bytes = 64;
inline constexpr std::uint64_t middle_bytes = 256;
inline constexpr std::uint64_t large_bytes = 1024;
inline constexpr std::uint32_t middle_class = 1;
inline constexpr std::uint32_t small_count = 24;
inline constexpr std::uint32_t middle_count = 128;
inline constexpr std::uint32_t large_count = 16;
/// The large class alone may grow.
inline constexpr std::uint32_t large_limit = 2 * large_count;
inline constexpr std::uint32_t depth = 4;  ///< Of every queue.

/// Of the pool that the sweep takes place in.
enum class Limits : std::uint8_t {
    none,
    /// No peer may have more than all there is, which has to be counted; and the large class grows
    /// by itself.
    some,
};

/// Channels to rivals: the first is the only reader, or all three are.
[[nodiscard]] std::string to_one(ChannelPolicy policy);
[[nodiscard]] std::string to_three(ChannelPolicy policy);
/// Channels from a rival to the victim: alone, or beside another reader.
[[nodiscard]] std::string to_victim(ChannelPolicy policy);
[[nodiscard]] std::string to_victim_too(ChannelPolicy policy);

enum class Order : std::uint32_t {
    work,   ///< Take, fill, give, publish, read; some slots and messages are kept for a while.
    rest,   ///< Read everything, keep nothing, cache nothing.
    count,  ///< At rest: the first lets a class that has grown shrink, takes every slot there is,
            ///< and gives all back.
    wait,   ///< The first sleeps until a message comes, the second until the victim makes room.
    wait_together,  ///< All three sleep until the same message comes.
};

inline constexpr std::uint32_t sleep_ms_at_first = 200;

struct Board {
    Atomic<std::uint32_t> turn{0};
    std::array<Atomic<std::uint32_t>, rival_count> played{};  ///< The last turn of each.
    std::atomic<Order> order{Order::work};
    std::atomic<Limits> limits{Limits::none};
    std::atomic<bool> readers_take{true};
    /// How long a turn may take.
    std::atomic<std::uint32_t> patience_s{20};
    std::atomic<bool> may_wait{false};  ///< Ends the waiting for a message.
    /// How long an operation sleeps that sleeps until its time is up: one that is stepped has to
    /// come to its sleep before. A rival that waits looks up twenty times as often.
    std::atomic<std::uint32_t> sleep_ms{sleep_ms_at_first};
    /// For the next try, on a machine that turns out to be too slow.
    void let_sleep_longer() { sleep_ms = std::min(4 * sleep_ms, 10'000U); }
    std::array<std::atomic<std::int32_t>, rival_count> waiting{};  ///< Process of who waits, or 0.
    /// After a death: nobody may have to wait long for anything, and all but the rivals are gone.
    std::atomic<bool> nothing_may_block{false};

    /// A raw slot of the first rival, in the middle class, that the victim may free too; 0: none.
    std::atomic<SlotKey> gift{0};

    std::atomic<std::uint64_t> victims{0};        ///< So far.
    std::atomic<std::int32_t> stepped_thread{0};  ///< Of the victim; 0: not yet.
    std::atomic<bool> over{false};                ///< The operation has been done.
    std::atomic<std::int32_t> went_as_named{-1};  ///< What the victim says about it: -1 nothing.

    std::atomic<std::uint32_t> changed{0};  ///< Payloads with the bytes of somebody else.
    std::atomic<std::uint32_t> missed{0};   ///< Messages that a reader under `block` did not get.
    std::atomic<std::uint32_t> blocked{0};  ///< Publishing that timed out although nobody is dead.
    std::atomic<std::uint32_t> heaps_left{0};    ///< In which somebody has something who is gone.
    std::atomic<std::uint32_t> heaps_broken{0};  ///< By their audit, or by what they say.
    /// Nothing is lost in them, but pieces are too small by now for what victims need.
    std::atomic<bool> heaps_worn{false};
    /// What outlives a victim if its operation has come to it: where it is in which heap.
    std::atomic<const char*> kept_in{nullptr};
    std::atomic<std::uint64_t> kept_first{0};
    std::atomic<std::uint64_t> kept_count{0};
    std::atomic<bool> has_own_ids{
        false};  ///< A victim made a heap of ids, for what stays for good.
    /// The heap that the victim uses, at its address in the victim.
    std::atomic<std::uint64_t> watched_at{0};
    std::atomic<std::uint64_t> watched_bytes{0};  ///< 0: none.
    std::atomic<std::uint32_t> stays_grown{0};    ///< A class that does not shrink at rest.
    std::atomic<std::uint32_t> counted{0};
    std::atomic<std::uint32_t> counted_twice{0};
    /// Why a victim that went on is not content.
    std::array<char, 200> complaint{};
    void complain(const std::string& text);
    [[nodiscard]] std::string complaint_text() const { return complaint.data(); }
    /// For the test of the sweep: who finds it set waits until it is not.
    std::atomic<bool> planted_lock{false};
};

/// Lets the rivals play one turn, behind the one that is under way, and waits for its end. False
/// when they do not come to it.
bool play_turn(Board& board, Order order);
/// The same without waiting; only when the last turn has ended.
void begin_turn(Board& board, Order order);
[[nodiscard]] bool turn_has_ended(const Board& board);

struct Mark {
    std::uint64_t writer = 0;
    std::uint64_t number = 0;
    friend bool operator==(const Mark&, const Mark&) = default;
};
/// Writers from here on are victims.
inline constexpr std::uint64_t first_victim = 1 << 16;
void write_mark(std::span<std::byte> payload, const Mark& mark);
/// None if the payload is not as its writer has left it.
[[nodiscard]] std::optional<Mark> read_mark(std::span<const std::byte> payload);

}  // namespace shmpool::sweep
