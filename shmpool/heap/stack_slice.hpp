// SPDX-License-Identifier: Apache-2.0
/// The bytes of a handle (stack_handle.hpp) as one process sees them: read and written within their
/// bounds, at once or by a cursor. Nothing here takes a lock: what a block holds is between those
/// who know its handle.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "shmpool/heap/stack_handle.hpp"

namespace shmpool {

/// Equal and ordered as the handles are, wherever the memory lies.
class StackSlice {
public:
    /// `stack`: of its heap, which has no origin. invalid_argument: it reaches out of it.
    [[nodiscard]] static Outcome<StackSlice> of(std::span<std::byte> stack,
                                                const StackHandle& handle) {
        if (handle.offset > stack.size() || handle.len > stack.size() - handle.offset) {
            return fail(Errc::invalid_argument);
        }
        return StackSlice(stack.subspan(handle.offset, handle.len), handle);
    }

    [[nodiscard]] const StackHandle& handle() const { return handle_; }
    [[nodiscard]] std::uint64_t len() const { return handle_.len; }
    [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }

    friend bool operator==(const StackSlice& a, const StackSlice& b) {
        return a.handle_ == b.handle_;
    }
    friend auto operator<=>(const StackSlice& a, const StackSlice& b) {
        return a.handle_ <=> b.handle_;
    }

    /// invalid_argument, as StackHandle::subslice.
    [[nodiscard]] Outcome<StackSlice> subslice(std::uint64_t first, std::uint64_t last) const {
        return handle_.subslice(first, last).map([&](const StackHandle& part) {
            return StackSlice(bytes_.subspan(first, part.len), part);
        });
    }

    [[nodiscard]] std::vector<std::byte> read() const { return {bytes_.begin(), bytes_.end()}; }
    /// As much as both have: how much.
    std::uint64_t read_into(std::span<std::byte> target) const { return copy(target, bytes_); }
    std::uint64_t write(std::span<const std::byte> source) const { return copy(bytes_, source); }
    void zero() const { std::ranges::fill(bytes_, std::byte{0}); }

    /// All of it or nothing, from `first` on. invalid_argument: it reaches behind the end.
    Outcome<void> read_range_into(std::uint64_t first, std::span<std::byte> target) const {
        return part(first, target.size()).map([&](std::span<std::byte> source) {
            copy(target, source);
        });
    }
    [[nodiscard]] Outcome<std::vector<std::byte>> read_range(std::uint64_t first,
                                                             std::uint64_t last) const {
        return subslice(first, last).map([](const StackSlice& one) { return one.read(); });
    }
    Outcome<void> write_range(std::uint64_t first, std::span<const std::byte> source) const {
        return part(first, source.size()).map([&](std::span<std::byte> target) {
            copy(target, source);
        });
    }
    Outcome<void> zero_range(std::uint64_t first, std::uint64_t count) const {
        return part(first, count).map([](std::span<std::byte> target) {
            std::ranges::fill(target, std::byte{0});
        });
    }

private:
    StackSlice(std::span<std::byte> bytes, const StackHandle& handle)
        : bytes_(bytes), handle_(handle) {}

    static std::uint64_t copy(std::span<std::byte> target, std::span<const std::byte> source) {
        const std::size_t count = std::min(target.size(), source.size());
        if (count != 0) std::memmove(target.data(), source.data(), count);
        return count;
    }
    [[nodiscard]] Outcome<std::span<std::byte>> part(std::uint64_t first,
                                                     std::uint64_t count) const {
        if (first > len() || count > len() - first) return fail(Errc::invalid_argument);
        return bytes_.subspan(first, count);
    }

    std::span<std::byte> bytes_;
    StackHandle handle_;
};

enum class SeekFrom : std::uint8_t { start, current, end };

/// Where somebody is in a slice; it may be behind its end. Ordered by where that is in the stack,
/// then by the slice's length, whether it reads or writes.
class StackCursor {
public:
    [[nodiscard]] const StackSlice& slice() const { return slice_; }
    [[nodiscard]] std::uint64_t position() const { return position_; }

    /// Where it is then. invalid_argument: before the beginning, or at no number.
    Outcome<std::uint64_t> seek(SeekFrom from, std::int64_t distance) {
        const std::uint64_t base = from == SeekFrom::start     ? 0
                                   : from == SeekFrom::current ? position_
                                                               : slice_.len();
        const auto moved = base + static_cast<std::uint64_t>(distance);
        if (distance < 0 ? moved > base : moved < base) return fail(Errc::invalid_argument);
        return position_ = moved;
    }

    friend bool operator==(const StackCursor& a, const StackCursor& b) {
        return (a <=> b) == std::strong_ordering::equal;
    }
    friend std::strong_ordering operator<=>(const StackCursor& a, const StackCursor& b) {
        if (const auto order = a.absolute() <=> b.absolute(); order != 0) return order;
        return a.slice_.len() <=> b.slice_.len();
    }
    /// Wherever it is in it.
    friend bool operator==(const StackCursor& a, const StackSlice& b) { return a.slice_ == b; }

protected:
    StackCursor(const StackSlice& slice, std::uint64_t position)
        : slice_(slice), position_(position) {}

    /// What is left of the slice.
    [[nodiscard]] StackSlice rest() const {
        return *slice_.subslice(std::min(position_, slice_.len()), slice_.len());
    }
    std::uint64_t advance(std::uint64_t count) {
        position_ += count;
        return count;
    }

private:
    [[nodiscard]] std::uint64_t absolute() const { return slice_.handle().offset + position_; }

    StackSlice slice_;
    std::uint64_t position_;
};

class StackReader : public StackCursor {
public:
    explicit StackReader(const StackSlice& slice, std::uint64_t position = 0)
        : StackCursor(slice, position) {}

    /// How much there was; 0 at the end.
    std::uint64_t read(std::span<std::byte> target) { return advance(rest().read_into(target)); }
};

class StackWriter : public StackCursor {
public:
    explicit StackWriter(const StackSlice& slice, std::uint64_t position = 0)
        : StackCursor(slice, position) {}

    /// How much there was room for; 0 at the end, which stays where it is.
    std::uint64_t write(std::span<const std::byte> source) { return advance(rest().write(source)); }
};

}  // namespace shmpool
