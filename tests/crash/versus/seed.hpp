// SPDX-License-Identifier: Apache-2.0
/// The seed's algorithm as a contestant. It has no host: who finds out that a peer is dead calls
/// `reclaim_peer_slots`, as the contest does at once.
#pragma once

#include <optional>

#include "contestant.hpp"
#include "seed_pool.hpp"
#include "tests/protocol/child_process.hpp"

namespace shmpool::versus {

class Seed : public Contestant {
public:
    [[nodiscard]] const Traits& traits() const override { return traits_; }
    void renew() override;
    [[nodiscard]] std::unique_ptr<Worker> join(Role role) override;
    void recover(Role dead) override;

private:
    struct Shared {
        SeedPool pool;
        /// What the sender hands to the reader; a real one has a ring.
        std::array<SeedPool::SlotRef, slots_read> handed_on;
        std::atomic<std::uint32_t> handed_on_count{0};
    };
    class SeedWorker;

    Traits traits_{
        .system = "seed's VarSlotPool", .version = "re-written baseline", .hands_on = true};
    std::optional<testing_protocol::SharedWithChildren<Shared>> shared_;
};

}  // namespace shmpool::versus
