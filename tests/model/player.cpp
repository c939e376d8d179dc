// SPDX-License-Identifier: Apache-2.0
#include "player.hpp"

#include <algorithm>

namespace shmpool::model {
namespace {

constexpr Site user{"user", 0};
constexpr std::uint64_t messages_per_writer = 1000;

/// A user's own look at its slot. Plain memory to the processor, a step of its own in the model.
std::uint64_t read_payload(const std::byte* data) {
    return load(data, 8, user);
}
void write_payload(std::byte* data, std::uint64_t value) {
    store(data, 8, value, user);
}

std::string number(std::uint64_t value) {
    return std::to_string(value);
}

}  // namespace

Player::Player(World& world, std::string name, unsigned actor, unsigned process, std::uint32_t peer)
    : world_(&world), name_(std::move(name)), actor_(actor), process_(process), peer_(peer) {
    const HeapScope heap(actor);
    hands_ = new Hands;
}

std::uint64_t Player::owner() const {
    return owner_of_peer(
        peer_, world_->view().peers.at(peer_).incarnation.load(std::memory_order_relaxed));
}

Player& Player::then(std::function<void(Player&)> verb, std::function<bool()> ready) {
    verbs_.push_back({[this, verb = std::move(verb)] { verb(*this); }, std::move(ready)});
    return *this;
}

Player& Player::first(const std::function<void(Player&)>& verb) {
    const HeapScope heap(actor_);
    verb(*this);
    return *this;
}

Player& Player::with_what_is_held_by(Player& sibling) {
    std::swap(hands_->held, sibling.hands_->held);
    std::swap(hands_->held_count, sibling.hands_->held_count);
    return *this;
}

void Player::open_publisher(const std::string& channel) {
    channel_ = channel;
    const Opened opened = *world_->directory().open_publisher(world_->request(channel), peer_);
    const HeapScope heap(actor_);
    hands_->publisher = std::make_unique<PublisherCore>(pool(), world_->view(),
                                                        opened.endpoint_index, world_->policy());
}

void Player::open_subscriber(std::uint32_t depth, const std::string& channel) {
    channel_ = channel;
    hands_->first_of_writer = 1;
    subscribe_to(*world_->directory().open_subscriber(world_->request(channel), peer_, depth,
                                                      subscriber_may_sleep));
}

void Player::subscribe_to(const Opened& opened) {
    const HeapScope heap(actor_);
    hands_->subscriber =
        std::make_unique<SubscriberCore>(pool(), world_->view(), opened.endpoint_index);
}

bool Player::finished() const {
    return machine().next_step(actor_).kind == StepKind::finished;
}

// --- verbs ---------------------------------------------------------------------------------------

std::byte* Player::payload(const Held& held) const {
    return pool().view().classes[held.class_index].data(position_of(held.key));
}

void Player::hold(std::uint64_t class_index, SlotKey key, std::uint64_t lease, Kind kind) {
    Held& held = hands_->held[hands_->held_count++ % hands_->held.size()];
    held = {class_index, key, lease, 0, kind};
    if (kind == taken) {
        held.mark = read_payload(payload(held));
        note_message(held.mark);
    } else {
        held.mark = (std::uint64_t{actor_} << 32) | ++hands_->marks;
        write_payload(payload(held), held.mark);
    }
}

Player::Held Player::let_go(Kind kind, bool& found) {
    Held* const end = hands_->held.data() + hands_->held_count;
    Held* const one = std::find_if(hands_->held.data(), end,
                                   [kind](const Held& held) { return held.kind == kind; });
    found = one != end;
    if (!found) return {};
    look_again(*one);
    const Held held = *one;
    std::move(one + 1, end, one);
    *(end - 1) = {};
    --hands_->held_count;
    return held;
}

void Player::look_again(const Held& held) const {
    if (read_payload(payload(held)) != held.mark) {
        report("the payload changed while it was held");
    }
    const ClassView& view = pool().view().classes[held.class_index];
    const SlotWord word = view.records[position_of(held.key)].word.load(std::memory_order_relaxed);
    if (word_generation(word) != generation_of(held.key)) {
        report("the slot has begun another life while it was held");
    }
    if (word_state(word) == SlotState::listed || word_state(word) == SlotState::cached) {
        report("the slot is free while it is held");
    }
}

void Player::loan(std::uint64_t bytes) {
    const auto slot = pool().loan(lane(), bytes);
    if (slot) return hold(slot->class_index, slot->key, 0, loaned);
    if (slot.error() != Errc::exhausted) report("a loan fails otherwise than for lack of slots");
}

void Player::end() {
    bool found = false;
    const Held held = let_go(loaned, found);
    if (!found) return;
    if (!pool().end_loan(lane(), {static_cast<std::uint32_t>(held.class_index), held.key})) {
        report("its own loan is refused");
    }
}

void Player::allocate(std::uint64_t bytes) {
    const auto ref = pool().allocate(lane(), bytes);
    if (ref) return hold(ref->class_index, *pool().view().key_of(*ref), 0, raw);
    if (ref.error() != Errc::exhausted) report("allocate fails otherwise than for lack of slots");
}

void Player::free() {
    bool found = false;
    const Held held = let_go(raw, found);
    if (found) free(pool().view().ref_of(static_cast<std::uint32_t>(held.class_index), held.key));
}

void Player::free(const SlotRef& ref) {
    const auto freed = pool().free(lane(), ref);
    if (freed) ++hands_->frees_won;
    // handle_owned: its owner has died, and the host has the slot in its hands just now.
    if (!freed && freed.error() != Errc::double_free && freed.error() != Errc::handle_owned) {
        report("a free fails in a strange way");
    }
}

SlotRef Player::hand_out_raw() {
    const SlotRef ref = pool().view().ref_of(
        static_cast<std::uint32_t>(hands_->held[0].class_index), hands_->held[0].key);
    hands_->held_count = 0;
    return ref;
}

void Player::publish() {
    bool found = false;
    const Held held = let_go(loaned, found);
    if (!found) return;
    const VarSlotPool::Loaned slot{static_cast<std::uint32_t>(held.class_index), held.key};
    const std::uint64_t message = actor_ * messages_per_writer + hands_->sent + 1;
    write_payload(payload(held), message);
    const auto delivered = hands_->publisher->publish(lane(), slot, Deadline::passed());
    if (!delivered) return hold(slot.class_index, slot.key, 0, loaned);  // No room.
    ++hands_->sent;
    (*delivered != 0 ? hands_->confirmed : hands_->refused) = hands_->sent;
}

void Player::take() {
    if (!joined() || closed()) return;
    const auto message = hands_->subscriber->take(lane());
    if (message) return hold(message->class_index, message->key, message->lease, taken);
    if (message.error() == Errc::pool_damaged) report("take finds the pool damaged");
}

void Player::note_message(std::uint64_t message) {
    const std::uint64_t writer = message / messages_per_writer;
    const std::uint64_t sequence = message % messages_per_writer;
    std::uint64_t last = 0;
    for (std::uint64_t i = 0; i < hands_->received_count; ++i) {
        const std::uint64_t one = hands_->received[i];
        if (one / messages_per_writer == writer) last = one % messages_per_writer;
    }
    const bool lossless = world_->policy() == ChannelPolicy::block;
    const bool first_may_differ = last == 0 && hands_->first_of_writer == 0;
    if (writer < first_player || writer >= actors_max || sequence <= last ||
        (lossless && !first_may_differ && sequence != last + 1)) {
        report("message " + number(message) + " comes after number " + number(last));
    }
    hands_->received[hands_->received_count++ % hands_->received.size()] = message;
}

void Player::release() {
    bool found = false;
    const Held held = let_go(taken, found);
    if (!found) return;
    SubscriberCore::release(pool(), lane(),
                            {static_cast<std::uint32_t>(held.class_index), held.key, held.lease});
}

void Player::wait() {
    hands_->subscriber->wait(Deadline::never());
}

void Player::close() {
    hands_->subscriber->close(lane());
    hands_->closed = 1;
}

void Player::flush() {
    pool().flush(lane());
}

void Player::leave_lane() {
    flush();
    hands_->lane.reset();
}

void Player::use_lane_of(const Player& other) {
    hands_->lane_index = other.hands_->lane_index;
    hands_->lane = std::make_unique<Lane>(pool().view(), lane_index());
}

void Player::claim_lane() {
    auto claimed = pool().open_lane(owner());
    if (!claimed) return report("no lane is free");
    hands_->lane = std::move(*claimed);
    hands_->lane_index = hands_->lane->index();
}

// --- at the end of a path ------------------------------------------------------------------------

void Player::read_the_rest() {
    const HeapScope heap(actor_);
    if (!joined() || closed()) return;
    const bool asleep = machine().next_step(actor_).kind == StepKind::sleep;
    if (asleep && hands_->subscriber->ready()) report("sleeps although there is something to read");
    for (std::uint64_t before = ~std::uint64_t{0}; before != received();) {
        before = received();
        take();
        release();
    }
}

void Player::expect_all_of(const Player& writer) const {
    std::uint64_t count = 0;
    for (std::uint64_t i = 0; i < received(); ++i) {
        if (hands_->received[i] / messages_per_writer != writer.actor_) continue;
        ++count;
        if (hands_->received[i] % messages_per_writer == writer.hands_->refused) {
            report("has a message that, as " + writer.name_ + " was told, nobody got");
        }
    }
    const bool sees_all = hands_->first_of_writer != 0 && channel_ == writer.channel_ &&
                          !closed() && !dead() && world_->policy() == ChannelPolicy::block;
    if (sees_all && count < writer.hands_->confirmed) {
        report("has " + number(count) + " messages of " + writer.name_ + ", which published " +
               number(writer.hands_->confirmed));
    }
}

void Player::give_everything_back() {
    const HeapScope heap(actor_);
    if (!has_lane()) return;
    while (holds_something()) {
        const std::uint64_t before = hands_->held_count;
        end();
        free();
        release();
        if (hands_->held_count == before) break;
    }
    if (joined() && !closed()) close();
    flush();
}

}  // namespace shmpool::model
