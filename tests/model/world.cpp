// SPDX-License-Identifier: Apache-2.0
#include "world.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "player.hpp"
#include "shmpool/pool/growth.hpp"
#include "shmpool/pool/pool_audit.hpp"
#include "shmpool/pool/pool_statistics.hpp"
#include "shmpool/pool/reclaim.hpp"

namespace shmpool::model {
namespace {

constexpr std::uint32_t peer_limit = 6;
constexpr std::uint32_t publishers_per_channel = 2;

template <typename Image>
Table<Image> make_table(std::uint32_t count, std::uint32_t more_bytes = 0) {
    const auto item_bytes = static_cast<std::uint32_t>(
        (sizeof(Image) + more_bytes + alignof(Image) - 1) / alignof(Image) * alignof(Image));
    return {take_shared(std::size_t{item_bytes} * count).data(), count, item_bytes};
}

/// Of a word of the host's own, outside of any actor's turn.
std::uint32_t peek(const Atomic<std::uint32_t>& word) {
    std::uint32_t value = 0;
    std::memcpy(&value, static_cast<const void*>(&word), sizeof value);
    return value;
}

template <typename State>
bool is(const Atomic<std::uint32_t>& word, State state) {
    return peek(word) == static_cast<std::uint32_t>(state);
}

void report(const std::string& what) {
    machine().report(what);
}

}  // namespace

World::World(const Shape& shape)
    : policy_(shape.policy),
      subscriber_limit_(shape.subscribers),
      grows_(std::ranges::any_of(shape.classes, &SizeClassConfig::grows)) {
    const PoolLayout layout = *plan_pool(shape.classes, shape.lanes);
    region_ = {take_shared(layout.control_bytes), take_shared(layout.payload_bytes)};
    pool_ = *VarSlotPool::init(region_, shape.classes, shape.lanes);
    make_tables();
    for (const unsigned host : {host_actor, second_host_actor}) {
        open_own_pool(host);
        const HeapScope heap(host);
        hosts_[host] = new Host;
    }
    const HeapScope heap(host_actor);
    begin_office(host_actor);
}

void World::open_own_pool(unsigned actor) {
    if (!grows_) return;
    const HeapScope heap(actor);
    own_pools_[actor] = new VarSlotPool(*VarSlotPool::attach(region_));
}

World::~World() = default;

void World::make_tables() {
    view_.peers = make_table<PeerImage>(peer_limit);
    view_.channels = make_table<ChannelImage>(2);
    view_.publishers = make_table<PublisherImage>(2);
    view_.subscribers = make_table<SubscriberImage>(subscriber_limit_,
                                                    publishers_per_channel * sizeof(std::uint32_t));
    view_.rings = make_table<RingImage>(4);
    view_.entries = make_table<RingEntry>(16);
    view_.publishers_per_channel = publishers_per_channel;
}

std::uint32_t World::admit_peer() {
    PeerImage& peer = view_.peers.at(peers_);
    peer.incarnation.store(1, std::memory_order_relaxed);
    peer.state.store(static_cast<std::uint32_t>(PeerState::attached), std::memory_order_relaxed);
    return peers_++;
}

Player& World::add_player(const std::string& name, const Player* sibling) {
    Player& player = add_player_without_lane(name, sibling);
    return player.first([](Player& me) { me.claim_lane(); });
}

Player& World::add_player_without_lane(const std::string& name, const Player* sibling) {
    const auto actor = static_cast<unsigned>(first_player + players_.size());
    open_own_pool(actor);
    return players_.emplace_back(*this, name, actor,
                                 sibling == nullptr ? actor : sibling->process(),
                                 sibling == nullptr ? admit_peer() : sibling->peer());
}

Player& World::player(std::string_view name) {
    return *std::ranges::find(players_, name, &Player::name);
}

void World::answer(const Opened& opened) {
    acting_host().answer = opened;
    acting_host().has_answered = 1;
}

bool World::has_answered() const {
    return hosts_[0]->has_answered != 0 || hosts_[1]->has_answered != 0;
}

Opened World::answered() const {
    return hosts_[0]->has_answered != 0 ? hosts_[0]->answer : hosts_[1]->answer;
}

void World::occupy(std::uint32_t count) {
    if (peers_ != 0) std::abort();  // The bystander is peer 0.
    bystander_ = *pool_->open_lane(owner_of_peer(admit_peer(), 1));
    for (; occupied_ < count; ++occupied_) (void)pool_->loan(*bystander_, 1);
}

void World::grow_first(std::uint32_t slot_count) {
    const PoolView& pool = own_pools_[host_actor]->view();
    open_extent(pool, *hosts_[0]->lane, *plan_growth(pool, 0, slot_count));
}

void World::add_duty(std::function<bool()> ready, std::function<void(ChannelDirectory&)> run) {
    duties_.push_back(
        {std::move(ready), [run = std::move(run)](Host& host) { run(*host.directory); }});
}

void World::add_duty(std::function<void(Lane&)> run) {
    duties_.push_back(
        {[] { return true; }, [run = std::move(run)](Host& host) { run(*host.lane); }});
}

ChannelDirectory& World::directory() {
    return *hosts_[0]->directory;
}

ChannelRequest World::request(const std::string& channel) const {
    ChannelRequest request;
    request.channel = channel;
    request.policy = policy_;
    return request;
}

Play World::play(const std::shared_ptr<World>& self) {
    Play play;
    play.host_process = host_actor;
    play.second_host = second_host_actor;
    play.host_waits_for_deaths_only = duties_.empty();
    play.at_end = [self] { self->look_at_end(); };
    play.name_of = [self](const void* address) { return self->name_of(address); };
    play.scripts.resize(first_player);
    for (const unsigned host : {host_actor, second_host_actor}) {
        Script& script = play.scripts[host];
        script.name = host == host_actor ? "host" : "host 2";
        script.process = host;
        if (host == second_host_actor) {
            script.verbs.push_back(
                {[self] { self->take_over(); }, [] { return dead(host_actor); }});
        }
        for (std::size_t i = 0; i < duties_.size() + players_.size(); ++i) {
            script.verbs.push_back({[self, host] { self->serve(*self->hosts_[host]); },
                                    [self, host] { return self->has_work(*self->hosts_[host]); }});
        }
    }
    for (const Player& player : players_) {
        play.scripts.push_back({player.name(), player.process(), player.verbs()});
    }
    return play;
}

// --- the host ------------------------------------------------------------------------------------

void World::begin_office(unsigned actor) {
    Host& host = *hosts_[actor];
    VarSlotPool& mine = pool(actor);
    host.lane = std::make_unique<Lane>(mine.view(), host_lane);
    host.directory = std::make_unique<ChannelDirectory>(mine, *host.lane, view_);
    host.reclaim = std::make_unique<PeerReclaim>(mine, *host.lane, view_, *host.directory);
}

/// The old host's own lane first: nobody else looks after it.
void World::take_over() {
    VarSlotPool& mine = pool(second_host_actor);
    recover_intent(mine.view(), host_lane);
    Host& host = *hosts_[1];
    host.lane = std::make_unique<Lane>(mine.view(), host_lane);
    (void)sweep_lane(mine, *host.lane, host_lane, [](std::uint32_t, SlotKey) { return false; });
    begin_office(second_host_actor);
}

bool World::awaits_reclaim(const Player& player) const {
    const PeerImage& peer = view_.peers.at(player.peer());
    return player.dead() && !is(peer.state, PeerState::empty) &&
           !is(peer.state, PeerState::lingering);
}

bool World::lane_is_free(std::uint32_t lane_index) const {
    std::uint64_t owner = 0;
    std::memcpy(&owner, static_cast<const void*>(&pool_->view().lanes[lane_index].owner),
                sizeof owner);
    return owner == 0;
}

bool World::has_work(const Host& host) const {
    for (const Player& player : players_) {
        if (awaits_reclaim(player)) return true;
    }
    for (std::size_t i = 0; i < duties_.size(); ++i) {
        if ((host.duties_done >> i & 1) == 0 && duties_[i].ready()) return true;
    }
    return false;
}

void World::serve(Host& host) {
    for (const Player& player : players_) {
        if (!awaits_reclaim(player)) continue;
        (void)host.reclaim->reclaim(player.peer(), EndpointState::died);
        return;
    }
    for (std::size_t i = 0; i < duties_.size(); ++i) {
        if ((host.duties_done >> i & 1) != 0 || !duties_[i].ready()) continue;
        duties_[i].run(host);
        host.duties_done |= std::uint64_t{1} << i;
        return;
    }
}

// --- at the end of a path ------------------------------------------------------------------------

void World::look_at_end() {
    for (const auto& look : looks_) look();
    reclaim_all(true, EndpointState::died, false);
    expect_sound("when the dead were taken back for the first time");
    for (Player& reader : players_) {
        if (!reader.dead()) reader.read_the_rest();
        for (const Player& writer : players_) reader.expect_all_of(writer);
        if (!reader.dead()) reader.give_everything_back();
    }
    reclaim_all(true, EndpointState::died, true);
    expect_all_free("when the dead were taken back", occupied_);
    reclaim_all(false, EndpointState::left, false);
    reclaim_all(false, EndpointState::left, true);
    expect_all_free("when everybody had left", 0);
    expect_tables_empty();
}

void World::reclaim_all(bool dead_ones, EndpointState how, bool must_finish) {
    const HeapScope heap(dead(host_actor) ? second_host_actor : host_actor);
    for (const Player& player : players_) {
        if (player.dead() != dead_ones) continue;
        const bool finished = acting_host().reclaim->reclaim(player.peer(), how).finished;
        if (finished) expect_nothing_of(player);
        if (must_finish && !finished) report("the peer of " + player.name() + " lingers for ever");
    }
    if (bystander_ != nullptr && !dead_ones) (void)acting_host().reclaim->reclaim(0, how);
}

/// Whoever gets the peer's number next must not inherit anything.
void World::expect_nothing_of(const Player& player) {
    const auto expect_other = [&player](const auto& table, const char* what) {
        for (std::uint32_t i = 0; i < table.count; ++i) {
            if (is(table.at(i).state, EndpointState::empty)) continue;
            if (peek(table.at(i).peer_index) != player.peer() || !player.dead()) continue;
            report("a " + std::string(what) + " still names the peer of " + player.name());
        }
    };
    expect_other(view_.publishers, "publisher");
}

/// Whoever looks at an end must not know how far the class had grown at another one.
std::optional<VarSlotPool> World::opened_anew() const {
    if (!grows_) return std::nullopt;
    return *VarSlotPool::attach(region_);
}

void World::expect_sound(const std::string& when) {
    const auto anew = opened_anew();
    for (const AuditFinding& finding : audit((anew ? *anew : *pool_).view(), 3)) {
        report(when + ": " + finding.invariant + " class " + std::to_string(finding.class_index) +
               " slot " + std::to_string(finding.slot_index) + ": " + finding.text);
    }
}

void World::expect_all_free(const std::string& when, std::uint32_t occupied) {
    expect_sound(when);
    const auto anew = opened_anew();
    const auto classes = read_statistics((anew ? *anew : *pool_).view());
    for (std::size_t i = 0; i < classes.size(); ++i) {
        const ClassStatistics& one = classes[i];
        if (one.free + (i == 0 ? occupied : 0) == one.slot_count) continue;
        report(when + ": class " + std::to_string(i) + ": of " + std::to_string(one.slot_count) +
               " slots " + std::to_string(one.cached) + " are cached, " +
               std::to_string(one.loaned) + " on loan, " + std::to_string(one.published) +
               " published, " + std::to_string(one.in_transit) + " in transit");
    }
}

void World::expect_tables_empty() {
    const HeapScope heap(dead(host_actor) ? second_host_actor : host_actor);
    (void)acting_host().directory->maintain();
    acting_host().directory->recycle_leases();
    const auto expect_empty = [](const auto& table, const char* what) {
        for (std::uint32_t i = 0; i < table.count; ++i) {
            if (is(table.at(i).state, EndpointState::empty)) continue;
            report(std::string("a ") + what + " is never free again");
        }
    };
    expect_empty(view_.rings, "ring");
    expect_empty(view_.publishers, "publisher");
    expect_empty(view_.subscribers, "subscriber");
}

}  // namespace shmpool::model
