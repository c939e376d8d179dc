// SPDX-License-Identifier: Apache-2.0
/// See machine.hpp. A fiber's context is one pointer into its stack (Boost.Context), so a copy of
/// the used part of stack and heap is the whole actor.
#include "machine.hpp"

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "shmpool/platform/crash_point.hpp"

namespace shmpool::model {
namespace {

using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

constexpr std::uint64_t mixed(std::uint64_t value) {
    value = (value ^ (value >> 32)) * 0xD6E8FEB86659FD93;
    value = (value ^ (value >> 32)) * 0xD6E8FEB86659FD93;
    return value ^ (value >> 32);
}

std::uint64_t number_of(const void* address) {
    return reinterpret_cast<std::uintptr_t>(address);
}

}  // namespace

void Hash::add(std::uint64_t value) {
    low = mixed(low ^ value);
    high = mixed(high + std::rotl(value, 23)) + 1;
}

void Hash::add_bytes(std::span<const std::byte> bytes) {
    for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data() + at, sizeof word);
        if (word != 0) add(word ^ (at << 40));
    }
    add(bytes.size());
}

void Hash::toggle(std::uint64_t address, std::uint64_t value) {
    low ^= mixed(mixed(address) + value);
    high ^= mixed(mixed(value + 0x5851F42D4C957F2D) ^ address);
}

Machine the_machine;

// --- the explorer's side -----------------------------------------------------------------------

void Machine::clear() {
    scripts_.clear();
    actors_ = {};
    dead_ = woken_ = 0;
    events_.clear();
    saved_.clear();
    violation_.clear();
}

void Machine::begin(std::vector<Script> scripts) {
    scripts_ = std::move(scripts);
    memory_ = {};
    undo_.clear();
    crash_hook.store([](const char* place) { machine().pass(place); });
    for (unsigned i = 0; i < actor_count(); ++i) {
        actors_[i].context = make_fcontext(stack_end(i), stack_bytes, run_script);
        actors_[i].history.add(i);
    }
}

bool Machine::process_dead(unsigned process) const {
    for (unsigned i = 0; i < actor_count(); ++i) {
        if (scripts_[i].process == process) return dead(i);
    }
    return false;
}

bool Machine::can_move(unsigned actor) const {
    if (dead(actor)) return false;
    const Actor& one = actors_[actor];
    switch (one.next.kind) {
        case StepKind::finished: return false;
        case StepKind::sleep: return (woken_ & only(actor)) != 0;
        case StepKind::verb: {
            if (one.verb >= scripts_[actor].verbs.size()) return false;
            const Verb& verb = scripts_[actor].verbs[one.verb];
            return !verb.ready || verb.ready();
        }
        default: return true;
    }
}

void Machine::move(unsigned actor) {
    const HeapScope heap(actor);
    running_ = actor;
    actors_[actor].context = jump_fcontext(actors_[actor].context, nullptr).fctx;
    running_ = nobody;
}

void Machine::kill(unsigned process) {
    for (unsigned i = 0; i < actor_count(); ++i) {
        if (scripts_[i].process != process || dead(i)) continue;
        dead_ = static_cast<ActorSet>(dead_ | only(i));
        events_.push_back(
            {i, {StepKind::killed, nullptr, actors_[i].next.site}, 0, actors_[i].place});
    }
}

Machine::Mark Machine::mark(unsigned actor) {
    const Mark mark{undo_.size(), events_.size(), saved_.size(), memory_, dead_, woken_};
    if (actor == nobody) return mark;
    save(std::as_bytes(std::span(&actors_[actor], 1)));
    save(used_stack(actor));
    const std::span<std::byte> heap = used_heap(actor);
    save(heap);
    const std::uint64_t heap_size = heap.size();
    save(std::as_bytes(std::span(&heap_size, 1)));
    return mark;
}

