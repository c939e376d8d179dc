// SPDX-License-Identifier: Apache-2.0
/// A heap that is a `managed_external_buffer` of Boost.Interprocess, with its named objects, its
/// best fit and its containers, in which every change is all there or not at all: whoever is killed
/// in it, or throws, leaves what was there before.
///
///   heap->change(me, [](BestFit& buffer) {
///       auto* const map = buffer.find_or_construct<Map>("orders")(buffer.get_segment_manager());
///       map->emplace(17, 4);
///   });
///   heap->look(me, [](BestFit& buffer) { return buffer.find<Map>("orders").first->size(); });
///
/// How: the body of a change works in a view of its own that nobody else sees (private_view.hpp),
/// at another address than the heap. When it returns, the words that it has changed go through the
/// heap's journal into the heap; then its view is what is in the heap again. Nothing that it does
/// is done to the heap itself, so nothing of the library's code has to be believed to survive a
/// kill. Each stay begins with a view in which nothing is but what is in the heap, so what somebody
/// writes to it between two stays, through an address that he has kept, gets nowhere.
///
/// So: everything in the heap is written in a `change`, and read in a `look` or a `change`; an
/// address means nothing behind its end. One change at a time, and no look beside it; readers too
/// wait for each other. What a body calls of this heap says would_block.
///
/// Not for memory that hostile peers write to: the library believes what it finds there, and who
/// works in a heap with nonsense in it may end by a signal, or never end. Nobody else does: the
/// host runs none of its code, and an audit believes nothing.
///
/// Class: logged. Threads and processes: as byte_heap.hpp says.
#pragma once

#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/managed_external_buffer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "shmpool/heap/best_fit_return.hpp"
#include "shmpool/heap/byte_heap.hpp"
#include "shmpool/platform/private_view.hpp"

namespace shmpool {

using BestFit = boost::interprocess::managed_external_buffer;
/// For containers of Boost.Interprocess: `BestFitAllocator<int>(buffer.get_segment_manager())`.
template <typename T>
using BestFitAllocator = boost::interprocess::allocator<T, BestFit::segment_manager>;

/// What a body returns: a value, an Outcome, or nothing.
template <typename T>
struct BestFitReturn {
    using Value = T;
};
template <typename T>
struct BestFitReturn<Outcome<T>> {
    using Value = T;
};

/// Does not own the memory.
class BestFitHeap {
public:
    virtual ~BestFitHeap() = default;

    /// body(BestFit&), which returns nothing, a value that holds no address, or an Outcome. After
    /// an error or an exception everything is as it was; exceptions go on to the caller, but for
    /// the library's own: no_memory, name_taken (an object of this name is there already).
    /// change_too_large; would_block, heap_damaged, system, unsupported (it was opened for audits).
    template <typename Body>
    auto change(HeapHolder holder, Body body) {
        return run(body, [&](const Step& step) { return change_by(holder, step); });
    }
    /// As `change`, and what the body changes is forgotten.
    template <typename Body>
    auto look(HeapHolder holder, Body body) {
        return run(body, [&](const Step& step) { return look_by(holder, step); });
    }

    /// `blocks`: objects with names, and unique ones.
    [[nodiscard]] virtual Outcome<HeapStatistics> statistics(HeapHolder holder) = 0;
    /// Walks over all blocks. Empty: all is right.
    [[nodiscard]] virtual Outcome<std::vector<HeapFinding>> audit(HeapHolder holder) = 0;
    /// Memory right behind what the heap has. unsupported: elsewhere.
    virtual Outcome<void> add_memory(HeapHolder holder, const HeapExtent& extent) = 0;
    /// Nothing is anybody's.
    static Outcome<std::uint64_t> reclaim(HeapHolder /*holder*/, const IsGone& /*is_gone*/) {
        return 0;
    }
    virtual void holder_died(HeapHolder holder) = 0;

protected:
    using Step = std::function<Outcome<void>(BestFit&)>;
    virtual Outcome<void> change_by(HeapHolder holder, const Step& step) = 0;
    virtual Outcome<void> look_by(HeapHolder holder, const Step& step) = 0;

private:
    template <typename Body, typename Run>
    static auto run(Body& body, Run run_step) {
        using Returned = std::invoke_result_t<Body&, BestFit&>;
        using Value = typename BestFitReturn<Returned>::Value;
        static_assert(!holds_address<Value>,
                      "an address means nothing behind the body's end, nor does what holds one: a "
                      "container of the buffer, what find() returns, an iterator");
        if constexpr (std::is_void_v<Returned>) {
            return run_step([&](BestFit& buffer) -> Outcome<void> {
                body(buffer);
                return {};
            });
        } else {
            std::optional<Outcome<Value>> returned;
            const Outcome<void> done = run_step([&](BestFit& buffer) -> Outcome<void> {
                returned.emplace(body(buffer));
                if (!*returned) return tl::unexpected(returned->error());
                return {};
            });
            return done ? *std::move(returned) : Outcome<Value>(tl::unexpected(done.error()));
        }
    }
};

/// As open_byte_heap; `place`: where the memory lies, and begins. config_mismatch too: the heap was
/// made by another release of Boost.
[[nodiscard]] Result<std::unique_ptr<BestFitHeap>> open_best_fit_heap(
    std::span<std::byte> memory, const MemoryPlace& place,
    std::chrono::nanoseconds patience = heap_patience);
/// For statistics, audits and more memory.
[[nodiscard]] Result<std::unique_ptr<BestFitHeap>> open_best_fit_heap_to_audit(
    std::span<std::byte> memory, std::chrono::nanoseconds patience = heap_patience);

}  // namespace shmpool
