// SPDX-License-Identifier: Apache-2.0
#include "seed.hpp"

#include <algorithm>
#include <stdexcept>
#include <vector>

namespace shmpool::versus {
namespace {

std::uint32_t peer_of(Role role) {
    return static_cast<std::uint32_t>(role) + 1;  // 0 is nobody.
}

}  // namespace

class Seed::SeedWorker : public Worker {
public:
    SeedWorker(Shared& shared, Role role) : shared_(shared), peer_(peer_of(role)) {}

    void work() override {
        const auto slot = shared_.pool.allocate(peer_);
        if (slot) (void)shared_.pool.free(*slot);
    }

    std::uint32_t take_all(std::byte filler) override {
        std::vector<SeedPool::SlotRef> taken;
        while (const auto slot = shared_.pool.allocate(peer_)) {
            if (taken.size() == slots_wanted) throw std::runtime_error("more slots than there are");
            fill(*slot, filler);
            taken.push_back(*slot);
        }
        for (const auto& slot : taken) (void)shared_.pool.free(slot);
        return static_cast<std::uint32_t>(taken.size());
    }

    void send(std::uint32_t count, std::byte filler) override {
        for (std::uint32_t i = 0; i < count; ++i) {
            const auto slot = shared_.pool.allocate(peer_);
            if (!slot) throw std::runtime_error("no slot to send");
            fill(*slot, filler);
            shared_.handed_on[i] = *slot;
            shared_.handed_on_count = i + 1;
        }
    }

    void receive(std::uint32_t count) override {
        while (shared_.handed_on_count < count) ::usleep(100);
    }

    std::uint32_t count_changed(std::byte filler) override {
        return static_cast<std::uint32_t>(std::ranges::count_if(
            shared_.handed_on, [&](const auto& slot) { return *data(slot) != filler; }));
    }

private:
    std::byte* data(SeedPool::SlotRef slot) { return shared_.pool.slot_data(slot); }
    void fill(SeedPool::SlotRef slot, std::byte filler) {
        std::fill_n(data(slot), slot_bytes, filler);
    }

    Shared& shared_;
    std::uint32_t peer_;
};

void Seed::renew() {
    shared_.emplace();
    (*shared_)->pool.init();
}

std::unique_ptr<Worker> Seed::join(Role role) {
    return std::make_unique<SeedWorker>(**shared_, role);
}

void Seed::recover(Role dead) {
    (*shared_)->pool.reclaim_peer_slots(peer_of(dead));
}

}  // namespace shmpool::versus
