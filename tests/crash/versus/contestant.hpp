// SPDX-License-Identifier: Apache-2.0
/// What a contest asks of a system under test: memory that several processes take slots from, and
/// whatever the system itself does about a dead one.
///
/// A `Contestant` lives in the process of the contest. Its `join` is called in children, one for
/// each `Role`; the `Worker` that it makes lives there until that process ends or is killed.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace shmpool::versus {

inline constexpr std::uint32_t slot_bytes = 1024;
/// What each system is told to have. One that keeps to itself a part of it has fewer.
inline constexpr std::uint32_t slots_wanted = 120;
/// So many are in a reader's hands when their sender is killed.
inline constexpr std::uint32_t slots_read = 100;

enum class Role : std::uint8_t { victim, survivor, sender, reader };

/// Whatever goes wrong in the system under test may leave these as an exception.
class Worker {
public:
    virtual ~Worker() = default;

    /// Takes one slot and gives it back.
    virtual void work() = 0;

    /// Takes every slot that can be had, fills each with `filler`, gives all back; how many
    /// different ones there were.
    virtual std::uint32_t take_all(std::byte filler) = 0;

    /// Of the survivor: whether it knows of a victim or sender that lives. Asked of systems that
    /// notice deaths.
    virtual bool sees_another() { return false; }

    /// Of the sender and the reader, where slots can be handed on: `count` slots filled with
    /// `filler` go from one to the other, who keeps them; how many of the kept ones are unlike
    /// `filler` by now.
    virtual void send(std::uint32_t /*count*/, std::byte /*filler*/) {}
    virtual void receive(std::uint32_t /*count*/) {}
    virtual std::uint32_t count_changed(std::byte /*filler*/) { return 0; }
};

struct Traits {
    std::string system;
    std::string version{};
    bool notices_deaths = false;  ///< By itself: somebody who lives is told.
    bool hands_on = false;        ///< Has slots that one process fills and another reads.
    /// How long it may take, after a death was noticed, until everything is back.
    std::chrono::milliseconds grace{0};
};

class Contestant {
public:
    virtual ~Contestant() = default;
    [[nodiscard]] virtual const Traits& traits() const = 0;

    /// Memory as new. No worker is left.
    virtual void renew() = 0;

    [[nodiscard]] virtual std::unique_ptr<Worker> join(Role role) = 0;

    /// After the death of `dead`, beside the living: the recovery that must be called by hand.
    virtual void recover(Role /*dead*/) {}
};

}  // namespace shmpool::versus
