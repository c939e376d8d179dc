// SPDX-License-Identifier: Apache-2.0
/// What a body may not return, since it holds an address; see refuses_addresses.
#include "tests/shmpool/heap/own_best_fit.hpp"

namespace shmpool {

auto returned(BestFitHeap& heap) {
    return heap.look(1, [](BestFit& buffer) {
#if RETURNS == 1
        return buffer.find<int>("number");
#else
        return test::map_in(buffer).begin()->second;
#endif
    });
}

}  // namespace shmpool
