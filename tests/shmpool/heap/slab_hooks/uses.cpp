// SPDX-License-Identifier: Apache-2.0
/// Uses a slab cache whose slabs come from the hooks that the program defines.
#include "shmpool/heap/private_slab_cache.hpp"

int main() {
    using Cache = shmpool::PrivateSlabCache<int, shmpool::SpinLock, 512, shmpool::LinkedSlabHooks>;
    auto cache = Cache::make();
    return cache && *cache->emplace(5).value() == 5 ? 0 : 1;
}
