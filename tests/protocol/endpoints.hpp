// SPDX-License-Identifier: Apache-2.0
/// A writer and a reader over the cores, with messages that prove themselves: who wrote them, the
/// how manieth, and a checksum over the whole payload.
#pragma once

#include <deque>
#include <map>
#include <optional>

#include "test_host.hpp"

namespace shmpool::testing_protocol {

struct Message {
    std::uint64_t writer = 0;
    std::uint64_t sequence = 0;
    friend bool operator==(const Message&, const Message&) = default;
};

/// Fills the slot's whole payload and the header that a publisher writes.
void write_message(VarSlotPool& pool, const VarSlotPool::Loaned& slot, const Message& message);
/// The message in the slot; none if one byte of it is not as it was written.
[[nodiscard]] std::optional<Message> read_message(const VarSlotPool& pool, const Taken& taken);

class Writer {
public:
    Writer(TestPeer& peer, const Opened& opened, ChannelPolicy policy, std::uint64_t name)
        : peer_(peer),
          core_(peer.pool(), peer.view(), opened.endpoint_index, policy),
          loan_lane_(&peer.lane()),
          name_(name) {}

    /// As if another thread of the peer took the loans that this one publishes.
    void loan_on(Lane& lane) { loan_lane_ = &lane; }

    /// Loans, fills and publishes; ends the loan when nobody got it because of the deadline.
    Outcome<std::uint32_t> send(const Deadline& deadline = Deadline::passed(),
                                std::uint64_t bytes = 64);

    [[nodiscard]] PublisherCore& core() { return core_; }
    [[nodiscard]] std::uint64_t sent() const { return core_.published_total(); }

private:
    TestPeer& peer_;
    PublisherCore core_;
    Lane* loan_lane_;
    const std::uint64_t name_;
};

/// Takes messages and keeps the last few of them, to see that they do not change meanwhile.
class Reader {
public:
    Reader(TestPeer& peer, const Opened& opened, std::size_t keep = 0)
        : peer_(peer), core_(peer.pool(), peer.view(), opened.endpoint_index), keep_(keep) {}

    /// The next message; what is wrong with the stream is collected in `complaints`.
    Outcome<Message> next();
    /// Takes until nothing is there; returns why.
    Errc drain();
    void release_oldest();
    void release_all();
    /// Writers of lower names were there before this reader: their streams may begin anywhere.
    void came_before_writer(std::uint64_t name) { first_later_writer_ = name; }
    void close() { core_.close(peer_.lane()); }

    [[nodiscard]] SubscriberCore& core() { return core_; }
    [[nodiscard]] std::uint64_t received() const { return received_; }
    [[nodiscard]] std::uint64_t last_of(std::uint64_t writer) const;
    [[nodiscard]] std::uint64_t gaps() const { return gaps_; }
    [[nodiscard]] const std::string& complaints() const { return complaints_; }

private:
    struct Held {
        Taken taken;
        Message message;
    };

    TestPeer& peer_;
    SubscriberCore core_;
    const std::size_t keep_;
    std::deque<Held> held_;
    std::map<std::uint64_t, std::uint64_t> last_;
    std::uint64_t first_later_writer_ = 0;
    std::uint64_t received_ = 0;
    std::uint64_t gaps_ = 0;  ///< Messages that were jumped over.
    std::string complaints_;
};

}  // namespace shmpool::testing_protocol