void Machine::go_back(const Mark& mark, unsigned actor) {
    for (; undo_.size() > mark.undone; undo_.pop_back()) {
        std::memcpy(undo_.back().address, &undo_.back().value, undo_.back().bytes);
    }
    events_.resize(mark.events);
    memory_ = mark.memory;
    dead_ = mark.dead;
    woken_ = mark.woken;
    if (actor == nobody) return;
    std::size_t end = saved_.size();
    std::uint64_t heap_size = 0;
    bring_back(std::as_writable_bytes(std::span(&heap_size, 1)), end);
    bring_back({heap_base(actor), heap_size}, end);
    // The rest is the actor's own words, which say how large its stack was, and then that stack.
    std::memcpy(static_cast<void*>(&actors_[actor]), saved_.data() + mark.saved, sizeof(Actor));
    bring_back(used_stack(actor), end);
    saved_.resize(mark.saved);
}

Hash Machine::state() const {
    Hash hash = memory_;
    for (unsigned i = 0; i < actor_count(); ++i) {
        if (dead(i)) {
            hash.add(i);
            continue;
        }
        hash.add(actors_[i].history.low);
        hash.add(actors_[i].history.high);
    }
    hash.add((std::uint64_t{dead_} << 8) | woken_);
    return hash;
}

void Machine::look_quietly(const std::function<void()>& look) {
    std::array<Mark, actors_max> marks;
    for (unsigned i = 0; i < actor_count(); ++i) marks[i] = mark(i);
    looking_ = true;
    look();
    looking_ = false;
    for (unsigned i = actor_count(); i-- > 0;) go_back(marks[i], i);
}

void Machine::save(std::span<const std::byte> bytes) {
    saved_.insert(saved_.end(), bytes.begin(), bytes.end());
}

void Machine::bring_back(std::span<std::byte> bytes, std::size_t& end) {
    end -= bytes.size();
    std::memcpy(bytes.data(), saved_.data() + end, bytes.size());
}

std::span<std::byte> Machine::used_stack(unsigned actor) const {
    auto* const begin = static_cast<std::byte*>(actors_[actor].context);
    return {begin, static_cast<std::size_t>(stack_end(actor) - begin)};
}

// --- the actors' side --------------------------------------------------------------------------

void Machine::run_script(transfer_t from) {
    Machine& self = machine();
    self.explorer_ = from.fctx;
    const unsigned number = self.running_;
    Actor& actor = self.actors_[number];
    for (const Verb& verb : self.scripts_[number].verbs) {
        actor.history = {};
        actor.history.add(actor.verb);
        actor.history.add_bytes(used_heap(number));
        actor.next = {};
        self.give_way();
        verb.run();
        ++actor.verb;
    }
    actor.history = {};
    actor.history.add(actor.verb);
    actor.history.add_bytes(used_heap(number));
    for (;;) {
        actor.next = {StepKind::finished, nullptr, {}};
        self.give_way();
    }
}

void Machine::give_way() {
    explorer_ = jump_fcontext(explorer_, nullptr).fctx;
}

void Machine::arrive(const Step& step) {
    if (!is_shared(step.address)) {
        std::fprintf(stderr, "model: %s:%d: no shared memory\n", step.site.file, step.site.line);
        std::abort();
    }
    if (running_ == nobody) {
        if (looking_) sharing_.learn(nobody, step.address, step.changes(), 0);
        return;
    }
    Actor& actor = actors_[running_];
    actor.next = step;
    give_way();
    sharing_.learn(running_, step.address, step.changes(), static_cast<ActorSet>(~dead_));
    actor.history.add(number_of(step.address));
    const HeapScope heap(nobody);
    events_.push_back({running_, step, 0, actor.place});
}

void Machine::has_read(std::uint64_t value) {
    if (running_ == nobody) return;
    actors_[running_].history.add(value);
    events_.back().value = value;
}

void Machine::write(void* address, unsigned bytes, std::uint64_t value) {
    std::uint64_t old = 0;
    std::memcpy(&old, address, bytes);
    const HeapScope heap(nobody);
    undo_.push_back({address, old, bytes});
    if (running_ != nobody) events_.back().value = value;
    memory_.toggle(number_of(address), old);
    memory_.toggle(number_of(address), value);
    std::memcpy(address, &value, bytes);
}

