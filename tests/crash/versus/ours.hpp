// SPDX-License-Identifier: Apache-2.0
/// shmpool as a contestant: a real shmpoold, and peers that attach to it. A class of so few slots
/// has no magazines, so that each take and give is an exchange on the shared list: where a kill
/// hurts most.
#pragma once

#include <memory>

#include "contestant.hpp"
#include "tests/peer/running_host.hpp"

namespace shmpool::versus {

class Ours : public Contestant {
public:
    [[nodiscard]] const Traits& traits() const override { return traits_; }
    void renew() override;
    [[nodiscard]] std::unique_ptr<Worker> join(Role role) override;

private:
    class OurWorker;

    Traits traits_{.system = "shmpool",
                   .version = SHMPOOL_VERSION,
                   .notices_deaths = true,
                   .hands_on = true,
                   .grace = std::chrono::seconds(2)};
    std::unique_ptr<RunningHost> host_;
};

}  // namespace shmpool::versus
