// SPDX-License-Identifier: Apache-2.0
/// The stack family: each kind by each of its paths, beside the living, who use the same heaps.
#include "heap_operation.hpp"
#include "stack_share.hpp"

namespace shmpool::sweep {
namespace {

using Act = bool (*)(SharedStackHeap&, const std::vector<StackHandle>&);

void take_blocks(Victim& victim, const char* heap, std::size_t count) {
    attach_for_heaps(victim);
    auto& stack = use(victim, victim.stack, victim.peer->stack_heap(heap));
    for (std::size_t i = 0; i < count; ++i) {
        victim.handles.push_back(must(stack.alloc(middle_len), "the victim's block"));
    }
}

/// Free, live, free, live.
void take_blocks_and_leave_gaps(Victim& victim, const char* heap) {
    take_blocks(victim, heap, 4);
    for (const std::size_t i : {0U, 2U}) {
        must(victim.stack->dealloc(victim.handles[i]), "the victim frees");
    }
}

Operation on_stack(const char* heap, const std::string& name, std::function<void(Victim&)> prepare,
                   Act act) {
    return in_heap(std::string(heap) + "/" + name, std::move(prepare),
                   [act](Victim& victim) { return act(*victim.stack, victim.handles); });
}

bool alloc_many(SharedStackHeap& stack, const std::vector<StackHandle>&) {
    return stack.alloc_bulk(stack_lengths).has_value();
}

// --- linear --------------------------------------------------------------------------------------

std::vector<Operation> of_linear() {
    using Stack = SharedStackHeap;
    using Handles = std::vector<StackHandle>;
    const auto named = [](const std::string& name, Act act) {
        return on_stack(
            linear_heap, name, [](Victim& victim) { take_blocks(victim, linear_heap, 3); }, act);
    };
    return {
        named("alloc",
              [](Stack& stack, const Handles&) { return stack.alloc(long_len).has_value(); }),
        named("grow",
              [](Stack& stack, const Handles& handles) {
                  return stack.realloc(handles[2], long_len).has_value();
              }),
        named("grow_what_is_not_the_last",
              [](Stack& stack, const Handles& handles) {
                  const auto grown = stack.realloc(handles[1], long_len);
                  return !grown && grown.error() == Errc::unsupported;
              }),
        named("shrink",
              [](Stack& stack, const Handles& handles) {
                  return stack.realloc(handles[2], short_len).has_value();
              }),
        named("dealloc",
              [](Stack& stack, const Handles& handles) {
                  return stack.dealloc(handles[2]).has_value();
              }),
        named("alloc_bulk", alloc_many),
        named("dealloc_bulk",
              [](Stack& stack, const Handles& handles) {
                  return stack.dealloc_bulk({handles.data() + 1, 2}).has_value();
              }),
    };
}

// --- the others ----------------------------------------------------------------------------------

std::vector<Operation> of_blocks(const char* heap) {
    using Stack = SharedStackHeap;
    using Handles = std::vector<StackHandle>;
    const auto named = [heap](const std::string& name, Act act) {
        return on_stack(
            heap, name, [heap](Victim& victim) { take_blocks_and_leave_gaps(victim, heap); }, act);
    };
    return {
        named("alloc",
              [](Stack& stack, const Handles&) { return stack.alloc(short_len).has_value(); }),
        named("alloc_at_the_end",
              [](Stack& stack, const Handles&) { return stack.alloc(long_len).has_value(); }),
        named("grow",
              [](Stack& stack, const Handles& handles) {
                  return stack.realloc(handles[1], long_len).has_value();
              }),
        named("grow_the_last",
              [](Stack& stack, const Handles& handles) {
                  return stack.realloc(handles[3], long_len).has_value();
              }),
        named("shrink",
              [](Stack& stack, const Handles& handles) {
                  return stack.realloc(handles[1], short_len).has_value();
              }),
        named("dealloc",
              [](Stack& stack, const Handles& handles) {
                  return stack.dealloc(handles[1]).has_value();
              }),
        named("dealloc_the_last",
              [](Stack& stack, const Handles& handles) {
                  return stack.dealloc(handles[3]).has_value();
              }),
        named("dealloc_twice",
              [](Stack& stack, const Handles& handles) { return !stack.dealloc(handles[0]); }),
        named("dealloc_bulk",
              [](Stack& stack, const Handles& handles) {
                  const StackHandle both[]{handles[1], handles[3]};
                  return stack.dealloc_bulk(both).has_value();
              }),
        named("recover", [](Stack& stack, const Handles&) { return stack.recover() == 0U; }),
    };
}

Operation allocating_many(const char* heap) {
    return on_stack(
        heap, "alloc_bulk", [heap](Victim& victim) { take_blocks_and_leave_gaps(victim, heap); },
        alloc_many);
}

}  // namespace

std::vector<Operation> stack_operations() {
    std::vector<Operation> all = of_linear();
    for (const char* const heap : {first_fit_heap, ghost_heap, slab_heaps[0], slab_heaps[1]}) {
        for (auto& one : of_blocks(heap)) all.push_back(std::move(one));
        if (heap != first_fit_heap) all.push_back(allocating_many(heap));
    }
    return all;
}

}  // namespace shmpool::sweep
