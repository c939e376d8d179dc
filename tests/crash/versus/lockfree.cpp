// SPDX-License-Identifier: Apache-2.0
/// Boost.Lockfree's stack of fixed size as a list of free slot numbers in shared memory. Nobody is
/// named as the owner of a number that was popped, so what a dead process had is gone: there is no
/// recovery to call.
#include <array>
#include <boost/lockfree/stack.hpp>
#include <optional>
#include <stdexcept>
#include <vector>

#include "boost_version.hpp"
#include "report.hpp"
#include "tests/protocol/child_process.hpp"

namespace shmpool::versus {
namespace {

/// `capacity` makes it fixed_sized: links are numbers, so that it may lie in shared memory.
using FreeList = boost::lockfree::stack<std::uint32_t, boost::lockfree::capacity<slots_wanted>>;

class LockfreeWorker : public Worker {
public:
    explicit LockfreeWorker(FreeList& list) : list_(list) {}

    void work() override {
        std::uint32_t slot = 0;
        if (list_.pop(slot)) list_.push(slot);
    }

    std::uint32_t take_all(std::byte /*filler*/) override {
        std::vector<std::uint32_t> taken;
        std::array<bool, slots_wanted> met{};
        for (std::uint32_t slot = 0; list_.pop(slot);) {
            if (slot >= slots_wanted || met[slot]) throw std::runtime_error("a slot came twice");
            met[slot] = true;
            taken.push_back(slot);
        }
        for (const std::uint32_t slot : taken) list_.push(slot);
        return static_cast<std::uint32_t>(taken.size());
    }

private:
    FreeList& list_;
};

class Lockfree : public Contestant {
public:
    [[nodiscard]] const Traits& traits() const override { return traits_; }

    void renew() override {
        list_.emplace();
        for (std::uint32_t slot = 0; slot < slots_wanted; ++slot) (*list_)->push(slot);
    }

    [[nodiscard]] std::unique_ptr<Worker> join(Role /*role*/) override {
        return std::make_unique<LockfreeWorker>(**list_);
    }

private:
    Traits traits_{.system = "Boost.Lockfree stack", .version = boost_version()};
    std::optional<testing_protocol::SharedWithChildren<FreeList>> list_;
};

}  // namespace
}  // namespace shmpool::versus

int main(int argc, char** argv) {
    shmpool::versus::Lockfree contestant;
    return shmpool::versus::hold_contest(contestant, argc, argv);
}
