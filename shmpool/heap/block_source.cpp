// SPDX-License-Identifier: Apache-2.0
#include "shmpool/heap/block_source.hpp"

#include <map>
#include <mutex>
#include <shared_mutex>

namespace shmpool {
namespace {

struct OpenHeaps {
    std::shared_mutex mutex;
    std::multimap<const HeapHeader*, BlockSource*> sources;
};

/// Never destroyed: containers with static lifetime may come later.
OpenHeaps& open_heaps() {
    static OpenHeaps* const all = new OpenHeaps;
    return *all;
}

/// The newest first; in a child of fork() those of the parent may lie where its own do.
template <typename Use>
auto with_source(const HeapHeader* heap, Use use) -> decltype(use(std::declval<BlockSource&>())) {
    OpenHeaps& all = open_heaps();
    const std::shared_lock lock(all.mutex);
    const auto [first, last] = all.sources.equal_range(heap);
    for (auto next = last; next != first;) {
        auto used = use(*(--next)->second);
        if (used || used.error() != Errc::forked) return used;
    }
    return fail(Errc::detached);
}

}  // namespace

OpenBlockSource::OpenBlockSource(BlockSource& source) : source_(source) {
    OpenHeaps& all = open_heaps();
    const std::scoped_lock lock(all.mutex);
    all.sources.emplace(&source.heap(), &source);
}

OpenBlockSource::~OpenBlockSource() {
    OpenHeaps& all = open_heaps();
    const std::scoped_lock lock(all.mutex);
    std::erase_if(all.sources, [this](const auto& one) { return one.second == &source_; });
}

Outcome<void*> allocate_in(const HeapHeader* heap, std::uint64_t bytes, std::uint64_t alignment) {
    return with_source(heap,
                       [&](BlockSource& source) { return source.allocate(bytes, alignment); });
}

Outcome<void> free_in(const HeapHeader* heap, void* block) {
    return with_source(heap, [&](BlockSource& source) { return source.free(block); });
}

}  // namespace shmpool
