// SPDX-License-Identifier: Apache-2.0
/// The bare ring: the least that a 64-byte message between two processes can cost. One writer, one
/// reader, messages are copied in and out; nobody's death is thought of. An entry says by its stamp
/// that it is there, so the reader polls the entry and nothing else.
///
/// Two forms: the stamp beside the message, which then fills two cache lines, so that all 64 bytes
/// are the user's; or the stamp as the first word of the message, which then is one cache line, of
/// which 56 bytes are the user's.
///
/// Pairings:
///   [R-ring] -> [A-ring]      who sees the stamp sees the message.
///   [R-space] -> [A-space]    an entry is written again only after it was read.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "message.hpp"
#include "shmpool/platform/atomics.hpp"

namespace shmpool::contest {

/// All 64 bytes, and a stamp beside them.
struct StampBeside {
    struct alignas(128) Entry {
        Atomic<std::uint64_t> stamp{0};
        Message message;
    };
    static void write(Entry& entry, std::uint64_t number) { entry.message.fill(number); }
    static std::uint64_t read(const Entry& entry) {
        const Message copy = entry.message;
        return number_of(copy);
    }
};

/// The stamp is the first of the message's eight words.
struct StampInside {
    struct alignas(64) Entry {
        Atomic<std::uint64_t> stamp{0};
        std::array<std::uint64_t, 7> words;
    };
    static void write(Entry& entry, std::uint64_t number) { entry.words.fill(number); }
    static std::uint64_t read(const Entry& entry) {
        Message copy{};
        copy.number = entry.words[0];
        std::copy(entry.words.begin(), entry.words.end() - 1, copy.filling.begin());
        copy.number_again = entry.words[6];
        return number_of(copy);
    }
};

template <typename Form>
struct BareRingImage {
    static constexpr std::uint64_t entry_count = 256;
    std::array<typename Form::Entry, entry_count> entries{};
    alignas(128) Atomic<std::uint64_t> head{0};  ///< What has been read, for the writer.

    typename Form::Entry& entry(std::uint64_t position) { return entries[position % entry_count]; }
};

template <typename Form>
class BareRingWriter {
public:
    explicit BareRingWriter(BareRingImage<Form>& image) : image_(image) {}

    void send(std::uint64_t number) {
        while (tail_ - known_head_ == image_.entry_count) {
            known_head_ = image_.head.load(std::memory_order_acquire);  // [A-space]
        }
        auto& entry = image_.entry(tail_);
        Form::write(entry, number);
        entry.stamp.store(++tail_, std::memory_order_release);  // [R-ring]
    }

private:
    BareRingImage<Form>& image_;
    std::uint64_t tail_ = 0;
    std::uint64_t known_head_ = 0;
};

template <typename Form>
class BareRingReader {
public:
    explicit BareRingReader(BareRingImage<Form>& image) : image_(image) {}

    std::uint64_t receive() {
        auto& entry = image_.entry(head_);
        while (entry.stamp.load(std::memory_order_acquire) != head_ + 1) {  // [A-ring]
        }
        const std::uint64_t number = Form::read(entry);
        image_.head.store(++head_, std::memory_order_release);  // [R-space]
        return number;
    }

private:
    BareRingImage<Form>& image_;
    std::uint64_t head_ = 0;
};

}  // namespace shmpool::contest
