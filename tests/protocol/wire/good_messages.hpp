// SPDX-License-Identifier: Apache-2.0
/// A message of each type that the codec accepts: what its tests break, and where its fuzzing
/// begins.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "protocol/wire/codec.hpp"

namespace shmpool::wire {

template <std::size_t Bytes>
Text<Bytes> text_of(std::string_view text) {
    return *Text<Bytes>::of(text);
}

inline Hello good_hello() {
    return {1, 0xABCD, 0, 8, text_of<name_bytes>("default"), text_of<name_bytes>("camera")};
}

inline OpenSubscriber good_open_subscriber() {
    return {text_of<name_bytes>("front/left"),
            text_of<type_name_bytes>("Image"),
            4096,
            64,
            static_cast<std::uint32_t>(ChannelPolicy::drop_oldest),
            16,
            open_subscriber_may_sleep};
}

inline OpenPublisher good_open_publisher() {
    return {
        text_of<name_bytes>("front/left"), text_of<type_name_bytes>("Image"), 4096, 64, 1, 0, 0};
}

inline Welcome good_welcome() {
    return {1 << 20, 1 << 30, 3, 9, 4711, 2, 5};
}

inline Refused good_refused() {
    return refusal_of(Error{Errc::wrong_layout_version, "install the same release"}, 1, 2);
}

inline Rejoin good_rejoin() {
    Rejoin rejoin{1, 2, text_of<name_bytes>("cars"), 3, 9, {}, {}, {}};
    rejoin.publishers.add(0);
    rejoin.subscribers.add(subscriber_count_max - 1);
    rejoin.heaps.add(heap_count_max - 1);
    return rejoin;
}

inline CreateHeap good_create_heap() {
    CreateHeap create{};
    create.name = text_of<name_bytes>("tables/a");
    create.kind = static_cast<std::uint32_t>(HeapKind::tlsf);
    create.on_death = static_cast<std::uint32_t>(OnDeath::reclaim);
    create.bytes = 1 << 20;
    create.ticket = 77;
    create.map_alignment = 4096;
    return create;
}

inline std::vector<Body> one_of_each() {
    return {good_hello(),
            good_welcome(),
            good_refused(),
            good_open_publisher(),
            PublisherOpened{7, 2},
            good_open_subscriber(),
            SubscriberOpened{5, 2, 59},
            ClosePublisher{7},
            CloseSubscriber{5},
            Closed{},
            Goodbye{},
            Farewell{},
            Kick{3, 9},
            Kicked{4711},
            Stopping{2000},
            good_rejoin(),
            Rejoined{4711, 2, 5},
            Rebuild{},
            Rebuilt{7},
            good_create_heap(),
            HeapCreated{3, 9},
            OpenHeap{text_of<name_bytes>("tables/a")},
            HeapOpened{3, 9},
            CloseHeap{3},
            DestroyHeap{3, 9},
            HeapDestroyed{},
            GrowHeap{3, 9, 1 << 30},
            HeapGrown{},
            GrowClass{65536, 512, 0},
            ClassGrown{512},
            RelieveClass{65536, 256, 0},
            ShrinkClass{65536, 256, 0},
            ClassShrunk{256}};
}

inline std::uint32_t request_id_for(const Body& body) {
    return type_of(body) == MessageType::stopping ? 0 : 42;
}

}  // namespace shmpool::wire
