// SPDX-License-Identifier: Apache-2.0
// Does what long-lived peers do seldom, all the time: threads come and go, endpoints open and
// close, slots go from thread to thread, the process forks, attaches anew, becomes another program.
#include <sys/wait.h>
#include <unistd.h>

#include <deque>
#include <thread>

#include "actor.hpp"

namespace shmpool::storm {

using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t most_raw_slots = 16;

class Churner {
public:
    explicit Churner(Actor& me) : me_(me) {}

    void churn() {
        while (attach()) {
            while (me_.goes_on() && !me_.once_in(200)) act();
            let_raw_slots_go();
        }
    }

private:
    bool attach() {
        peer_.reset();
        peer_ = me_.attach();
        return peer_.has_value();
    }

    void act() {
        switch (me_.below(16)) {
            case 0: return write_a_little();
            case 1: return read_a_little();
            case 2: return let_a_thread_free();
            case 3:
                if (me_.once_in(8)) fork_and_go_on();
                return;
            case 4:
                if (me_.once_in(32)) become_another_program();
                return;
            default: return use_raw_slots();
        }
    }

    void use_raw_slots() {
        if (raw_.size() >= most_raw_slots || (!raw_.empty() && me_.once_in(2)))
            return free_oldest();
        const std::size_t bytes = me_.draw_bytes();
        const auto slot = peer_->allocate(bytes);
        if (!slot) {
            if (slot.error() != Errc::exhausted) me_.complain("allocate", slot.error());
            return;
        }
        me_.board()->totals.raw_slots += 1;
        raw_.push_back({*slot, bytes});
        const auto data = peer_->slot_data(*slot);
        if (!data) return me_.complain("slot_data", data.error());
        write_payload(data->first(bytes), {me_.name(), 1});
    }

    void free_oldest() {
        const auto [slot, bytes] = raw_.front();
        raw_.pop_front();
        const auto data = peer_->slot_data(slot);
        if (!data || !read_payload(data->first(bytes))) {
            me_.complain("somebody has written into its raw slot");
        }
        if (const auto freed = peer_->free(slot); !freed) me_.complain("free", freed.error());
        if (peer_->free(slot)) me_.complain("a raw slot was freed twice");
    }

    void let_raw_slots_go() {
        while (!raw_.empty()) free_oldest();
    }

    void let_a_thread_free() {
        me_.board()->totals.threads += 1;
        std::thread([this] { let_raw_slots_go(); }).join();
    }

    void write_a_little() {
        auto publisher = me_.open_publisher(*peer_);
        if (!publisher) return;
        // Order is promised for each publisher, so each is a writer by itself.
        const std::uint64_t writer = me_.name() + (++publishers_ << 32U);
        me_.board()->totals.threads += 1;
        std::thread([&] {  // Which takes a lane, and gives it back.
            std::uint64_t number = 0;
            for (std::uint64_t left = me_.below(20); left > 0 && me_.goes_on(); --left) {
                number += publish_one(me_, *publisher, {writer, number + 1}) ? 1U : 0U;
            }
        })
            .join();
    }

    void read_a_little() {
        auto subscriber = me_.open_subscriber(*peer_, 16);
        if (!subscriber) return;
        std::deque<Sample> held;  // Outlives its subscriber every other time.
        for (std::uint64_t left = me_.below(20); left > 0 && me_.goes_on(); --left) {
            if (auto sample = subscriber->take(5ms)) held.push_back(std::move(*sample));
        }
        if (me_.once_in(2)) const Subscriber closed = std::move(*subscriber);
        for (const Sample& one : held) {
            if (!read_payload(one.bytes())) me_.complain("somebody has written into its sample");
        }
        me_.board()->totals.taken += held.size();
    }

    /// The child has no part in the attachment.
    void fork_and_go_on() {
        me_.board()->totals.forks += 1;
        const pid_t child = ::fork();
        if (child == 0) {
            const auto slot = peer_->allocate(64);
            ::_exit(!slot && slot.error() == Errc::forked ? 0 : 1);
        }
        int status = 0;
        if (::waitpid(child, &status, 0) != child || status != 0) {
            me_.complain("the child of a fork was not refused");
        }
    }

    /// With all that it holds, without a goodbye.
    void become_another_program() {
        me_.board()->totals.programs += 1;
        const std::string seat = std::to_string(me_.life().seat);
        const std::string life = std::to_string(me_.life().number + next_program);
        const std::string seed = std::to_string(me_.life().seed);
        ::execl("/proc/self/exe", "storm", "--seat", seat.c_str(), "--life", life.c_str(), "--seed",
                seed.c_str(), "--folder", me_.life().folder.c_str(), nullptr);
        me_.complain("can not become another program");
    }

    struct RawSlot {
        SlotRef slot;
        std::size_t bytes;
    };

    Actor& me_;
    std::optional<Peer> peer_;
    std::deque<RawSlot> raw_;
    std::uint64_t publishers_ = 0;
};

}  // namespace

void play_churner(Actor& me) {
    Churner(me).churn();
}

}  // namespace shmpool::storm
