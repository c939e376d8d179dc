// SPDX-License-Identifier: Apache-2.0
#include "endpoints.hpp"

#include <cstring>

namespace shmpool::testing_protocol {
namespace {

std::uint64_t mixed(std::uint64_t value) {
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
    return value ^ (value >> 31);
}

/// Word `i` of the payload, behind the two words of the message itself.
std::uint64_t filling(const Message& message, std::uint64_t i) {
    return mixed(message.writer * 0x9E3779B97F4A7C15 + message.sequence * 1'000'003 + i);
}

}  // namespace

void write_message(VarSlotPool& pool, const VarSlotPool::Loaned& slot, const Message& message) {
    const ClassView& view = pool.view().classes[slot.class_index];
    std::byte* const data = view.data(position_of(slot.key));
    std::memcpy(data, &message, sizeof message);
    for (std::uint64_t at = sizeof message; at + 8 <= view.slot_bytes; at += 8) {
        const std::uint64_t word = filling(message, at);
        std::memcpy(data + at, &word, sizeof word);
    }
    view.records[position_of(slot.key)].payload_bytes.store(
        static_cast<std::uint32_t>(view.slot_bytes), std::memory_order_relaxed);
}

std::optional<Message> read_message(const VarSlotPool& pool, const Taken& taken) {
    const ClassView& view = pool.view().classes[taken.class_index];
    const std::byte* const data = view.data(position_of(taken.key));
    Message message;
    std::memcpy(&message, data, sizeof message);
    for (std::uint64_t at = sizeof message; at + 8 <= view.slot_bytes; at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, data + at, sizeof word);
        if (word != filling(message, at)) return std::nullopt;
    }
    const SlotRecord& record = view.records[position_of(taken.key)];
    if (record.sequence.load(std::memory_order_relaxed) != message.sequence) return std::nullopt;
    return message;
}

Outcome<std::uint32_t> Writer::send(const Deadline& deadline, std::uint64_t bytes) {
    const auto slot = peer_.pool().loan(*loan_lane_, bytes);
    if (!slot) return tl::unexpected(slot.error());
    write_message(peer_.pool(), *slot, {name_, core_.published_total() + 1});
    auto delivered = core_.publish(peer_.lane(), *slot, deadline);
    if (!delivered) (void)peer_.pool().end_loan(peer_.lane(), *slot);
    return delivered;
}

Outcome<Message> Reader::next() {
    const auto taken = core_.take(peer_.lane());
    if (!taken) return tl::unexpected(taken.error());
    const auto message = read_message(peer_.pool(), *taken);
    if (!message) {
        complaints_ += "a message is not as it was written; ";
        SubscriberCore::release(peer_.pool(), peer_.lane(), *taken);
        return Message{};
    }
    ++received_;
    std::uint64_t& last = last_[message->writer];
    if (message->sequence <= last) {
        complaints_ += "message " + std::to_string(message->sequence) + " of writer " +
                       std::to_string(message->writer) + " came after " + std::to_string(last) +
                       "; ";
    } else if (last != 0 || message->writer >= first_later_writer_) {
        gaps_ += message->sequence - last - 1;
    }
    last = message->sequence;
    held_.push_back({*taken, *message});
    while (held_.size() > keep_) release_oldest();
    return *message;
}

Errc Reader::drain() {
    for (;;) {
        const auto message = next();
        if (!message) return message.error();
    }
}

void Reader::release_oldest() {
    const Held& oldest = held_.front();
    if (read_message(peer_.pool(), oldest.taken) != oldest.message) {
        complaints_ += "a message changed while it was held; ";
    }
    SubscriberCore::release(peer_.pool(), peer_.lane(), oldest.taken);
    held_.pop_front();
}

void Reader::release_all() {
    while (!held_.empty()) release_oldest();
}

std::uint64_t Reader::last_of(std::uint64_t writer) const {
    const auto found = last_.find(writer);
    return found == last_.end() ? 0 : found->second;
}

}  // namespace shmpool::testing_protocol
