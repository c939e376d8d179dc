// SPDX-License-Identifier: Apache-2.0
#include "tests/host/plain_peer.hpp"

#include <array>
#include <stdexcept>

#include "shmpool/layout/abi_constants.hpp"
#include "shmpool/pool/pool_statistics.hpp"

namespace shmpool::test {
namespace {

Deadline soon() {
    return Deadline::after(std::chrono::seconds(30));
}

template <typename T>
T value_of(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message);
    return std::move(*result);
}

}  // namespace

wire::Hello honest_hello(const std::string& pool_name) {
    wire::Hello hello{};
    hello.layout_version = layout_version;
    hello.layout_fingerprint = protocol_fingerprint;
    hello.lanes_wanted = 1;
    hello.pool_name = *wire::Text<name_bytes>::of(pool_name);
    hello.peer_name = *wire::Text<name_bytes>::of("plain");
    return hello;
}

wire::Hello observer_hello(const std::string& pool_name) {
    wire::Hello hello = honest_hello(pool_name);
    hello.flags = wire::hello_observer;
    hello.lanes_wanted = 0;
    return hello;
}

wire::Hello read_only_hello(const std::string& pool_name) {
    wire::Hello hello = honest_hello(pool_name);
    hello.flags = wire::hello_read_only;
    return hello;
}

LocalConnection connect_to(const std::string& socket) {
    return value_of(LocalConnection::connect(socket, soon()));
}

wire::Body next_message(LocalConnection& connection, std::vector<Descriptor>* descriptors) {
    auto received = value_of(connection.receive(soon()));
    auto message = value_of(wire::decode(received.packet.bytes(), received.descriptors.size()));
    if (descriptors != nullptr) *descriptors = received.descriptors.release();
    return message.body;
}

wire::Body ask(LocalConnection& connection, const wire::Body& request,
               std::vector<Descriptor>* descriptors) {
    if (auto sent = connection.send(wire::encode(request, 7), {}, soon()); !sent) {
        throw std::runtime_error(sent.error().message);
    }
    return next_message(connection, descriptors);
}

bool is_closed_by_host(LocalConnection& connection) {
    for (;;) {
        const auto received = connection.receive(soon());
        if (!received) return received.error().code == Errc::host_gone;
    }
}

PlainPeer::PlainPeer(const std::string& socket, const wire::Hello& hello)
    : connection(connect_to(socket)) {
    welcome = expect<wire::Welcome>(ask(connection, hello, &descriptors));
    segment = std::make_unique<Segment>(value_of(Segment::open(
        value_of(Descriptor::duplicate(descriptors.at(0))),
        value_of(Descriptor::duplicate(descriptors.at(1))), Access::read_write,
        (hello.flags & wire::hello_read_only) != 0 ? Access::read_only : Access::read_write,
        protocol_fingerprint)));
    pool = std::make_unique<VarSlotPool>(
        value_of(VarSlotPool::attach({value_of(segment->region(RegionKind::pool_control)).bytes,
                                      value_of(segment->region(RegionKind::pool_payload)).bytes})));
    view = value_of(ProtocolView::of(*segment));
}

void PlainPeer::hold_slots(std::size_t count, std::uint64_t bytes) {
    auto lane = pool->open_lane(owner_of_peer(welcome.peer_index, welcome.peer_incarnation));
    if (!lane) throw std::runtime_error("no lane");
    for (std::size_t i = 0; i < count; ++i) {
        if (!pool->allocate(**lane, bytes)) throw std::runtime_error("no slot");
    }
    lanes_.push_back(std::move(*lane));
}

Beacon PlainPeer::hold_beacon() const {
    return value_of(Beacon::hold(descriptors.at(2)));
}

wire::Rejoin PlainPeer::rejoin_request(const std::string& pool_name) const {
    wire::Rejoin request{};
    request.layout_version = layout_version;
    request.layout_fingerprint = protocol_fingerprint;
    request.pool_name = *wire::Text<name_bytes>::of(pool_name);
    request.peer_index = welcome.peer_index;
    request.peer_incarnation = welcome.peer_incarnation;
    return request;
}

wire::Body PlainPeer::rejoin(const std::string& socket, const wire::Rejoin& request) {
    connection = connect_to(socket);
    const std::array numbers{descriptors.at(0).get(), descriptors.at(1).get(),
                             descriptors.at(2).get()};
    if (auto sent = connection.send(wire::encode(request, 7), numbers, soon()); !sent) {
        throw std::runtime_error(sent.error().message);
    }
    return next_message(connection);
}

PlainObserver::PlainObserver(const std::string& socket) : connection(connect_to(socket)) {
    std::vector<Descriptor> descriptors;
    const auto welcome = expect<wire::Welcome>(ask(connection, observer_hello(), &descriptors));
    if (welcome.peer_index != wire::no_peer) throw std::runtime_error("an observer got a number");
    control = std::move(descriptors.at(0));
    segment = std::make_unique<Segment>(
        value_of(Segment::open(value_of(Descriptor::duplicate(control)), Descriptor(),
                               Access::read_only, protocol_fingerprint)));
    pool = std::make_unique<VarSlotPool>(
        value_of(VarSlotPool::observe(value_of(segment->region(RegionKind::pool_control)).bytes)));
    view = value_of(ProtocolView::of(*segment));
}

PeerState PlainObserver::peer_state(std::uint32_t index) const {
    return static_cast<PeerState>(
        view.peers.at(index).state.load(std::memory_order_acquire));  // [A-peer]
}

std::uint64_t PlainObserver::peers_reclaimed() const {
    return segment->header().peers_reclaimed.load(std::memory_order_acquire);  // [A-statistics]
}

std::uint64_t PlainObserver::slots_reclaimed() const {
    return segment->header().slots_reclaimed.load(std::memory_order_relaxed);
}

std::uint64_t PlainObserver::free_slots() const {
    std::uint64_t sum = 0;
    for (const ClassStatistics& one : read_statistics(pool->view())) sum += one.free;
    return sum;
}

std::uint64_t PlainObserver::all_slots() const {
    std::uint64_t sum = 0;
    for (const ClassStatistics& one : read_statistics(pool->view())) sum += one.slot_count;
    return sum;
}

}  // namespace shmpool::test
