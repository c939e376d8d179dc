// SPDX-License-Identifier: Apache-2.0
#include "host/pool_service.hpp"

#include <utility>

namespace shmpool::host {

Result<PoolParts> PoolParts::create(const PoolConfig& config) {
    auto steward = SegmentSteward::create(config);
    if (!steward) return tl::unexpected(steward.error());
    auto beacons = BeaconWatcher::create();
    if (!beacons) return tl::unexpected(beacons.error());
    return PoolParts{std::move(*steward), std::move(*beacons)};
}

PoolService::PoolService(PoolParts parts, const PoolSurroundings& around)
    : parts_(std::move(parts)),
      steward(*parts_.steward),
      beacons(*parts_.beacons),
      directory(steward.pool(), steward.lane(), steward.view()),
      registry(steward.view(), around.config.quota),
      reaper(steward, directory, registry, beacons, around.queue, around.config, around.log),
      desk(steward, directory, registry, reaper, beacons, around.queue, around.config, around.log),
      server(around.listener, around.closer, desk, reaper, around.queue, around.log),
      damage(steward, directory, around.log) {}

}  // namespace shmpool::host
