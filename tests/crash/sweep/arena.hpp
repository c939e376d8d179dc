// SPDX-License-Identifier: Apache-2.0
/// Where a sweep takes place: a real host over a small segment, and the rivals, who live on from
/// one kill to the next. After a kill it draws up the account: lets the living work until the host
/// has done with the dead, then lets them rest, and counts everything.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "board.hpp"
#include "peer/cli/observer.hpp"
#include "tests/peer/running_host.hpp"
#include "tests/protocol/child_process.hpp"

namespace shmpool::sweep {

/// What one kill has done that it must not.
struct Account {
    std::uint32_t lost = 0;     ///< Slots that nobody gets any more.
    std::uint32_t doubled = 0;  ///< Slots handed out twice, or payloads of the living overwritten.
    std::uint32_t stuck = 0;    ///< Somebody living waits, or the host never comes to an end.
    std::uint32_t broken = 0;   ///< Findings of the audits, and messages that did not arrive.
    std::string text;

    [[nodiscard]] bool is_clean() const { return lost + doubled + stuck + broken == 0; }
};

struct ArenaOptions {
    std::string pool = "sweep";
    Limits limits = Limits::none;
    std::string more_config{};
};

class ConfigFile;

class Arena {
public:
    explicit Arena(ArenaOptions options = {});
    ~Arena();
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    [[nodiscard]] Board& board() { return *board_; }
    [[nodiscard]] const std::string& pool() const { return host_->pool(); }
    /// What all share, but for the payloads. Read-only.
    [[nodiscard]] std::span<const std::byte> control_memory() const;
    /// Tops of all free lists.
    [[nodiscard]] std::vector<std::uint64_t> list_heads() const;

    /// The living have nothing, and nobody else is there.
    [[nodiscard]] Account settle();

    /// Whoever waits longer is stuck. Only turns a hang into a finding.
    void set_patience(std::chrono::seconds patience);

    /// After an account that is not clean: everything as new.
    void renew();

    /// As the host shows it; none if it knows no such process.
    [[nodiscard]] std::optional<PeerState> state_of(pid_t process) const;
    /// kill -9 of the host, and the next one over the same segment.
    void replace_host();

private:
    /// How many of everything are in use: as before, when the host has done with a dead peer.
    struct InUse {
        std::uint32_t peers = 0;
        std::uint32_t lanes = 0;
        std::uint32_t publishers = 0;
        std::uint32_t subscribers = 0;
        std::uint32_t rings = 0;
        [[nodiscard]] std::string text() const;
        friend bool operator==(const InUse&, const InUse&) = default;
    };

    [[nodiscard]] InUse in_use() const;
    void let_play(Order order, Account& account);
    void await_end_of_the_dead(Account& account);
    void count_slots(Account& account);
    void ask_about_heaps(Account& account);
    void audit_all(Account& account) const;
    void ask_rivals(Account& account);

    ArenaOptions options_;
    std::unique_ptr<ConfigFile> config_;
    std::chrono::seconds patience_{20};
    testing_protocol::SharedWithChildren<Board> board_;
    std::unique_ptr<RunningHost> host_;
    std::optional<cli::Observer> observer_;
    std::vector<testing_protocol::ChildProcess> rivals_;
    InUse living_;
};

}  // namespace shmpool::sweep
