// SPDX-License-Identifier: Apache-2.0
/// The sample of "All or nothing" in docs/HEAPS.md, word for word between the two marks. A test
/// compares them, and runs this program behind the commands of that page.
// clang-format off
// readme begin
#include <boost/interprocess/containers/map.hpp>
#include <cstdio>

#include "peer/best_fit.hpp"
#include "peer/peer.hpp"

using namespace shmpool;
struct Order { int amount; };
using Entry = std::pair<const int, Order>;
using Orders = boost::interprocess::map<int, Order, std::less<>, BestFitAllocator<Entry>>;

int main() {
    auto peer = Peer::attach("default").value();
    auto heap = peer.best_fit_heap("book").value();
    const auto done = heap.change([](BestFit& buffer) {    // kill -9 in here: nothing has happened
        auto& orders = *buffer.find_or_construct<Orders>("orders")(buffer.get_segment_manager());
        auto& total = *buffer.find_or_construct<int>("total")(0);
        if (orders.emplace(17, Order{42}).second) total += 42;
    });
    if (!done) return std::puts(std::string(explain(done.error())).c_str()), 1;
    const auto total =
        heap.look([](BestFit& buffer) { return *buffer.find<int>("total").first; });
    std::printf("total = %d\n", total.value());
}
// readme end
