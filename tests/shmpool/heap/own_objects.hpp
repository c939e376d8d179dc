// SPDX-License-Identifier: Apache-2.0
/// A slab cache of a test.
#pragma once

#include <memory>
#include <vector>

#include "shmpool/heap/object_heap.hpp"
#include "shmpool/heap/object_slab_plan.hpp"
#include "tests/shmpool/heap/own_heap.hpp"

namespace shmpool::test {

struct OwnObjectsOptions {
    std::uint64_t object_bytes = 64;
    std::uint64_t slab_bytes = 4096;
    std::size_t memory_bytes = 1 << 20;
    HeapExtent region{};
    bool owned = false;
};

/// Whole when it ends.
class OwnObjects {
public:
    static constexpr HeapHolder me = 1;

    explicit OwnObjects(const OwnObjectsOptions& wanted = {})
        : memory(wanted.memory_bytes, std::max<std::size_t>(wanted.slab_bytes, page_bytes)) {
        HeapOptions options;
        options.block_bytes = wanted.object_bytes;
        options.bytes_per_page = wanted.slab_bytes;
        options.map_alignment = std::max<std::uint64_t>(wanted.slab_bytes, page_bytes);
        options.first_region = wanted.region;
        options.owned = wanted.owned;
        const auto formatted = format_heap(memory.view(), HeapKind::slab_cache, options);
        EXPECT_TRUE(formatted) << formatted.error().message;
        heap = *open_object_heap(memory.view());
        shape = object_slab::Shape::of(wanted.object_bytes, wanted.slab_bytes, wanted.owned);
    }
    ~OwnObjects() { EXPECT_EQ(broken(*heap, me), ""); }
    OwnObjects(const OwnObjects&) = delete;
    OwnObjects& operator=(const OwnObjects&) = delete;

    HeapOffset allocate() { return heap->allocate(me).value(); }
    std::vector<HeapOffset> allocate(std::uint64_t count) {
        std::vector<HeapOffset> objects;
        while (objects.size() < count) objects.push_back(allocate());
        return objects;
    }
    std::vector<HeapOffset> allocate_all() {
        std::vector<HeapOffset> objects;
        while (const auto object = heap->allocate(me)) objects.push_back(*object);
        return objects;
    }
    void free(HeapOffset object) {
        const auto freed = heap->free(me, object);
        ASSERT_TRUE(freed) << object << ": " << name_of(freed.error());
    }
    /// Nothing changes.
    void expect_free_fails(HeapOffset object) {
        const std::uint64_t before = now().used_objects;
        const auto freed = heap->free(me, object);
        ASSERT_FALSE(freed) << object;
        EXPECT_EQ(freed.error(), Errc::not_allocated) << object;
        EXPECT_EQ(now().used_objects, before);
        EXPECT_FALSE(heap->is_live(me, object).value()) << object;
    }
    [[nodiscard]] ObjectStatistics now() { return heap->statistics(me).value(); }
    [[nodiscard]] HeapHeader& header() const {
        return *reinterpret_cast<HeapHeader*>(memory.view().data());
    }
    [[nodiscard]] std::uint64_t& word(HeapOffset at) const {
        return *reinterpret_cast<std::uint64_t*>(memory.view().data() + at);
    }

    HeapMemory memory;
    std::unique_ptr<ObjectHeap> heap;
    object_slab::Shape shape;
};

}  // namespace shmpool::test
