// SPDX-License-Identifier: Apache-2.0
/// The stage of every play: a pool and the tables of the protocol in the arena, a host and a second
/// host that takes over when the first dies, and up to five players, each a thread of a peer. All
/// of them are production objects; the tables are laid out by hand only because a real segment
/// would lie in a memfd.
///
/// At the end of every path: the dead are taken back, the living read what is left and give back
/// what they hold, then every slot must be free, no list or table may name anybody any more, and
/// every reader must have got what was published to it: all, once, in order.
#pragma once

#include <deque>
#include <memory>

#include "explorer.hpp"
#include "protocol/channel_directory.hpp"
#include "protocol/reclaim_peer.hpp"
#include "shmpool/pool/var_slot_pool.hpp"

namespace shmpool::model {

class Player;

inline constexpr unsigned host_actor = 0;
inline constexpr unsigned second_host_actor = 1;
inline constexpr unsigned first_player = 2;

/// Of a play with one; two are the most.
inline constexpr const char* only_channel = "c";

struct Shape {
    std::vector<SizeClassConfig> classes = {{64, 3}};
    std::uint32_t lanes = 4;
    std::uint32_t subscribers = 4;  ///< The table's size; a full one has its records recycled.
    ChannelPolicy policy = ChannelPolicy::block;
};

class World {
public:
    explicit World(const Shape& shape = {});
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    /// A peer with one thread; or, one more thread of `sibling`'s peer.
    Player& add_player(const std::string& name, const Player* sibling = nullptr);
    Player& add_player_without_lane(const std::string& name, const Player* sibling = nullptr);

    /// A peer, the first of all, that does nothing but hold `count` slots of class 0, so that few
    /// are left.
    void occupy(std::uint32_t count);

    [[nodiscard]] Player& player(std::string_view name);

    /// The class has so many slots more, in an extent of their own, before the play begins.
    void grow_first(std::uint32_t slot_count);

    /// Something that the host does once, when `ready`; the second host does it again if the first
    /// dies meanwhile. It gets the acting host's directory, or its lane.
    void add_duty(std::function<bool()> ready, std::function<void(ChannelDirectory&)> run);
    void add_duty(std::function<void(Lane&)> run);

    /// What the acting host has opened; private memory of the host, read by whoever had asked.
    void answer(const Opened& opened);
    [[nodiscard]] bool has_answered() const;
    [[nodiscard]] Opened answered() const;

    /// As this actor has it. Of a class that grows each knows for itself how far.
    [[nodiscard]] VarSlotPool& pool(unsigned actor) {
        return own_pools_[actor] != nullptr ? *own_pools_[actor] : *pool_;
    }
    [[nodiscard]] const ProtocolView& view() const { return view_; }
    [[nodiscard]] ChannelDirectory& directory();
    [[nodiscard]] ChannelRequest request(const std::string& channel = only_channel) const;
    [[nodiscard]] ChannelPolicy policy() const { return policy_; }
    /// Whether the peer's process is dead.
    [[nodiscard]] static bool dead(unsigned process) { return machine().process_dead(process); }

    [[nodiscard]] bool lane_is_free(std::uint32_t lane_index) const;

    /// Looks for more at every end; before anything is given back.
    void also_look(std::function<void()> look) { looks_.push_back(std::move(look)); }

    [[nodiscard]] Play play(const std::shared_ptr<World>& self);

private:
    struct Host {
        std::unique_ptr<Lane> lane;
        std::unique_ptr<ChannelDirectory> directory;
        std::unique_ptr<PeerReclaim> reclaim;
        std::uint64_t duties_done = 0;
        std::uint64_t has_answered = 0;
        Opened answer;
    };
    struct Duty {
        std::function<bool()> ready;
        std::function<void(Host&)> run;
    };

    void make_tables();
    [[nodiscard]] std::uint32_t admit_peer();
    void open_own_pool(unsigned actor);
    void begin_office(unsigned actor);
    void take_over();
    [[nodiscard]] bool has_work(const Host& host) const;
    void serve(Host& host);
    [[nodiscard]] bool awaits_reclaim(const Player& player) const;
    [[nodiscard]] Host& acting_host() { return *hosts_[dead(host_actor) ? 1 : 0]; }
    [[nodiscard]] std::string name_of(const void* address) const;

    void look_at_end();
    void reclaim_all(bool dead_ones, EndpointState how, bool must_finish);
    void expect_nothing_of(const Player& player);
    [[nodiscard]] std::optional<VarSlotPool> opened_anew() const;
    void expect_sound(const std::string& when);
    void expect_all_free(const std::string& when, std::uint32_t occupied);
    void expect_tables_empty();

    const ChannelPolicy policy_;
    const std::uint32_t subscriber_limit_;
    const bool grows_;
    PoolRegion region_;
    std::optional<VarSlotPool> pool_;
    VarSlotPool* own_pools_[actors_max] = {};  ///< In the heaps of their actors; if a class grows.
    ProtocolView view_;
    Host* hosts_[2] = {};  ///< In the heaps of their actors.
    std::deque<Player> players_;
    std::vector<Duty> duties_;
    std::vector<std::function<void()>> looks_;
    std::unique_ptr<Lane> bystander_;
    std::uint32_t peers_ = 0;
    std::uint32_t occupied_ = 0;
};

}  // namespace shmpool::model
