// SPDX-License-Identifier: Apache-2.0
#include "actor.hpp"

#include <thread>

namespace shmpool::storm {

using namespace std::chrono_literals;

Actor::Actor(const Life& life)
    : life_(life),
      board_(life.folder + "/board"),
      random_(life.seed ^ name_of_life(life.seat, life.number) * 0x9E37'79B9'7F4A'7C15) {}

int Actor::play() {
    switch (seat().part) {
        case Part::writer: play_writer(*this); break;
        case Part::reader: play_reader(*this); break;
        case Part::churner: play_churner(*this); break;
        case Part::keeper: play_keeper(*this); break;
        case Part::founder: play_founder(*this); break;
    }
    return 0;
}

bool Actor::goes_on() const {
    board_->steps[life_.seat].fetch_add(1, std::memory_order_relaxed);
    return !board_->ending;
}

std::size_t Actor::draw_bytes() {
    const std::size_t scale = std::size_t{16} << below(12);
    return least_bytes + scale + below(scale) / 2;
}

std::optional<Peer> Actor::attach() {
    PeerOptions options;
    options.name = name_of(seat().part);
    options.wait_for_host = 1s;
    options.answer_timeout = 60s;
    while (goes_on()) {
        auto peer = Peer::attach(pool_name, options);
        if (peer) {
            board_->totals.attachments += 1;
            return std::move(*peer);
        }
        // Its host was killed meanwhile, or has not yet taken back the places of the dead.
        const bool comes_back = peer.error().code == Errc::no_host ||
                                peer.error().code == Errc::host_gone ||
                                peer.error().code == Errc::no_peer_slot;
        if (!comes_back) {
            complain("attach: " + peer.error().message);
            return std::nullopt;
        }
        std::this_thread::sleep_for(1ms);
    }
    return std::nullopt;
}

template <typename Endpoint, typename Open>
std::optional<Endpoint> Actor::open_in_time(const char* what, Open&& open) const {
    while (goes_on()) {
        Result<Endpoint> opened = open();
        if (opened) return std::move(*opened);
        const Errc why = opened.error().code;
        if (why != Errc::too_many_publishers && why != Errc::too_many_subscribers) {
            complain(std::string("opening a ") + what + ": " + opened.error().message);
            return std::nullopt;
        }
        board_->totals.full += 1;
        std::this_thread::sleep_for(1ms);
    }
    return std::nullopt;
}

std::optional<Publisher> Actor::open_publisher(Peer& peer) const {
    return open_in_time<Publisher>(
        "publisher", [&] { return peer.publisher(seat().channel, {.policy = seat().policy}); });
}

std::optional<Subscriber> Actor::open_subscriber(Peer& peer, std::uint32_t depth) const {
    return open_in_time<Subscriber>("subscriber", [&] {
        return peer.subscriber(seat().channel, {.depth = depth, .policy = seat().policy});
    });
}

void Actor::complain(const std::string& what) const {
    board_.complain(std::string(name_of(seat().part)) + " of '" + seat().channel + "' (seat " +
                    std::to_string(life_.seat) + ", life " + std::to_string(life_.number) +
                    "): " + what);
}

void Actor::complain(const std::string& what, Errc why) const {
    complain(what + ": " + std::string(explain(why)));
}

}  // namespace shmpool::storm
