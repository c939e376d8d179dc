// SPDX-License-Identifier: Apache-2.0
/// The smallest client that can attach: hello, mapping, lanes. For tests of the host alone, without
/// the peer library. Fails a test by throwing.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "protocol/protocol_view.hpp"
#include "protocol/wire/codec.hpp"
#include "protocol/wire/local_socket.hpp"
#include "shmpool/platform/beacon.hpp"
#include "shmpool/pool/var_slot_pool.hpp"
#include "shmpool/segment/segment.hpp"

namespace shmpool::test {

/// Right in every field.
[[nodiscard]] wire::Hello honest_hello(const std::string& pool_name = "test");
[[nodiscard]] wire::Hello observer_hello(const std::string& pool_name = "test");

[[nodiscard]] wire::Hello read_only_hello(const std::string& pool_name = "test");

[[nodiscard]] LocalConnection connect_to(const std::string& socket);

/// Waits for the next message.
[[nodiscard]] wire::Body next_message(LocalConnection& connection,
                                      std::vector<Descriptor>* descriptors = nullptr);
/// Sends, and waits for the answer.
[[nodiscard]] wire::Body ask(LocalConnection& connection, const wire::Body& request,
                             std::vector<Descriptor>* descriptors = nullptr);

/// The answer must be this.
template <typename T>
[[nodiscard]] T expect(const wire::Body& body) {
    if (const T* const found = std::get_if<T>(&body)) return *found;
    if (const auto* const refused = std::get_if<wire::Refused>(&body)) {
        throw std::runtime_error("refused: " + std::string(refused->text.view()));
    }
    throw std::runtime_error("answered with " + std::string(wire::name_of(wire::type_of(body))));
}

/// The other end is closed, maybe after more messages.
[[nodiscard]] bool is_closed_by_host(LocalConnection& connection);

class PlainPeer {
public:
    explicit PlainPeer(const std::string& socket, const wire::Hello& hello = honest_hello());

    LocalConnection connection;
    wire::Welcome welcome{};
    std::vector<Descriptor> descriptors;  ///< control, payload, beacon
    std::unique_ptr<Segment> segment;
    std::unique_ptr<VarSlotPool> pool;
    ProtocolView view;

    /// Takes slots of `bytes` on a lane of its own, and keeps them.
    void hold_slots(std::size_t count, std::uint64_t bytes);
    [[nodiscard]] Beacon hold_beacon() const;

    /// What this peer would say to a next host, and says on a new connection.
    [[nodiscard]] wire::Rejoin rejoin_request(const std::string& pool_name = "test") const;
    [[nodiscard]] wire::Body rejoin(const std::string& socket, const wire::Rejoin& request);

private:
    std::vector<std::unique_ptr<Lane>> lanes_;
};

/// Looks at the segment, as `shmpool status` does.
class PlainObserver {
public:
    explicit PlainObserver(const std::string& socket);

    LocalConnection connection;
    Descriptor control;
    std::unique_ptr<Segment> segment;
    std::unique_ptr<VarSlotPool> pool;
    ProtocolView view;

    [[nodiscard]] PeerState peer_state(std::uint32_t index) const;
    [[nodiscard]] std::uint64_t peers_reclaimed() const;
    [[nodiscard]] std::uint64_t slots_reclaimed() const;
    /// Slots in all free lists together.
    [[nodiscard]] std::uint64_t free_slots() const;
    [[nodiscard]] std::uint64_t all_slots() const;
};

}  // namespace shmpool::test
