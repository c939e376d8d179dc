// SPDX-License-Identifier: Apache-2.0
/// A best_fit heap of a test, and what lies in it: a map with a name.
#pragma once

#include <boost/interprocess/containers/map.hpp>
#include <boost/interprocess/containers/string.hpp>
#include <functional>
#include <memory>
#include <utility>

#include "shmpool/heap/best_fit.hpp"
#include "shmpool/heap/heap_format.hpp"
#include "tests/shmpool/heap/own_heap.hpp"

namespace shmpool::test {

using BestFitText =
    boost::interprocess::basic_string<char, std::char_traits<char>, BestFitAllocator<char>>;
using BestFitMap = boost::interprocess::map<int, BestFitText, std::less<>,
                                            BestFitAllocator<std::pair<const int, BestFitText>>>;

inline BestFitMap& map_in(BestFit& buffer) {
    return *buffer.find_or_construct<BestFitMap>("map")(buffer.get_segment_manager());
}
inline void put(BestFit& buffer, int key, const char* text) {
    map_in(buffer).insert_or_assign(key, BestFitText(text, buffer.get_segment_manager()));
}

/// All of the map as one text.
template <typename Heap>
[[nodiscard]] Outcome<std::string> read_map(Heap& heap, HeapHolder holder) {
    return heap.look(holder, [](BestFit& buffer) {
        std::string all;
        for (const auto& [key, text] : map_in(buffer)) {
            all += std::to_string(key) + "=" + text.c_str() + " ";
        }
        return all;
    });
}

class OwnBestFit {
public:
    static constexpr HeapHolder me = 1;

    explicit OwnBestFit(std::size_t memory_bytes = 1 << 20, const HeapOptions& options = {})
        : memory(memory_bytes) {
        EXPECT_TRUE(format_heap(memory.view(), HeapKind::best_fit, options));
        heap = open(memory.view());
    }
    ~OwnBestFit() { EXPECT_EQ(broken(*heap, me), ""); }
    OwnBestFit(const OwnBestFit&) = delete;
    OwnBestFit& operator=(const OwnBestFit&) = delete;

    /// As another process would, at its address.
    [[nodiscard]] std::unique_ptr<BestFitHeap> open(std::span<std::byte> view) const {
        return open_best_fit_heap(view, {memory.object(), 0}, std::chrono::nanoseconds::zero())
            .value();
    }
    void put(int key, const char* text) {
        ASSERT_TRUE(heap->change(me, [&](BestFit& buffer) { test::put(buffer, key, text); }));
    }
    [[nodiscard]] std::string read() { return read_map(*heap, me).value(); }
    [[nodiscard]] HeapStatistics now() { return heap->statistics(me).value(); }

    HeapMemory memory;
    std::unique_ptr<BestFitHeap> heap;
};

}  // namespace shmpool::test