void Machine::sleep_on(const void* address) {
    if (running_ == nobody) return;
    actors_[running_].next = {StepKind::sleep, address, {"futex", 0}};
    give_way();
    woken_ = static_cast<ActorSet>(woken_ & ~only(running_));
    actors_[running_].history.add(number_of(address));
}

int Machine::wake(const void* address, int count) {
    arrive({StepKind::update, address, {"futex", 0}});
    int woken = 0;
    for (unsigned i = 0; i < actor_count() && woken < count; ++i) {
        const Step& step = actors_[i].next;
        const bool asleep = step.kind == StepKind::sleep && step.address == address;
        if (!asleep || dead(i) || (woken_ & only(i)) != 0) continue;
        woken_ = static_cast<ActorSet>(woken_ | only(i));
        ++woken;
    }
    has_read(static_cast<std::uint64_t>(woken));
    return woken;
}

void Machine::report(const std::string& what) {
    {
        const HeapScope heap(nobody);
        if (violation_.empty()) violation_ = what;
    }
    while (running_ != nobody) {
        actors_[running_].next = {StepKind::finished, nullptr, {}};
        give_way();
    }
}

void Machine::pass(const char* place) {
    if (running_ != nobody) actors_[running_].place = place;
}

// --- the accesses of model_atomics.hpp -----------------------------------------------------------

namespace {

std::uint64_t peek(const void* address, unsigned bytes) {
    std::uint64_t value = 0;
    std::memcpy(&value, address, bytes);
    return value;
}

}  // namespace

std::uint64_t load(const void* address, unsigned bytes, Site site) {
    machine().arrive({StepKind::load, address, site});
    const std::uint64_t value = peek(address, bytes);
    machine().has_read(value);
    return value;
}

void store(void* address, unsigned bytes, std::uint64_t value, Site site) {
    machine().arrive({StepKind::store, address, site});
    machine().write(address, bytes, value);
}

bool compare_exchange(void* address, unsigned bytes, std::uint64_t& expected, std::uint64_t desired,
                      Site site) {
    machine().arrive({StepKind::update, address, site});
    const std::uint64_t found = peek(address, bytes);
    machine().has_read(found);
    if (found != expected) {
        expected = found;
        return false;
    }
    machine().write(address, bytes, desired);
    return true;
}

std::uint64_t fetch_change(void* address, unsigned bytes, Change change, std::uint64_t operand,
                           Site site) {
    machine().arrive({StepKind::update, address, site});
    const std::uint64_t old = peek(address, bytes);
    machine().has_read(old);
    std::uint64_t fresh = old;
    switch (change) {
        case Change::add: fresh = old + operand; break;
        case Change::bit_or: fresh = old | operand; break;
        case Change::bit_and: fresh = old & operand; break;
        case Change::replace: fresh = operand; break;
    }
    machine().write(address, bytes, fresh);
    return old;
}

/// Both halves are entered in the book under the one that is read first.
void load_pair(const void* address, std::uint64_t (&found)[2], Site site) {
    const auto* const halves = static_cast<const std::byte*>(address);
    for (const unsigned half : {1U, 0U}) {
        machine().arrive({StepKind::load, halves + 8, site});
        found[half] = peek(halves + std::size_t{half} * 8, 8);
        machine().has_read(found[half]);
    }
}

bool compare_exchange_pair(void* address, const std::uint64_t (&expected)[2],
                           const std::uint64_t (&desired)[2], Site site) {
    auto* const halves = static_cast<std::byte*>(address);
    machine().arrive({StepKind::update, halves + 8, site});
    const std::uint64_t low = peek(halves, 8);
    const std::uint64_t high = peek(halves + 8, 8);
    machine().has_read(low);
    machine().has_read(high);
    if (low != expected[0] || high != expected[1]) return false;
    machine().write(halves, 8, desired[0]);
    machine().write(halves + 8, 8, desired[1]);
    return true;
}

}  // namespace shmpool::model
