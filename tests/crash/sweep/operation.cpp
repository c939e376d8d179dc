// SPDX-License-Identifier: Apache-2.0
#include "operation.hpp"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <thread>

namespace shmpool::sweep {

namespace {

/// "pid (name) S ...", as the kernel says.
bool sleeps(std::int32_t process) {
    if (process == 0) return false;
    std::ifstream file("/proc/" + std::to_string(process) + "/stat");
    std::string pid;
    std::string name;
    std::string state;
    return file >> pid >> name >> state && state == "S";
}

}  // namespace

void Victim::attach() {
    PeerOptions options;
    options.wait_for_host = std::chrono::seconds(10);
    options.read_only = reads_only;
    peer.emplace(must(Peer::attach(pool, options), "the victim attaches"));
}

void Victim::attach_with_lane() {
    attach();
    if (!reads_only) must(peer->free(must(peer->allocate(large_bytes), "a slot")), "a slot's end");
}

void Victim::warm_magazine() {
    must(peer->free(must(peer->allocate(middle_bytes), "a slot")), "a slot's end");
}

Loan Victim::marked_loan(std::uint64_t bytes) {
    Loan one = must(publisher->loan(bytes), "the victim's loan");
    write_mark(one.bytes(), {writer, ++sent});
    return one;
}

void Victim::hold_marked_loan(std::uint64_t bytes) {
    loan.emplace(marked_loan(bytes));
    loan_is_marked = true;
}

void Victim::keep(const SlotRef& ref) {
    write_mark(must(peer->slot_data(ref), "the victim's slot"), {writer, ++sent});
    raw.push_back(ref);
    marked = raw.size();
}

void Victim::keep_new(std::uint64_t bytes, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) keep(must(peer->allocate(bytes), "a victim's slot"));
}

void Victim::open_reader(const std::string& channel, ChannelPolicy policy) {
    attach_with_lane();
    samples.reserve(2);
    subscriber.emplace(
        must(peer->subscriber(channel, {.depth = depth, .policy = policy}), "the victim's reader"));
}

void Victim::let_message_come() {
    for (int turns = 0; !subscriber->wait({}); ++turns) {
        must(turns < 100, "a rival publishes");
        let_rivals(Order::work);
    }
}

void Victim::take_message() {
    auto sample = subscriber->take();
    if (sample) samples.push_back(std::move(*sample));
}

void Victim::watch(std::span<const std::byte> heap) const {
    board.watched_at = reinterpret_cast<std::uintptr_t>(heap.data());
    board.watched_bytes = heap.size();
}

void Victim::name_kept(const char* heap, std::uint64_t first, std::uint64_t count) const {
    board.kept_in = heap;
    board.kept_first = first;
    board.kept_count = count;
}

void Victim::let_rivals(Order order) {
    must(play_turn(board, order), "the rivals play");
}

void Victim::let_rivals_wait(Order order, std::initializer_list<std::uint32_t> numbers) {
    for (const std::uint32_t number : numbers) board.waiting[number] = 0;
    board.may_wait = true;
    begin_turn(board, order);
    const auto one_sleeps = [&](std::uint32_t number) { return sleeps(board.waiting[number]); };
    for (int looks = 0; !std::ranges::all_of(numbers, one_sleeps); ++looks) {
        must(looks < 10'000, "a rival falls asleep");
        ::usleep(200);
    }
}

void Victim::on_sibling(const std::function<void()>& body) {
    std::thread(body).join();
}

std::vector<Operation> all_operations() {
    std::vector<Operation> all;
    for (auto&& some :
         {slot_operations(), publish_operations(), take_operations(), sleep_operations(),
          connect_operations(), class_operations(), limits_operations(), reading_operations(),
          heap_operations(), unit_operations(), stack_operations(), buffer_operations()}) {
        all.insert(all.end(), some.begin(), some.end());
    }
    return all;
}

}  // namespace shmpool::sweep
