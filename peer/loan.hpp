// SPDX-License-Identifier: Apache-2.0
/// A slot in a writer's hands, not yet visible to anybody. Move-only: it ends exactly once, by
/// publishing or by its destructor. A Peer that is destroyed before its loans stays attached, for
/// them, until the process ends.
///
/// A Loan is used by one thread at a time; it may be ended on another thread than it was begun.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "peer/peer_core.hpp"

namespace shmpool {

class Publisher;

class Loan {
public:
    Loan() noexcept {}  // Not defaulted: that would clear all of it once more before.
    Loan(Loan&& other) noexcept
        : core_(std::exchange(other.core_, nullptr)),
          slot_(other.slot_.class_index, other.slot_.key),  // As they were written: in parts.
          data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)),
          room_(std::exchange(other.room_, 0)),
          offset_(other.offset_),
          user_word_(other.user_word_) {}
    Loan& operator=(Loan&& other) noexcept {
        Loan ended(std::move(other));
        swap(ended);
        return *this;
    }
    ~Loan() {
        if (core_ != nullptr) end();
    }

    /// The payload: as many bytes as were asked for, or as `set_size` says. Content is not cleared.
    [[nodiscard]] std::span<std::byte> bytes() const { return {data_, size_}; }
    [[nodiscard]] std::byte* data() const { return data_; }
    [[nodiscard]] std::size_t size() const { return size_; }

    /// Makes the message shorter than the loan, or as long as the slot allows. too_large beyond
    /// that.
    Outcome<void> set_size(std::size_t bytes);

    /// A number that travels with the message; 0 unless set.
    void set_user_word(std::uint64_t word) { user_word_ = word; }

    /// False for a loan that was published or moved from.
    [[nodiscard]] explicit operator bool() const { return core_ != nullptr; }
    /// The name of the slot, for looking at it; `free` refuses it.
    [[nodiscard]] SlotRef slot() const;

private:
    friend class Publisher;
    /// Of one that is empty. In place: a copy on the way would take as long as the rest of `loan`.
    void begin(PeerCore& core, const VarSlotPool::Loaned& slot, const ClassView& view,
               std::uint32_t offset, std::size_t bytes) noexcept {
        core_ = &core;
        slot_.class_index = slot.class_index;  // In parts, as they have just been written.
        slot_.key = slot.key;
        data_ = view.data(position_of(slot.key)) + offset;
        size_ = bytes;
        room_ = view.slot_bytes - offset;
        offset_ = offset;
        user_word_ = 0;
    }
    void swap(Loan& other) noexcept;
    void end() noexcept;

    PeerCore* core_ = nullptr;
    VarSlotPool::Loaned slot_;
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t room_ = 0;
    std::uint32_t offset_ = 0;
    std::uint64_t user_word_ = 0;
};

}  // namespace shmpool
