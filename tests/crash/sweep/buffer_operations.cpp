// SPDX-License-Identifier: Apache-2.0
/// The buffer of Boost.Interprocess (kind best_fit): changes and looks beside the living, who have
/// entries in the same ledger. What a body does is done in a view that nobody sees; what can be
/// seen are the stores into the heap behind it.
#include "buffer_share.hpp"
#include "heap_operation.hpp"
#include "peer/best_fit.hpp"
#include "tests/crash/ledger.hpp"

namespace shmpool::sweep {
namespace {

using test::Ledger;

constexpr int amount = 7;

/// Behind those of the rivals, and of each victim others.
int key_of(const Victim& victim, int number) {
    return static_cast<int>(victim.writer) * 8 + number;
}

bool insert(Victim& victim, int number) {
    const auto done = victim.buffer->change(
        [&](BestFit& buffer) { return Ledger(buffer).insert(key_of(victim, number), amount); });
    return done.value_or(false);
}

bool erase(Victim& victim, int number) {
    const auto done = victim.buffer->change(
        [&](BestFit& buffer) { return Ledger(buffer).erase(key_of(victim, number)); });
    return done.value_or(false);
}

bool construct(Victim& victim) {
    return victim.buffer
        ->change([](BestFit& buffer) { (void)buffer.construct<int>(constructed)(amount); })
        .has_value();
}

bool look(Victim& victim) {
    const auto right = victim.buffer->look([&](BestFit& buffer) {
        const Ledger ledger(buffer);
        return ledger.is_balanced() && ledger.has(key_of(victim, 1), amount);
    });
    return right.value_or(false);
}

/// All is done once before: else it would depend on the bytes of free memory, which rivals have
/// left, how many words a change has to write.
void rehearse(Victim& victim) {
    attach_for_heaps(victim);
    victim.buffer = std::make_shared<SharedBestFitHeap>(
        must(victim.peer->best_fit_heap(buffer_heap), "the victim's buffer"));
    victim.watch(victim.buffer->memory());
    for (int number = 0; number < 4; ++number) must(insert(victim, number), "the victim's entry");
    for (const int number : {1, 3}) must(erase(victim, number), "the victim erases");
    must(insert(victim, 1), "the victim's entry");
    must(construct(victim), "the victim's object");
    must(victim.buffer->change([](BestFit& buffer) { buffer.destroy<int>(constructed); }),
         "the victim destroys");
}

/// Its error undoes it, at whatever instruction it is killed.
bool change_for_nothing(Victim& victim) {
    const auto refused = victim.buffer->change([&](BestFit& buffer) -> Outcome<void> {
        Ledger(buffer).erase_all();
        return fail(Errc::unsupported);
    });
    return !refused && refused.error() == Errc::unsupported;
}

}  // namespace

std::vector<Operation> buffer_operations() {
    return {
        in_heap("buffer/insert", rehearse, [](Victim& victim) { return insert(victim, 3); }),
        in_heap("buffer/erase", rehearse, [](Victim& victim) { return erase(victim, 1); }),
        in_heap("buffer/look", rehearse, look),
        in_heap("buffer/construct", rehearse, construct),
        in_heap("buffer/change_for_nothing", rehearse, change_for_nothing),
    };
}

}  // namespace shmpool::sweep
