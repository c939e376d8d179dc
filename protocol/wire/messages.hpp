// SPDX-License-Identifier: Apache-2.0
/// Every message of the control socket between host and peers, declared here and nowhere else.
/// SOCK_SEQPACKET carries one message per packet; a body is copied byte by byte, so it is trivially
/// copyable, has no padding, and integers are in the byte order of the machine (both sides are on
/// it). What is not used must be zero. The socket is never on the data path: one round trip per
/// attachment, publisher or subscriber.
///
///   peer asks        host answers (or `Refused`)   descriptors
///   Hello            Welcome                       with the answer: control, payload, beacon;
///                                                  for an observer: control; of a read-only peer
///                                                  the payload can not be opened for writing
///   Rejoin           Rejoined                      with the request: control, payload, beacon
///   OpenPublisher    PublisherOpened
///   OpenSubscriber   SubscriberOpened
///   ClosePublisher   Closed
///   CloseSubscriber  Closed
///   CreateHeap       HeapCreated
///   OpenHeap         HeapOpened
///   CloseHeap        Closed
///   DestroyHeap      HeapDestroyed
///   GrowHeap         HeapGrown
///   GrowClass        ClassGrown
///   RelieveClass     ClassGrown
///   ShrinkClass      ClassShrunk
///   Kick             Kicked
///   Rebuild          Rebuilt
///   Goodbye          Farewell
///   -                Stopping                      (unasked, request_id 0)
///
/// What all messages are made of is in message_parts.hpp, those about heaps in heap_messages.hpp,
/// about size classes in class_messages.hpp.
/// Any change of a table raises `wire_version`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <variant>

#include "protocol/layout/protocol_images.hpp"
#include "protocol/wire/class_messages.hpp"
#include "protocol/wire/heap_messages.hpp"
#include "protocol/wire/message_parts.hpp"

