// SPDX-License-Identifier: Apache-2.0
/// What every message of the control socket is made of: the header with the number of its type, and
/// text and sets of a fixed size. The bodies: messages.hpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

namespace shmpool::wire {

inline constexpr std::uint32_t wire_magic = 0x4C50'4853;  // "SHPL" in memory order.
inline constexpr std::uint16_t wire_version = 6;

/// Text in a fixed number of bytes: ends with NUL, and all that follows is NUL too, so that equal
/// texts are equal bytes.
template <std::size_t Bytes>
struct Text {
    char chars[Bytes];

    /// None if `text` does not fit with its NUL, or holds a NUL itself.
    [[nodiscard]] static std::optional<Text> of(std::string_view text) {
        if (text.size() >= Bytes || text.find('\0') != std::string_view::npos) return std::nullopt;
        Text result{};
        std::copy(text.begin(), text.end(), result.chars);
        return result;
    }

    /// At most Bytes characters, whatever the bytes are.
    [[nodiscard]] std::string_view view() const {
        return {chars, static_cast<std::size_t>(std::find(chars, chars + Bytes, '\0') - chars)};
    }

    friend bool operator==(const Text&, const Text&) = default;
};

enum class MessageType : std::uint16_t {
    hello = 1,
    welcome = 2,
    refused = 3,
    open_publisher = 4,
    publisher_opened = 5,
    open_subscriber = 6,
    subscriber_opened = 7,
    close_publisher = 8,
    close_subscriber = 9,
    closed = 10,
    goodbye = 11,
    farewell = 12,
    kick = 13,
    kicked = 14,
    stopping = 15,
    rejoin = 16,
    rejoined = 17,
    rebuild = 18,
    rebuilt = 19,
    create_heap = 20,
    heap_created = 21,
    open_heap = 22,
    heap_opened = 23,
    close_heap = 24,
    destroy_heap = 25,
    heap_destroyed = 26,
    grow_heap = 27,
    heap_grown = 28,
    grow_class = 29,
    class_grown = 30,
    relieve_class = 31,
    shrink_class = 32,
    class_shrunk = 33,
};

//  Header: 16 bytes at offset 0 of every packet; the body follows.
//     offset  bytes  field         meaning
//          0      4  magic         wire_magic
//          4      2  wire_version
//          6      2  type          MessageType
//          8      4  body_bytes    exactly the size of that type's body
//         12      4  request_id    chosen by who asks, repeated in the answer; 0 = unasked
struct Header {
    std::uint32_t magic;
    std::uint16_t wire_version;
    std::uint16_t type;
    std::uint32_t body_bytes;
    std::uint32_t request_id;
};
static_assert(sizeof(Header) == 16 && std::has_unique_object_representations_v<Header>);

/// Which of `Count` numbers are meant: bit n of the words.
template <std::uint32_t Count>
struct IndexSet {
    static_assert(Count % 64 == 0);
    std::uint64_t words[Count / 64];

    void add(std::uint32_t index) {
        if (index < Count) words[index / 64] |= std::uint64_t{1} << (index % 64);
    }
    void remove(std::uint32_t index) {
        if (index < Count) words[index / 64] &= ~(std::uint64_t{1} << (index % 64));
    }
    [[nodiscard]] bool contains(std::uint32_t index) const {
        return index < Count && (words[index / 64] >> (index % 64) & 1) != 0;
    }

    friend bool operator==(const IndexSet&, const IndexSet&) = default;
};

}  // namespace shmpool::wire
