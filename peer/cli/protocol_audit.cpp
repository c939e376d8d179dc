// SPDX-License-Identifier: Apache-2.0
/// See protocol_audit.hpp. Reads only: the segment may be mapped read-only.
///
/// Pairings:
///   [R-connect] -> [A-connect]   a record that is open is complete.
///   [R-word] -> [A-word]         a mask that was read before a word of a life is of that life.
///   [R-entry] -> [A-entry]       an entry whose stamp is seen has its key.
#include "peer/cli/protocol_audit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <unordered_map>

#include "peer/cli/observer.hpp"
#include "protocol/ring.hpp"

namespace shmpool::cli {
namespace {

template <typename T>
T value(const Atomic<T>& number) {
    return number.load(std::memory_order_relaxed);
}

std::uint32_t state_of(const Atomic<std::uint32_t>& state) {
    return state.load(std::memory_order_acquire);  // [A-connect]
}

bool is_open(const Atomic<std::uint32_t>& state) {
    return state_of(state) == static_cast<std::uint32_t>(EndpointState::open);
}

class ProtocolAudit {
public:
    ProtocolAudit(const PoolView& pool, const ProtocolView& view, std::size_t limit)
        : pool_(pool), view_(view), limit_(limit) {}

    std::vector<AuditFinding> run() {
        check_peers();
        check_lanes();
        check_publishers();
        check_subscribers();
        check_rings();
        for (std::uint32_t i = 0; i < pool_.class_count; ++i) check_slots(i);
        return std::move(findings_);
    }

private:
    void report(const char* invariant, std::string text, std::uint32_t class_index = 0,
                std::uint32_t slot = no_slot, SlotWord word = 0) {
        if (findings_.size() >= limit_) return;
        findings_.push_back({invariant, class_index, slot, word, std::move(text)});
    }

    /// Of a word that only one endpoint writes.
    template <typename Endpoint>
    void report_writer(const Endpoint* writer, std::string text) {
        report("I6", std::move(text));
        if (writer == nullptr || findings_.size() >= limit_) return;
        findings_.back().writer =
            owner_of_peer(value(writer->peer_index), value(writer->peer_incarnation));
    }

    void check_peers() {
        for (std::uint32_t i = 0; i < view_.peers.count; ++i) {
            const std::uint32_t state = state_of(view_.peers.at(i).state);
            if (state > static_cast<std::uint32_t>(PeerState::suspect)) {
                report("I6", fmt::format("peer {} is in state {}, which does not exist", i, state));
            }
        }
    }

    void check_lanes() {
        for (std::uint32_t lane = 1; lane < pool_.lane_count; ++lane) {
            const std::uint64_t owner = value(pool_.lanes[lane].owner);
            if (owner == taken_by_host) continue;  // By the next one given back, if it has died.
            if (owner != 0 && !living_peer_of(view_, owner)) {
                report("I2", fmt::format("lane {} belongs to peer {}, which is not there", lane,
                                         peer_of_owner(owner)));
            }
        }
    }

    /// True when the record may be used: its peer and its channel are there.
    bool check_endpoint(const char* kind, std::uint32_t index,
                        const Atomic<std::uint32_t>& peer_index,
                        const Atomic<std::uint32_t>& peer_incarnation,
                        const Atomic<std::uint32_t>& channel_index) {
        const std::uint32_t peer = value(peer_index);
        if (!living_peer_of(view_, owner_of_peer(peer, value(peer_incarnation)))) {
            report("I2",
                   fmt::format("{} {} is open but its peer {} is not there", kind, index, peer));
        }
        const std::uint32_t channel = value(channel_index);
        if (channel < view_.channels.count && is_open(view_.channels.at(channel).state)) {
            return true;
        }
        report("I6",
               fmt::format("{} {} is on channel {}, which does not exist", kind, index, channel));
        return false;
    }

    void check_publishers() {
        busy_peers_.assign(view_.peers.count, false);
        for (std::uint32_t i = 0; i < view_.publishers.count; ++i) {
            const PublisherImage& one = view_.publishers.at(i);
            if (!is_open(one.state)) continue;
            check_endpoint("publisher", i, one.peer_index, one.peer_incarnation, one.channel_index);
            note_activity(value(one.peer_index), value(one.activity));
            check_intent(i, one);
        }
    }

