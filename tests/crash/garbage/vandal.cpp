// SPDX-License-Identifier: Apache-2.0
#include "vandal.hpp"

#include <array>
#include <chrono>
#include <thread>

#include "protocol/heap_table.hpp"

namespace shmpool::garbage {
namespace {

std::uint64_t read_word(const std::byte* word, std::uint32_t bytes) {
    return bytes == 4 ? reinterpret_cast<const Atomic<std::uint32_t>*>(word)->load(
                            std::memory_order_relaxed)
                      : reinterpret_cast<const Atomic<std::uint64_t>*>(word)->load(
                            std::memory_order_relaxed);
}

void write_word(std::byte* word, std::uint32_t bytes, std::uint64_t value) {
    if (bytes == 4) {
        reinterpret_cast<Atomic<std::uint32_t>*>(word)->store(static_cast<std::uint32_t>(value),
                                                              std::memory_order_relaxed);
    } else {
        reinterpret_cast<Atomic<std::uint64_t>*>(word)->store(value, std::memory_order_relaxed);
    }
}

Place all_of(const std::string& memory, std::byte* first, std::uint64_t bytes) {
    return {memory, "anywhere", first, 8, static_cast<std::uint32_t>(bytes / 8), 8, 8};
}

/// What whoever attaches looks at first: damage there keeps him out.
bool is_fixed(const Place& place) {
    if (place.image == "SegmentHeader") return place.field != "host_state";
    if (place.image == "PoolHeader") {
        return place.field != "pressure" && place.field != "free_doorbell" &&
               place.field != "damaged";
    }
    return place.image == "RegionImage" || place.image == "ClassImage" ||
           (place.image == "ExtentImage" && place.field != "head");
}

constexpr std::uint64_t writes_between_pauses = 64;

}  // namespace

Vandal::Vandal(const std::string& socket, Board& board, const VandalPlan& plan)
    : peer_(socket, test::honest_hello("garbage")),
      map_(peer_.pool->view(), peer_.view),
      control_(all_of("control", reinterpret_cast<std::byte*>(peer_.view.header),
                      peer_.welcome.control_bytes)),
      payload_(
          all_of("payload", peer_.pool->view().classes[0].payload, peer_.welcome.payload_bytes)),
      board_(board),
      plan_(plan),
      random_(plan.seed) {
    remember_fixed();
}

void Vandal::run() {
    std::uint64_t pause_at = below(writes_between_pauses);
    while (written_ < plan_.words) {
        act();
        if (written_ < pause_at) continue;
        if (plan_.hides_damage) hide_damage();
        pause_at = written_ + below(writes_between_pauses);
        std::this_thread::sleep_for(std::chrono::microseconds(below(4000)));
    }
}

void Vandal::act() {
    const std::uint64_t dice = below(1000);
    if (dice < 100) return scatter();
    if (dice < 200) return write_into_heap();
    if (dice < 997) return write_field();
    if (dice < 999) return flood_field();
    hammer();
}

/// Control memory is full of records; a tenth of the scattered words goes to the payload.
void Vandal::scatter() {
    const Place& place = below(10) == 0 ? payload_ : control_;
    write(place, place.item(below(place.count)), random_());
}

/// What its engine keeps lies at the beginning and at the end.
void Vandal::write_into_heap() {
    const auto all = peer_.segment->region(RegionKind::heap_memory);
    const HeapImage& image = peer_.view.heaps.at(static_cast<std::uint32_t>(below(4)));
    const auto heap = all ? heap_memory(*all, image) : std::span<std::byte>();
    const std::uint64_t bytes =
        std::min<std::uint64_t>(heap.size(), image.committed_bytes.load(std::memory_order_relaxed));
    if (bytes < page_bytes) return;
    const std::uint64_t near_border = below(std::min<std::uint64_t>(bytes, 4 * page_bytes) / 8);
    const std::uint64_t words = bytes / 8;
    const std::uint64_t at[] = {near_border, words - 1 - near_border, below(words)};
    const Place place = all_of("heap", heap.data(), bytes);
    std::byte* const word = place.item(at[below(3)]);
    write(place, word, value_for(place, word));
}

const Place& Vandal::any_place() {
    return map_.places()[below(map_.places().size())];
}

std::byte* Vandal::any_word(const Place& place, std::uint64_t item) {
    // Most of what is alive has a small number.
    return place.item(item) + below(place.words()) * place.word_bytes;
}

void Vandal::write_field() {
    const Place& place = any_place();
    const std::uint64_t item =
        below(2) == 0 ? below(std::min(place.count, 8U)) : below(place.count);
    std::byte* const word = any_word(place, item);
    write(place, word, value_for(place, word));
}

void Vandal::flood_field() {
    const Place& place = any_place();
    const std::uint64_t count = std::min<std::uint64_t>(place.count, 512);
    for (std::uint64_t item = 0; item < count; ++item) {
        std::byte* const word = any_word(place, item);
        write(place, word, value_for(place, word));
    }
}

void Vandal::hammer() {
    const Place& place = any_place();
    std::byte* const word = any_word(place, below(std::min(place.count, 8U)));
    const std::array values{value_for(place, word), value_for(place, word)};
    const bool counts = below(2) == 0;
    for (std::uint64_t i = 0, count = below(2000); i < count; ++i) {
        write(place, word, counts ? values[0] + i : values[i % 2]);
    }
}

/// Restores what nobody writes after the pool is made, and the marks.
void Vandal::hide_damage() {
    for (const auto& [place, sound] : fixed_) {
        for (std::uint64_t item = 0; item < place->count; ++item) {
            for (std::uint32_t word = 0; word < place->words(); ++word) {
                write_word(place->item(item) + word * place->word_bytes, place->word_bytes,
                           sound[item * place->words() + word]);
            }
        }
    }
    peer_.pool->view().header->damaged.store(0, std::memory_order_relaxed);
    peer_.view.header->host_state.store(static_cast<std::uint32_t>(HostState::running),
                                        std::memory_order_relaxed);
}

void Vandal::remember_fixed() {
    for (const Place& place : map_.places()) {
        if (!is_fixed(place)) continue;
        std::vector<std::uint64_t>& sound = fixed_.emplace_back(&place, 0).second;
        for (std::uint64_t item = 0; item < place.count; ++item) {
            for (std::uint32_t word = 0; word < place.words(); ++word) {
                sound.push_back(
                    read_word(place.item(item) + word * place.word_bytes, place.word_bytes));
            }
        }
    }
}

void Vandal::write(const Place& place, std::byte* word, std::uint64_t value) {
    const std::uint64_t number = board_.words.fetch_add(1, std::memory_order_relaxed);
    Write& note = board_.last[number % writes_kept];
    const bool is_control = &place != &payload_ && place.image != "heap";
    const std::byte* const base = is_control ? control_.first : payload_.first;
    note = {number, static_cast<std::uint64_t>(word - base), value, {}};
    place.name().copy(note.name.data(), note.name.size() - 1);
    write_word(word, place.word_bytes, value);
    ++written_;
}

std::uint64_t Vandal::below(std::uint64_t bound) {
    return bound == 0 ? 0 : random_() % bound;
}

/// An index: mostly one that exists, now and then the first or any that does not.
std::uint64_t Vandal::near(std::uint64_t count) {
    switch (below(6)) {
        case 0: return count;
        case 1: return count + below(64);
        case 2: return random_();
        default: return below(count);
    }
}

std::uint64_t Vandal::value_for(const Place& place, std::byte* word) {
    const std::uint64_t old = read_word(word, place.word_bytes);
    switch (below(8)) {
        case 0: return random_();
        case 1: return old ^ (std::uint64_t{1} << below(place.word_bytes * 8));
        case 2: return old + below(5) - 2;
        case 3: return below(2) == 0 ? 0 : ~std::uint64_t{0};
        case 4: return (std::uint64_t{1} << below(64)) - below(2);
        case 5: return read_word(any_word(place, below(place.count)), place.word_bytes);
        default: return shaped(place);
    }
}

std::uint64_t Vandal::shaped(const Place& place) {
    const PoolView& pool = peer_.pool->view();
    const std::uint64_t slots = pool.classes[below(pool.class_count)].slot_count();
    const auto slot = static_cast<std::uint32_t>(near(slots));
    const auto lane = static_cast<std::uint32_t>(near(pool.lane_count));
    const auto generation = static_cast<std::uint32_t>(below(4) == 0 ? random_() : below(64));
    const std::string& field = place.field;
    if (field == "word") return make_word(generation, static_cast<SlotState>(below(8)), lane);
    if (field == "link") return stored_link(slot);
    if (field == "head" && place.image == "ExtentImage")
        return below(2) == 0 ? slot : make_change(lane, below(1 << 20));
    if (field == "head") return make_head(near(1 << 12), below(2) == 0);
    if (field == "intent") {
        return pack_intent({static_cast<IntentKind>(below(4)),
                            static_cast<std::uint32_t>(near(pool.class_count) & 63), 0,
                            slot & 0xFF'FFFF, static_cast<std::uint32_t>(near(slots) & 0xFF'FFFF)});
    }
    if (field == "intent_kind") {
        return make_publish_intent(static_cast<PublishIntent>(below(4)),
                                   static_cast<std::uint32_t>(near(pool.class_count) & 0xFF),
                                   static_cast<std::uint32_t>(near(peer_.view.rings.count)));
    }
    if (field == "key" || field == "intent_key") return make_key(generation, slot);
    if (field == "stamp") {
        return make_stamp(near(1 << 10), static_cast<EntryKind>(below(6)),
                          static_cast<std::uint32_t>(near(pool.class_count) & 0xFF));
    }
    if (field == "owner") {
        return owner_of_peer(static_cast<std::uint32_t>(near(peer_.view.peers.count)), generation);
    }
    if (field == "rings" || field == "ring_numbers") return near(peer_.view.rings.count) + 1;
    if (field == "entries_offset" || field == "capacity" || field == "depth") {
        return below(2) == 0 ? std::uint64_t{1} << below(33) : near(peer_.view.entries.count);
    }
    if (field == "publisher_index") return near(peer_.view.publishers.count);
    if (field == "subscriber_index") return near(peer_.view.subscribers.count);
    if (field == "channel_index") return near(peer_.view.channels.count);
    if (field == "peer_index") return near(peer_.view.peers.count);
    if (field == "lease_bit") return near(subscribers_per_channel_max);
    if (field.ends_with("state") || field == "closed") return below(7);
    if (place.image == "HeapImage" && (field == "offset" || field.ends_with("bytes"))) {
        return near(1 << 8) * page_bytes;
    }
    return near(1 << 16);
}

}  // namespace shmpool::garbage
