// SPDX-License-Identifier: Apache-2.0
#include "ours.hpp"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <vector>

#include "peer/peer.hpp"

namespace shmpool::versus {
namespace {

using namespace std::chrono_literals;

constexpr char roll_call[] = "roll-call";  ///< Whoever may be killed reads it; the survivor writes.
constexpr char stream[] = "stream";        ///< From the sender to the reader.

template <typename Value, typename Error>
Value must(tl::expected<Value, Error> outcome, const char* what) {
    if (!outcome) throw std::runtime_error(what);
    return std::move(*outcome);
}

}  // namespace

class Ours::OurWorker : public Worker {
public:
    OurWorker(const std::string& pool, Role role)
        : peer_(must(Peer::attach(pool), "can not attach")) {
        if (role == Role::survivor) writer_ = must(peer_.publisher(roll_call), "no publisher");
        if (role == Role::sender) writer_ = must(peer_.publisher(stream), "no publisher");
        if (role == Role::victim || role == Role::sender) {
            listener_ = must(peer_.subscriber(roll_call), "no subscriber");
        }
        if (role == Role::reader) {
            listener_ = must(peer_.subscriber(stream, {.depth = slots_read}), "no subscriber");
        }
    }

    void work() override {
        const auto slot = must(peer_.allocate(slot_bytes), "no slot");
        if (!peer_.free(slot)) throw std::runtime_error("free refuses a slot of our own");
    }

    std::uint32_t take_all(std::byte filler) override {
        std::vector<SlotRef> taken;
        while (const auto slot = peer_.allocate(slot_bytes)) {
            if (std::ranges::find(taken, slot->slot_index, &SlotRef::slot_index) != taken.end()) {
                throw std::runtime_error("a slot was handed out twice");
            }
            std::ranges::fill(must(peer_.slot_data(*slot), "no data"), filler);
            taken.push_back(*slot);
        }
        for (const SlotRef& slot : taken) (void)peer_.free(slot);
        return static_cast<std::uint32_t>(taken.size());
    }

    bool sees_another() override { return writer_->reader_count() > 0; }

    void send(std::uint32_t count, std::byte filler) override {
        (void)writer_->wait_for_readers(1, 20s);
        for (std::uint32_t i = 0; i < count; ++i) {
            Loan loan = must(writer_->loan(slot_bytes), "no slot to send");
            std::ranges::fill(loan.bytes(), filler);
            if (!writer_->publish(std::move(loan), 20s)) throw std::runtime_error("can not send");
        }
    }

    void receive(std::uint32_t count) override {
        while (samples_.size() < count) samples_.push_back(must(listener_->take(20s), "no sample"));
    }

    std::uint32_t count_changed(std::byte filler) override {
        return static_cast<std::uint32_t>(std::ranges::count_if(samples_, [&](const Sample& one) {
            return std::ranges::any_of(one.bytes(), [&](std::byte b) { return b != filler; });
        }));
    }

private:
    Peer peer_;
    std::optional<Publisher> writer_;
    std::optional<Subscriber> listener_;
    std::vector<Sample> samples_;
};

void Ours::renew() {
    host_.reset();
    host_ = std::make_unique<RunningHost>(std::vector<std::string>{
        "--class", std::to_string(slot_bytes) + ":" + std::to_string(slots_wanted)});
}

std::unique_ptr<Worker> Ours::join(Role role) {
    return std::make_unique<OurWorker>(host_->pool(), role);
}

}  // namespace shmpool::versus