    void check_intent(std::uint32_t index, const PublisherImage& publisher) {
        const std::uint64_t intent = value(publisher.intent_kind);
        const PublishIntent kind = publish_intent_kind(intent);
        if (kind == PublishIntent::idle) return;
        const bool drops = kind == PublishIntent::drop;
        if ((drops || kind == PublishIntent::publish) &&
            publish_intent_class(intent) < pool_.class_count &&
            publish_intent_ring(intent) < view_.rings.count) {
            return;
        }
        report_writer(&publisher, fmt::format("publisher {} announces what cannot be: intent {:#x}",
                                              index, intent));
    }

    void check_subscribers() {
        readers_.assign(view_.channels.count, 0);
        for (std::uint32_t i = 0; i < view_.subscribers.count; ++i) {
            const SubscriberImage& one = view_.subscribers.at(i);
            if (state_of(one.state) == 0) continue;  // Those that left may have leases still.
            const std::uint32_t bit = value(one.lease_bit);
            const std::uint32_t channel = value(one.channel_index);
            if (is_open(one.state)) {
                if (!check_endpoint("subscriber", i, one.peer_index, one.peer_incarnation,
                                    one.channel_index)) {
                    continue;
                }
                note_activity(value(one.peer_index), value(one.activity));
            }
            if (channel >= readers_.size()) continue;
            if (bit >= subscribers_per_channel_max) {
                report("I6",
                       fmt::format("subscriber {} has lease bit {}, which does not exist", i, bit));
            } else if ((readers_[channel] >> bit & 1) != 0) {
                report("I3", fmt::format("two subscribers of channel {} have lease bit {}", channel,
                                         bit));
            } else {
                readers_[channel] |= std::uint64_t{1} << bit;
            }
        }
    }

    /// Odd: the peer is inside a verb, and may be stopped there for long.
    void note_activity(std::uint32_t peer, std::uint64_t activity) {
        if (peer < busy_peers_.size() && (activity & 1) != 0) busy_peers_[peer] = true;
    }

    void check_rings() {
        senders_.assign(pool_.class_count, {});
        std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
        std::uint64_t entries_left = view_.entries.count;
        for (std::uint32_t i = 0; i < view_.rings.count; ++i) {
            if (state_of(view_.rings.at(i).state) == 0) continue;
            const RingView ring = RingView::of(view_, i);
            const PublisherImage* const publisher =
                ring ? view_.publishers.find(value(ring.image->publisher_index)) : nullptr;
            const SubscriberImage* const subscriber =
                ring ? view_.subscribers.find(value(ring.image->subscriber_index)) : nullptr;
            if (publisher == nullptr || subscriber == nullptr) {
                report("I6", fmt::format("ring {} is of a shape that cannot be", i));
                continue;
            }
            const std::uint64_t begin = value(ring.image->entries_offset);
            ranges.emplace_back(begin, begin + ring.index_mask + 1);
            if (ring.index_mask >= entries_left) continue;  // They overlap: found below.
            entries_left -= ring.index_mask + 1;
            check_positions(ring, *publisher, *subscriber);
        }
        std::ranges::sort(ranges);
        for (std::size_t i = 1; i < ranges.size(); ++i) {
            if (ranges[i].first < ranges[i - 1].second) report("I6", "two rings share entries");
        }
    }

    /// Each bound compares the older value of what grows with the newer value of the other. Entries
    /// and tail are the publisher's alone, the head is the reader's if nothing is ever dropped.
    void check_positions(const RingView& ring, const PublisherImage& publisher,
                         const SubscriberImage& subscriber) {
        const std::uint64_t head_before = head_position(value(ring.image->head));
        const std::uint64_t tail_before = value(ring.image->tail);
        const std::uint64_t put = note_entries(ring, publisher);
        const std::uint64_t tail = ring.image->tail.load(std::memory_order_acquire);  // [A-tail]
        const std::uint64_t head =
            head_position(ring.image->head.load(std::memory_order_acquire));  // [A-head]
        if (tail_before > put || put > tail + 1) {
            return report_writer(&publisher,
                                 fmt::format("ring {} counts {} entries, but {} were put",
                                             ring.ring_index, tail, put));
        }
        const SubscriberImage* const reader = drops_oldest(ring) ? nullptr : &subscriber;
        if (head_before > put) {
            report_writer(reader, fmt::format("ring {}: its reader is ahead of its publisher",
                                              ring.ring_index));
        } else if (tail_before > head && tail_before - head > ring.depth) {
            report_writer(reader, fmt::format("ring {} has more entries than its depth of {}",
                                              ring.ring_index, ring.depth));
        }
    }

    [[nodiscard]] bool drops_oldest(const RingView& ring) const {
        const ChannelImage* const channel = view_.channels.find(value(ring.image->channel_index));
        return channel == nullptr ||
               value(channel->policy) == static_cast<std::uint32_t>(ChannelPolicy::drop_oldest);
    }

