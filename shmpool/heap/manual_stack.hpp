// SPDX-License-Identifier: Apache-2.0
/// A stack allocator that has no memory: for handles that are only coordinates, compared, sorted,
/// written into tokens. To give one back is no error, all else is `unsupported`; there is no stack
/// to read or write through. No state: there is nothing that a kill could leave half done.
#pragma once

#include "shmpool/heap/stack_heap.hpp"

namespace shmpool {

/// One for all.
class ManualStack {
public:
    [[nodiscard]] static ManualStack& get() {
        static ManualStack one;
        return one;
    }
    ManualStack(const ManualStack&) = delete;
    ManualStack& operator=(const ManualStack&) = delete;

    [[nodiscard]] Outcome<StackHandle> alloc(HeapHolder, std::uint64_t) {
        return fail(Errc::unsupported);
    }
    [[nodiscard]] Outcome<StackHandle> realloc(HeapHolder, const StackHandle&, std::uint64_t) {
        return fail(Errc::unsupported);
    }
    Outcome<void> dealloc(HeapHolder, const StackHandle&) { return {}; }
    [[nodiscard]] Outcome<std::uint64_t> len(HeapHolder) { return fail(Errc::unsupported); }
    [[nodiscard]] Outcome<bool> is_empty(HeapHolder) { return fail(Errc::unsupported); }
    [[nodiscard]] Outcome<std::span<std::byte>> stack() { return fail(Errc::unsupported); }

private:
    ManualStack() = default;
};
static_assert(StackAllocator<ManualStack>);

}  // namespace shmpool
