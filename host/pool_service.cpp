// SPDX-License-Identifier: Apache-2.0
#include "host/pool_service.hpp"

#include <utility>

namespace shmpool::host {

Result<PoolParts> PoolParts::create(const PoolConfig& config) {
    auto steward = SegmentSteward::create(config);
    if (!steward) return tl::unexpected(steward.error());
    return around(std::move(*steward));
}

Result<PoolParts> PoolParts::around(std::unique_ptr<SegmentSteward> steward) {
    auto beacons = BeaconWatcher::create();
    if (!beacons) return tl::unexpected(beacons.error());
    auto flag = EventFlag::create();
    if (!flag) return tl::unexpected(flag.error());
    auto builder = std::make_unique<HeapThread>(std::move(*flag));
    steward->heaps().build_with(*builder);
    return PoolParts{std::move(steward), std::move(*beacons), std::move(builder)};
}

PoolService::PoolService(PoolParts parts, const PoolSurroundings& around)
    : parts_(std::move(parts)),
      steward(*parts_.steward),
      beacons(*parts_.beacons),
      builder(*parts_.builder),
      directory(steward.pool(), steward.lane(), steward.view()),
      registry(steward.view(), around.config.quota),
      reaper(steward, directory, registry, beacons, around.queue, around.config, around.log),
      desk(steward, directory, registry, reaper, beacons, around.queue, around.config, around.log),
      server(around.listener, around.closer, desk, reaper, around.queue, around.log),
      damage(steward, directory, around.log) {}

}  // namespace shmpool::host
