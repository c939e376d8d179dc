// SPDX-License-Identifier: Apache-2.0
/// A received message: a slot of one's own (moved) or a lease on one. Move-only; ends with its
/// destructor or `release`. It may outlive its Subscriber. Nobody changes the payload while it
/// lives (I3).
///
/// A Sample is used by one thread at a time; it may be ended on another thread than it was taken.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "peer/peer_core.hpp"
#include "protocol/subscriber_core.hpp"

namespace shmpool {

class Sample {
public:
    Sample() noexcept {}  // Not defaulted: that would clear all of it once more before.
    Sample(Sample&& other) noexcept
        : core_(std::exchange(other.core_, nullptr)),
          taken_{other.taken_.class_index, other.taken_.key, other.taken_.lease},
          data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)),
          sequence_(other.sequence_),
          publish_time_ns_(other.publish_time_ns_),
          user_word_(other.user_word_),
          publisher_(other.publisher_) {}
    Sample& operator=(Sample&& other) noexcept {
        Sample ended(std::move(other));
        swap(ended);
        return *this;
    }
    ~Sample() { release(); }

    /// Gives the slot back before the destructor does.
    void release() {
        if (core_ != nullptr) end();
    }

    [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
    [[nodiscard]] const std::byte* data() const { return data_; }
    [[nodiscard]] std::size_t size() const { return size_; }

    /// Counts the messages of one publisher from 1, without gaps but for counted drops.
    [[nodiscard]] std::uint64_t sequence() const { return sequence_; }
    /// CLOCK_MONOTONIC at publishing, in nanoseconds; 0 if the publisher does not stamp times.
    [[nodiscard]] std::uint64_t publish_time_ns() const { return publish_time_ns_; }
    [[nodiscard]] std::uint64_t user_word() const { return user_word_; }
    /// Number of the publisher in the pool: tells the streams of one channel apart.
    [[nodiscard]] std::uint32_t publisher() const { return publisher_; }

    [[nodiscard]] explicit operator bool() const { return core_ != nullptr; }
    /// The name of the slot, for looking at it; `free` refuses it.
    [[nodiscard]] SlotRef slot() const;

private:
    friend class Subscriber;
    /// Of one that is empty. In place: a copy on the way would take as long as the rest of `take`.
    void begin(PeerCore& core, const Taken& taken, const ClassView& view,
               const SlotRecord& record) noexcept {
        core_ = &core;
        taken_ = taken;
        sequence_ = record.sequence.load(std::memory_order_relaxed);
        publish_time_ns_ = record.publish_time_ns.load(std::memory_order_relaxed);
        user_word_ = record.user_word.load(std::memory_order_relaxed);
        publisher_ = record.publisher_index.load(std::memory_order_relaxed);
        // Written by another process: used only within the slot.
        const std::uint64_t offset = std::min<std::uint64_t>(
            record.payload_offset.load(std::memory_order_relaxed), view.slot_bytes);
        data_ = view.data(position_of(taken.key)) + offset;
        size_ = std::min<std::uint64_t>(record.payload_bytes.load(std::memory_order_relaxed),
                                        view.slot_bytes - offset);
    }
    void swap(Sample& other) noexcept;
    void end();

    PeerCore* core_ = nullptr;
    Taken taken_;
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;
    std::uint64_t sequence_ = 0;
    std::uint64_t publish_time_ns_ = 0;
    std::uint64_t user_word_ = 0;
    std::uint32_t publisher_ = 0;
};

}  // namespace shmpool
