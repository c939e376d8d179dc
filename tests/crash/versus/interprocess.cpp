// SPDX-License-Identifier: Apache-2.0
/// Boost.Interprocess: `managed_shared_memory` with its default allocator, whose lock lies in the
/// segment. Blocks have no owner: there is no recovery to call. In 1.74 the lock hangs whoever
/// comes after a death under it; in 1.81 it is robust, and each later call ends with an exception.
#include <unistd.h>

#include <algorithm>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <string>
#include <vector>

#include "boost_version.hpp"
#include "report.hpp"

namespace shmpool::versus {
namespace {

namespace ipc = boost::interprocess;

/// Room for so many blocks, and for what the segment keeps about them and itself.
constexpr std::size_t segment_bytes = slots_wanted * (slot_bytes + 64) + 4096;

class InterprocessWorker : public Worker {
public:
    explicit InterprocessWorker(const std::string& name) : segment_(ipc::open_only, name.c_str()) {}

    void work() override { segment_.deallocate(segment_.allocate(slot_bytes)); }

    std::uint32_t take_all(std::byte filler) override {
        std::vector<void*> taken;
        while (void* const block = segment_.allocate(slot_bytes, std::nothrow)) {
            std::fill_n(static_cast<std::byte*>(block), slot_bytes, filler);
            taken.push_back(block);
        }
        for (void* const block : taken) segment_.deallocate(block);
        return static_cast<std::uint32_t>(taken.size());
    }

private:
    ipc::managed_shared_memory segment_;
};

class Interprocess : public Contestant {
public:
    Interprocess() = default;
    Interprocess(const Interprocess&) = delete;
    Interprocess& operator=(const Interprocess&) = delete;
    ~Interprocess() override { ipc::shared_memory_object::remove(name_.c_str()); }

    [[nodiscard]] const Traits& traits() const override { return traits_; }

    void renew() override {
        ipc::shared_memory_object::remove(name_.c_str());
        const ipc::managed_shared_memory made(ipc::create_only, name_.c_str(), segment_bytes);
    }

    [[nodiscard]] std::unique_ptr<Worker> join(Role /*role*/) override {
        return std::make_unique<InterprocessWorker>(name_);
    }

private:
    Traits traits_{.system = "Boost.Interprocess managed_shared_memory",
                   .version = boost_version()};
    std::string name_ = "shmpool-versus-" + std::to_string(::getpid());
};

}  // namespace
}  // namespace shmpool::versus

int main(int argc, char** argv) {
    shmpool::versus::Interprocess contestant;
    return shmpool::versus::hold_contest(contestant, argc, argv);
}