    /// Returns how many entries were ever put. Entries that were read stay; their slots' words no
    /// longer say in_transit. Whoever claims an entry of a closed ring stamps the slot next, so
    /// claimed ones count too.
    std::uint64_t note_entries(const RingView& ring, const PublisherImage& publisher) {
        std::uint64_t put = 0;
        for (std::uint64_t cell = 0; cell <= ring.index_mask; ++cell) {
            const RingEntry& entry = ring.entries[cell];
            const std::uint64_t stamp = entry.stamp.load(std::memory_order_acquire);  // [A-entry]
            put = std::max(put, stamp >> 16);
            const EntryKind kind = stamp_kind(stamp);
            if (kind > EntryKind::claimed_by_drainer || stamp_class(stamp) >= pool_.class_count) {
                report_writer(
                    &publisher,
                    fmt::format("ring {} has an entry of kind {}, class {}, which cannot "
                                "be",
                                ring.ring_index, static_cast<unsigned>(kind), stamp_class(stamp)));
                continue;
            }
            if (kind == EntryKind::none || kind == EntryKind::leased) continue;
            senders_[stamp_class(stamp)].insert_or_assign(value(entry.key),
                                                          value(publisher.peer_index));
        }
        return put;
    }

    void check_slots(std::uint32_t class_index) {
        const ClassView& view = pool_.classes[class_index];
        for (std::uint32_t slot = 0; slot < view.slot_count(); ++slot) {
            const SlotRecord& record = view.records[slot];
            const std::uint64_t mask =
                record.lease_mask.load(std::memory_order_acquire);              // [A-lease]
            const SlotWord word = record.word.load(std::memory_order_acquire);  // [A-word]
            if (word_state(word) == SlotState::in_transit) {
                check_in_transit(class_index, slot, word);
            } else if (word_state(word) == SlotState::published) {
                check_leases(class_index, slot, word, mask, value(record.publisher_index));
            }
        }
    }

    void check_in_transit(std::uint32_t class_index, std::uint32_t slot, SlotWord word) {
        const std::uint32_t lane = word_owner(word);
        if (lane >= pool_.lane_count) return;  // The pool's own audit says so.
        const auto peer = living_peer_of(view_, value(pool_.lanes[lane].owner));
        if (!peer || busy_peers_[*peer]) return;  // The lane is a finding already; or it publishes.
        const auto found = senders_[class_index].find(make_key(word_generation(word), slot));
        if (found == senders_[class_index].end()) {
            report("I1", "the slot is in transit but stands in no ring", class_index, slot, word);
        } else if (found->second != *peer) {
            report("I1",
                   fmt::format("the slot is in transit from peer {} but stands in a ring of "
                               "peer {}",
                               *peer, found->second),
                   class_index, slot, word);
        }
    }

    void check_leases(std::uint32_t class_index, std::uint32_t slot, SlotWord word,
                      std::uint64_t mask, std::uint32_t publisher_index) {
        const std::uint32_t channel = word_owner(word);
        if (channel >= view_.channels.count || !is_open(view_.channels.at(channel).state)) {
            return report("I6",
                          fmt::format("the slot is published on channel {}, which does not "
                                      "exist",
                                      channel),
                          class_index, slot, word);
        }
        const std::uint64_t strangers = mask & ~publisher_lease & ~readers_[channel];
        if (strangers != 0) {
            report("I2",
                   fmt::format("a lease (bit {}) belongs to no subscriber of channel {}",
                               std::countr_zero(strangers), channel),
                   class_index, slot, word);
        }
        if ((mask & publisher_lease) == 0) return;
        const PublisherImage* const publisher = view_.publishers.find(publisher_index);
        if (publisher == nullptr || !is_open(publisher->state) ||
            value(publisher->channel_index) != channel) {
            report("I2", "the publisher's own lease is held, but that publisher is not there",
                   class_index, slot, word);
        }
    }

    const PoolView& pool_;
    const ProtocolView& view_;
    const std::size_t limit_;
    std::vector<AuditFinding> findings_;
    std::vector<bool> busy_peers_;
    std::vector<std::uint64_t> readers_;  ///< By channel: bits of its subscribers.
    /// By class and key: the peer whose ring has the slot.
    std::vector<std::unordered_map<SlotKey, std::uint32_t>> senders_;
};

}  // namespace

std::vector<AuditFinding> audit_protocol(const PoolView& pool, const ProtocolView& view,
                                         std::size_t limit) {
    return ProtocolAudit(pool, view, limit).run();
}

}  // namespace shmpool::cli