namespace shmpool::wire {

inline constexpr std::size_t refusal_bytes = 256;  // With NUL.

/// "Nobody": the peer_index of an observer.
inline constexpr std::uint32_t no_peer = nothing;

/// Bits of Hello::flags.
inline constexpr std::uint32_t hello_observer = 1U << 0;   // Looks only: no lanes, no payload.
inline constexpr std::uint32_t hello_read_only = 1U << 1;  // Takes and reads: a payload to read.
inline constexpr std::uint32_t hello_flags_known = hello_observer | hello_read_only;

//  Hello: 144 bytes, peer to host. The first message of a connection, if not Rejoin.
//     offset  bytes  field               meaning
//          0      4  layout_version      what this peer was built with
//          4      4  layout_fingerprint
//          8      4  flags               hello_...
//         12      4  lanes_wanted        0 for an observer
//         16     64  pool_name
//         80     64  peer_name           for people; may be empty
struct Hello {
    static constexpr MessageType type = MessageType::hello;
    std::uint32_t layout_version;
    std::uint32_t layout_fingerprint;
    std::uint32_t flags;
    std::uint32_t lanes_wanted;
    Text<name_bytes> pool_name;
    Text<name_bytes> peer_name;
};
static_assert(sizeof(Hello) == 144, "the table above says 144");

//  Welcome: 40 bytes, host to peer, with [control, payload, beacon]; an observer gets [control].
//     offset  bytes  field               meaning
//          0      8  control_bytes       to be mapped: the maximum, not what is committed
//          8      8  payload_bytes
//         16      4  peer_index          no_peer for an observer
//         20      4  peer_incarnation    0 for an observer
//         24      4  host_pid
//         28      4  host_incarnation
//         32      8  relieved_classes    one bit per class: it is to grow when it is exhausted
struct Welcome {
    static constexpr MessageType type = MessageType::welcome;
    std::uint64_t control_bytes;
    std::uint64_t payload_bytes;
    std::uint32_t peer_index;
    std::uint32_t peer_incarnation;
    std::uint32_t host_pid;
    std::uint32_t host_incarnation;
    std::uint64_t relieved_classes;
};
static_assert(sizeof(Welcome) == 40);

//  Rejoin: 1136 bytes, peer to host, with [control, payload, beacon]. The first message of a
//  connection to the next host (or to the same, if the connection was lost): here is the segment,
//  and I am still in it. What the peer does not list was closed while nobody listened, or was
//  opened by a host that died before it could say so: the host closes it.
//     offset  bytes  field               meaning
//          0      4  layout_version      what this peer was built with
//          4      4  layout_fingerprint
//          8     64  pool_name
//         72      4  peer_index          as in Welcome
//         76      4  peer_incarnation
//         80    512  publishers          its open ones, by index
//        592    512  subscribers
//       1104     32  heaps
struct Rejoin {
    static constexpr MessageType type = MessageType::rejoin;
    std::uint32_t layout_version;
    std::uint32_t layout_fingerprint;
    Text<name_bytes> pool_name;
    std::uint32_t peer_index;
    std::uint32_t peer_incarnation;
    IndexSet<publisher_count_max> publishers;
    IndexSet<subscriber_count_max> subscribers;
    IndexSet<heap_count_max> heaps;
};
static_assert(sizeof(Rejoin) == 1136, "the table above says 1136");

//  Rejoined: 16 bytes, host to peer.
//     offset  bytes  field
//          0      4  host_pid
//          4      4  host_incarnation
//          8      8  relieved_classes  as in Welcome
struct Rejoined {
    static constexpr MessageType type = MessageType::rejoined;
    std::uint32_t host_pid;
    std::uint32_t host_incarnation;
    std::uint64_t relieved_classes;
};
static_assert(sizeof(Rejoined) == 16);

//  Refused: 280 bytes, host to peer, the answer to any request that was not granted.
//     offset  bytes  field      meaning
//          0      4  code       Errc
//          4      4  reserved   0
//          8      8  wanted     the two numbers that did not agree, or 0
//         16      8  offered
//         24    256  text       a sentence for people
struct Refused {
    static constexpr MessageType type = MessageType::refused;
    std::uint32_t code;
    std::uint32_t reserved;
    std::uint64_t wanted;
    std::uint64_t offered;
    Text<refusal_bytes> text;
};
static_assert(sizeof(Refused) == 280);

/// Types align to at most one page.
inline constexpr std::uint32_t type_alignment_max = 4096;

inline constexpr std::uint32_t open_publisher_flags_known = 0;

//  OpenPublisher: 216 bytes, peer to host.
//     offset  bytes  field            meaning
//          0     64  channel
//         64    128  type_name        empty: plain bytes
//        192      8  type_bytes       0: plain bytes
//        200      4  type_alignment   0, or a power of two up to type_alignment_max
//        204      4  policy           ChannelPolicy
//        208      4  flags            0
//        212      4  reserved         0
struct OpenPublisher {
    static constexpr MessageType type = MessageType::open_publisher;
    Text<name_bytes> channel;
    Text<type_name_bytes> type_name;
    std::uint64_t type_bytes;
    std::uint32_t type_alignment;
    std::uint32_t policy;
    std::uint32_t flags;
    std::uint32_t reserved;
};
static_assert(sizeof(OpenPublisher) == 216);

//  PublisherOpened: 8 bytes, host to peer.
//     offset  bytes  field             meaning
//          0      4  publisher_index
//          4      4  channel_index
struct PublisherOpened {
    static constexpr MessageType type = MessageType::publisher_opened;
    std::uint32_t publisher_index;
    std::uint32_t channel_index;
};
static_assert(sizeof(PublisherOpened) == 8);

/// Bits of OpenSubscriber::flags.
inline constexpr std::uint32_t open_subscriber_may_sleep = 1U << 0;
inline constexpr std::uint32_t open_subscriber_flags_known = open_subscriber_may_sleep;

//  OpenSubscriber: 216 bytes, peer to host.
//     offset  bytes  field            meaning
//          0     64  channel
//         64    128  type_name        empty: plain bytes
//        192      8  type_bytes       0: plain bytes
//        200      4  type_alignment   0, or a power of two up to type_alignment_max
//        204      4  policy           ChannelPolicy
//        208      4  depth            messages queued per publisher
//        212      4  flags            open_subscriber_...
struct OpenSubscriber {
    static constexpr MessageType type = MessageType::open_subscriber;
    Text<name_bytes> channel;
    Text<type_name_bytes> type_name;
    std::uint64_t type_bytes;
    std::uint32_t type_alignment;
    std::uint32_t policy;
    std::uint32_t depth;
    std::uint32_t flags;
};
static_assert(sizeof(OpenSubscriber) == 216);

//  SubscriberOpened: 12 bytes, host to peer.
//     offset  bytes  field              meaning
//          0      4  subscriber_index
//          4      4  channel_index
//          8      4  lease_bit          below subscribers_per_channel_max
struct SubscriberOpened {
    static constexpr MessageType type = MessageType::subscriber_opened;
    std::uint32_t subscriber_index;
    std::uint32_t channel_index;
    std::uint32_t lease_bit;
};
static_assert(sizeof(SubscriberOpened) == 12);

//  ClosePublisher, CloseSubscriber: 4 bytes, peer to host: the index that was given at opening.
struct ClosePublisher {
    static constexpr MessageType type = MessageType::close_publisher;
    std::uint32_t publisher_index;
};
struct CloseSubscriber {
    static constexpr MessageType type = MessageType::close_subscriber;
    std::uint32_t subscriber_index;
};
static_assert(sizeof(ClosePublisher) == 4 && sizeof(CloseSubscriber) == 4);

//  Closed, Goodbye, Farewell: no body.
struct Closed {
    static constexpr MessageType type = MessageType::closed;
};
struct Goodbye {
    static constexpr MessageType type = MessageType::goodbye;
};
struct Farewell {
    static constexpr MessageType type = MessageType::farewell;
};

//  Kick: 8 bytes, to the host: kill this peer. The incarnation protects whoever has the index next.
//     offset  bytes  field
//          0      4  peer_index
//          4      4  peer_incarnation
struct Kick {
    static constexpr MessageType type = MessageType::kick;
    std::uint32_t peer_index;
    std::uint32_t peer_incarnation;
};
static_assert(sizeof(Kick) == 8);

//  Kicked: 4 bytes, from the host: the process that was killed.
struct Kicked {
    static constexpr MessageType type = MessageType::kicked;
    std::uint32_t pid;
};
static_assert(sizeof(Kicked) == 4);

//  Rebuild: no body, to the host: make the pool anew, in another segment. All peers lose theirs.
struct Rebuild {
    static constexpr MessageType type = MessageType::rebuild;
};

//  Rebuilt: 4 bytes, from the host: how many peers must attach again.
struct Rebuilt {
    static constexpr MessageType type = MessageType::rebuilt;
    std::uint32_t peers_dismissed;
};
static_assert(sizeof(Rebuilt) == 4);

//  Stopping: 4 bytes, from the host to every peer, unasked: it stops after this many milliseconds.
struct Stopping {
    static constexpr MessageType type = MessageType::stopping;
    std::uint32_t grace_ms;
};
static_assert(sizeof(Stopping) == 4);

using Body =
    std::variant<Hello, Welcome, Refused, OpenPublisher, PublisherOpened, OpenSubscriber,
                 SubscriberOpened, ClosePublisher, CloseSubscriber, Closed, Goodbye, Farewell, Kick,
                 Kicked, Stopping, Rejoin, Rejoined, Rebuild, Rebuilt, CreateHeap, HeapCreated,
                 OpenHeap, HeapOpened, CloseHeap, DestroyHeap, HeapDestroyed, GrowHeap, HeapGrown,
                 GrowClass, ClassGrown, RelieveClass, ShrinkClass, ClassShrunk>;

struct Message {
    Body body;
    std::uint32_t request_id = 0;
};

template <typename T>
inline constexpr std::size_t body_bytes_of = std::is_empty_v<T> ? 0 : sizeof(T);

template <typename T>
inline constexpr bool is_body = std::is_trivially_copyable_v<T>&& std::is_standard_layout_v<T> &&
                                (std::is_empty_v<T> || std::has_unique_object_representations_v<T>);

template <typename... Bodies>
constexpr bool all_are_bodies(const std::variant<Bodies...>*) {
    return (is_body<Bodies> && ...);
}
static_assert(all_are_bodies(static_cast<const Body*>(nullptr)), "bodies have no hidden bytes");

}  // namespace shmpool::wire
