// SPDX-License-Identifier: Apache-2.0
/// What host and peers agree on in the segment, beside the pool: who is attached, which channels
/// there are, who publishes and subscribes, and the rings between them. The host writes every
/// table; a peer writes only the lines that are marked as its own. Items lie in arrays, one region
/// each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "shmpool/layout/heap_image.hpp"
#include "shmpool/layout/layout_fingerprint.hpp"
#include "shmpool/platform/atomics.hpp"

namespace shmpool {

inline constexpr std::uint32_t channel_count_max = 1024;
inline constexpr std::uint32_t publisher_count_max = 4096;
inline constexpr std::uint32_t subscriber_count_max = 4096;
inline constexpr std::uint32_t ring_count_max = 65536;
inline constexpr std::uint32_t ring_depth_max = 65536;
inline constexpr std::uint32_t publishers_per_channel_max = 1024;
inline constexpr std::uint32_t heap_count_max = 256;

/// Bits of a lease mask: one per subscriber of the channel, the highest for the publisher itself.
inline constexpr std::uint32_t subscribers_per_channel_max = 60;
inline constexpr std::uint64_t publisher_lease = std::uint64_t{1} << 63;
static_assert(subscribers_per_channel_max < 63, "reader bits and the publisher's bit are apart");

inline constexpr std::size_t name_bytes = 64;
inline constexpr std::size_t type_name_bytes = 128;
inline constexpr std::uint32_t nothing = 0xFFFF'FFFF;  ///< "No such index".

enum class PeerState : std::uint32_t {
    empty = 0,
    attached = 1,
    dying = 2,       ///< Announced by the beacon; not yet confirmed by the kernel.
    reclaiming = 3,  ///< Dead; the host is taking back what it held.
    lingering = 4,   ///< Taken back, but readers still have to drain its orphaned rings.
    suspect = 5,     ///< Silent although alive; policy decides.
};

enum class ChannelPolicy : std::uint32_t {
    as_channel = 0,  ///< Only in requests: take what the channel has (block for a new one).
    block = 1,
    drop_newest = 2,
    drop_oldest = 3,
};

enum class EndpointState : std::uint32_t { empty = 0, open = 1, left = 2, died = 3 };

//  PeerImage: 256 bytes per peer. Everything a next host must know to look after it.
//     offset  bytes  field             written by
//          0      4  state             host   PeerState
//          4      4  incarnation       host   grows with every peer that gets this index
//          8      4  pid               host
//         12      4  uid               host
//         16      8  attached_ns       host   CLOCK_MONOTONIC
//         24     64  name              host
//         88      8  process_started   host   with pid: which process; 0 unknown (process.hpp)
//         96      4  read_only         host   1: has the payload to read only
//        104      8  process_space     host   whose numbers pid and process_started are
//        128      4  left_incarnation  peer   = incarnation: has left in order, maybe unheard
//        136      8  drawn_slots       peer   ever taken out of free lists, by all of its lanes
//        144      8  drawn_bytes       peer   the same in bytes of whole slots
//        192      8  quota_slots       host   what the peer may hold; 0: no limit
//        200      8  quota_bytes       host   the same in bytes of whole slots
//        208      8  user_quota_slots  host   what all peers of its user may hold together
//        216      8  user_quota_bytes  host   the same in bytes of whole slots
struct PeerImage {
    Atomic<std::uint32_t> state;
    Atomic<std::uint32_t> incarnation;
    Atomic<std::uint32_t> pid;
    Atomic<std::uint32_t> uid;
    Atomic<std::uint64_t> attached_ns;
    char name[name_bytes];
    Atomic<std::uint64_t> process_started;
    Atomic<std::uint32_t> read_only;
    std::uint32_t reserved_0;
    Atomic<std::uint64_t> process_space;
    std::uint64_t reserved_1[2];
    alignas(cache_line_bytes) Atomic<std::uint32_t> left_incarnation;
    std::uint32_t reserved_2;
    Atomic<std::uint64_t> drawn_slots;
    Atomic<std::uint64_t> drawn_bytes;
    std::uint64_t reserved_3[5];
    alignas(cache_line_bytes) Atomic<std::uint64_t> quota_slots;
    Atomic<std::uint64_t> quota_bytes;
    Atomic<std::uint64_t> user_quota_slots;
    Atomic<std::uint64_t> user_quota_bytes;
    std::uint64_t reserved_4[4];
};
static_assert(offsetof(PeerImage, read_only) == 96);
static_assert(offsetof(PeerImage, left_incarnation) == 128);
static_assert(offsetof(PeerImage, drawn_slots) == 136 && offsetof(PeerImage, quota_slots) == 192);
static_assert(sizeof(PeerImage) == 256 && std::is_standard_layout_v<PeerImage>);

//  ChannelImage: 384 bytes per channel. Written by the host only.
//     offset  bytes  field
//          0      4  state                EndpointState (empty, open)
//          4      4  policy               ChannelPolicy, decided by whoever opens the channel first
//          8      8  type_bytes           0: plain bytes
//         16      4  type_alignment
//         20      4  publisher_count      open ones
//         24      4  subscriber_count     open ones
//         28      4  flags                1: no publish time in the header
//         32      8  retired_published    messages of publishers that are gone
//         40      8  lease_bits           taken bits of subscribers
//         48      8  draining_bits        of subscribers that are gone, while a slot may carry them
//         64     64  name
//        128    128  type_name
struct ChannelImage {
    Atomic<std::uint32_t> state;
    Atomic<std::uint32_t> policy;
    std::uint64_t type_bytes;
    std::uint32_t type_alignment;
    Atomic<std::uint32_t> publisher_count;
    Atomic<std::uint32_t> subscriber_count;
    std::uint32_t flags;
    Atomic<std::uint64_t> retired_published;
    Atomic<std::uint64_t> lease_bits;
    Atomic<std::uint64_t> draining_bits;
    std::uint64_t reserved_0;
    char name[name_bytes];
    char type_name[type_name_bytes];
    std::uint64_t reserved_1[16];
};
static_assert(sizeof(ChannelImage) == 384 && std::is_standard_layout_v<ChannelImage>);
static_assert(offsetof(ChannelImage, name) == 64);

//  PublisherImage: 512 bytes per publisher.
//     offset  bytes  field             written by   read by
//          0      4  state             host         all        EndpointState
//          4      4  peer_index        host         all
//          8      4  peer_incarnation  host         all
//         12      4  channel_index     host         all
//         16      4  epoch             host         publisher  changes with `rings`
//         64      8  intent_key        publisher    host       slot being published or dropped
//         72      8  intent_detail     publisher    host       readers' bits; or ring position
//         80      8  intent_kind       publisher    host       kind, class, ring; written last
//         88      8  published_total   publisher    all
//         96      8  activity          publisher    host       odd inside a verb
//        128      4  space_doorbell    subscribers  publisher  futex
//        132      4  wait_ticket       publisher    subscribers  odd: waits for room; grows
//        192    240  rings[60]         host         publisher  by lease bit; ring index + 1
struct PublisherImage {
    Atomic<std::uint32_t> state;
    Atomic<std::uint32_t> peer_index;
    Atomic<std::uint32_t> peer_incarnation;
    Atomic<std::uint32_t> channel_index;
    Atomic<std::uint32_t> epoch;
    alignas(cache_line_bytes) Atomic<std::uint64_t> intent_key;
    Atomic<std::uint64_t> intent_detail;
    Atomic<std::uint64_t> intent_kind;
    Atomic<std::uint64_t> published_total;
    Atomic<std::uint64_t> activity;
    alignas(cache_line_bytes) Atomic<std::uint32_t> space_doorbell;
    Atomic<std::uint32_t> wait_ticket;
    alignas(cache_line_bytes) Atomic<std::uint32_t> rings[subscribers_per_channel_max];
    alignas(cache_line_bytes) std::uint64_t reserved[8];
};
static_assert(sizeof(PublisherImage) == 512 && std::is_standard_layout_v<PublisherImage>);
static_assert(offsetof(PublisherImage, intent_key) == 64);
static_assert(offsetof(PublisherImage, space_doorbell) == 128);
static_assert(offsetof(PublisherImage, rings) == 192);

//  SubscriberImage: 192 bytes per subscriber, then `publishers_per_channel` ring numbers (4 bytes).
//     offset  bytes  field             written by   read by
//          0      4  state             host         all         EndpointState
//          4      4  peer_index        host         all
//          8      4  peer_incarnation  host         all
//         12      4  channel_index     host         all
//         16      4  lease_bit         host         all
//         20      4  depth             host         all
//         24      4  flags             host         publishers  1: may sleep
//         28      4  epoch             host         subscriber  changes with the ring numbers
//         32      4  connected_total   host         subscriber  publishers that ever connected
//         36      4  last_departure    host         subscriber  EndpointState left or died
//         40      8  retired_received  host         all
//         48      8  retired_dropped   host         all
//         64      4  doorbell          publishers   subscriber  futex
//         68      4  sleep_ticket      subscriber   publishers  odd: asleep; grows
//        128      8  activity          subscriber   host        odd inside a verb
struct SubscriberImage {
    Atomic<std::uint32_t> state;
    Atomic<std::uint32_t> peer_index;
    Atomic<std::uint32_t> peer_incarnation;
    Atomic<std::uint32_t> channel_index;
    Atomic<std::uint32_t> lease_bit;
    Atomic<std::uint32_t> depth;
    Atomic<std::uint32_t> flags;
    Atomic<std::uint32_t> epoch;
    Atomic<std::uint32_t> connected_total;
    Atomic<std::uint32_t> last_departure;
    Atomic<std::uint64_t> retired_received;
    Atomic<std::uint64_t> retired_dropped;
    alignas(cache_line_bytes) Atomic<std::uint32_t> doorbell;
    Atomic<std::uint32_t> sleep_ticket;
    alignas(cache_line_bytes) Atomic<std::uint64_t> activity;
};
static_assert(sizeof(SubscriberImage) == 192 && std::is_standard_layout_v<SubscriberImage>);
inline constexpr std::uint32_t subscriber_may_sleep = 1;

//  RingImage: 192 bytes per ring: one publisher to one subscriber.
//     offset  bytes  field             written by         read by
//          0      4  state             host               all         EndpointState
//          4      4  publisher_index   host               all
//          8      4  subscriber_index  host               all
//         12      4  channel_index     host               all
//         16      4  lease_bit         host               all
//         20      4  capacity          host               all         entries, power of 2
//         24      4  depth             host               all         entries in use
//         28      4  closed            reader or host     publisher
//         32      8  entries_offset    host               all         entry number
//         40      4  publisher_state   host               subscriber  open, left, died
//         44      4  incarnation       host               all         grows with each use
//         64      8  head              reader; writer(*)  all
//         72      8  drop_seen         subscriber         host        (*) drop_oldest
//        128      8  tail              publisher          all
//        136      8  dropped           publisher          all
//  (*) drop_oldest only: head = position << 1 | 1 if the publisher made the last step. Before the
//  subscriber overwrites such a head it stores the position into `drop_seen`: see ring.hpp.
struct RingImage {
    Atomic<std::uint32_t> state;
    Atomic<std::uint32_t> publisher_index;
    Atomic<std::uint32_t> subscriber_index;
    Atomic<std::uint32_t> channel_index;
    Atomic<std::uint32_t> lease_bit;
    Atomic<std::uint32_t> capacity;
    Atomic<std::uint32_t> depth;
    Atomic<std::uint32_t> closed;
    Atomic<std::uint64_t> entries_offset;
    Atomic<std::uint32_t> publisher_state;
    Atomic<std::uint32_t> incarnation;
    alignas(cache_line_bytes) Atomic<std::uint64_t> head;
    Atomic<std::uint64_t> drop_seen;
    alignas(cache_line_bytes) Atomic<std::uint64_t> tail;
    Atomic<std::uint64_t> dropped;
};
static_assert(sizeof(RingImage) == 192 && std::is_standard_layout_v<RingImage>);
static_assert(offsetof(RingImage, head) == 64 && offsetof(RingImage, tail) == 128);

//  RingEntry: 16 bytes. `stamp` is written last and says for which position the entry is valid, so
//  a reader looks at the entry and never at `tail`.
//     offset  bytes  field   written by                         read by
//          0      8  key     publisher                          subscriber, drainer   <- SlotKey
//          8      8  stamp   publisher; claimers by CAS         subscriber, drainer
//  stamp = position + 1 : 48 | kind : 8 | class : 8
struct RingEntry {
    Atomic<std::uint64_t> key;
    Atomic<std::uint64_t> stamp;
};
static_assert(sizeof(RingEntry) == 16 && std::is_standard_layout_v<RingEntry>);

enum class HeapState : std::uint32_t {
    empty = 0,
    creating = 1,  ///< A host that finds it so at its start takes it back.
    open = 2,
    destroying = 3,  ///< A host that finds it so at its start goes on with it.
};

/// What becomes of a block whose owner dies.
enum class OnDeath : std::uint32_t { keep = 0, reclaim = 1 };

[[nodiscard]] constexpr std::string_view name_of(OnDeath on_death) {
    return on_death == OnDeath::reclaim ? "reclaim" : "keep";
}

//  HeapImage: 256 bytes per heap. Written by the host only.
//     offset  bytes  field            meaning
//          0      4  state            HeapState
//          4      4  incarnation      no two heaps of a segment have the same one
//          8      4  kind             HeapKind
//         12      4  on_death         OnDeath
//         16      8  offset           in the memory of heaps
//         24      8  bytes            reserved there; it may grow to that
//         32      8  committed_bytes  of them, from the beginning
//         40      8  ticket           chosen by who asked for the heap, so that he may ask twice
//         48      4  created_by       user
//         56      8  created_ns       CLOCK_MONOTONIC
//         64     64  name
//        128    128  users[16]        bit n: peer n has it open
struct HeapImage {
    Atomic<std::uint32_t> state;
    Atomic<std::uint32_t> incarnation;
    Atomic<std::uint32_t> kind;
    Atomic<std::uint32_t> on_death;
    Atomic<std::uint64_t> offset;
    Atomic<std::uint64_t> bytes;
    Atomic<std::uint64_t> committed_bytes;
    Atomic<std::uint64_t> ticket;
    Atomic<std::uint32_t> created_by;
    std::uint32_t reserved;
    Atomic<std::uint64_t> created_ns;
    char name[name_bytes];
    Atomic<std::uint64_t> users[16];
};
static_assert(offsetof(HeapImage, name) == 64 && offsetof(HeapImage, users) == 128);
static_assert(sizeof(HeapImage) == 256 && std::is_standard_layout_v<HeapImage>);
static_assert(sizeof(HeapImage::users) * 8 >= peer_count_max, "one bit for each peer");

enum class EntryKind : std::uint8_t {
    none = 0,
    moved = 1,                 ///< The slot itself: one reader, no lease.
    leased = 2,                ///< The reader's lease bit is set.
    claimed_by_publisher = 3,  ///< Taken back out of a closed ring.
    claimed_by_drainer = 4,  ///< Taken out of a closed ring by the leaving subscriber or the host.
};
[[nodiscard]] constexpr std::uint64_t make_stamp(std::uint64_t position, EntryKind kind,
                                                 std::uint32_t class_index) {
    return ((position + 1) << 16) | (std::uint64_t{static_cast<std::uint8_t>(kind)} << 8) |
           class_index;
}
[[nodiscard]] constexpr bool stamp_is_for(std::uint64_t stamp, std::uint64_t position) {
    return (stamp >> 16) == ((position + 1) & ((std::uint64_t{1} << 48) - 1));
}
[[nodiscard]] constexpr EntryKind stamp_kind(std::uint64_t stamp) {
    return static_cast<EntryKind>((stamp >> 8) & 0xFF);
}
[[nodiscard]] constexpr std::uint32_t stamp_class(std::uint64_t stamp) {
    return static_cast<std::uint32_t>(stamp & 0xFF);
}

/// What a publisher is about to do: 0 idle; else ring index (drop only) : 32 | class : 8 | kind
/// : 8.
enum class PublishIntent : std::uint8_t { idle = 0, publish = 1, drop = 2 };
[[nodiscard]] constexpr std::uint64_t make_publish_intent(PublishIntent kind,
                                                          std::uint32_t class_index,
                                                          std::uint32_t ring_index) {
    return static_cast<std::uint64_t>(kind) | (std::uint64_t{class_index} << 8) |
           (std::uint64_t{ring_index} << 16);
}
[[nodiscard]] constexpr PublishIntent publish_intent_kind(std::uint64_t bits) {
    return static_cast<PublishIntent>(bits & 0xFF);
}
[[nodiscard]] constexpr std::uint32_t publish_intent_class(std::uint64_t bits) {
    return static_cast<std::uint32_t>((bits >> 8) & 0xFF);
}
[[nodiscard]] constexpr std::uint32_t publish_intent_ring(std::uint64_t bits) {
    return static_cast<std::uint32_t>(bits >> 16);
}

/// A head of a ring: position : 63 | by_publisher : 1.
[[nodiscard]] constexpr std::uint64_t make_head(std::uint64_t position, bool by_publisher) {
    return (position << 1) | (by_publisher ? 1 : 0);
}
[[nodiscard]] constexpr std::uint64_t head_position(std::uint64_t head) {
    return head >> 1;
}
[[nodiscard]] constexpr bool head_by_publisher(std::uint64_t head) {
    return (head & 1) != 0;
}

inline constexpr std::uint32_t protocol_fingerprint = [] {
    std::uint32_t hash = pool_fingerprint;
    for (const std::uint64_t value :
         {sizeof(PeerImage), sizeof(ChannelImage), sizeof(PublisherImage), sizeof(SubscriberImage),
          sizeof(RingImage), sizeof(RingEntry), sizeof(HeapImage), sizeof(HeapHeader),
          offsetof(RingImage, drop_seen), offsetof(HeapImage, users), offsetof(HeapHeader, root),
          offsetof(PublisherImage, activity), offsetof(PeerImage, left_incarnation),
          offsetof(PeerImage, read_only), offsetof(PeerImage, quota_slots),
          std::size_t{subscribers_per_channel_max}}) {
        hash = fold(hash, value);
    }
    return hash;
}();

}  // namespace shmpool
