// SPDX-License-Identifier: Apache-2.0
/// Small plays in which one role dies: a victim (a process) beside survivors (this process), and
/// what must be true for the survivors afterwards.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "child_process.hpp"
#include "endpoints.hpp"

namespace shmpool::testing_protocol {

enum class Role { writer, reader };

struct Scenario {
    std::string name;
    Role victim = Role::writer;
    ChannelPolicy policy = ChannelPolicy::block;
    std::uint32_t depth = 64;
    std::size_t surviving_readers = 1;
    std::uint32_t reader_flags = 0;
    unsigned takes = 8;  ///< Of a dying reader; then it closes, or has found nothing more.
};
inline void PrintTo(const Scenario& scenario, std::ostream* out) {
    *out << scenario.name;
}

/// Each policy and number of readers, with a dying writer or reader.
[[nodiscard]] std::vector<Scenario> peer_scenarios();

/// One play. The victim's endpoint is opened first, then the survivors'.
class Stage {
public:
    static constexpr std::uint64_t victim_name = 100;
    static constexpr std::uint64_t survivor_name = 200;
    static constexpr unsigned messages = 24;

    explicit Stage(const Scenario& scenario);

    /// Forks the victim; `before` runs in it. Returns when it has ended or stopped.
    ChildProcess::End run_victim(const std::function<void()>& before);
    ChildProcess::End resume_victim();
    [[nodiscard]] ChildProcess::End end() const { return end_; }
    ChildProcess& victim() { return *child_; }

    /// Lets `script` play the host in a child, which may die; this process then takes over.
    ChildProcess::End run_host(const std::function<void()>& before,
                               const std::function<void(TestHost&)>& script);

    /// Everything that a survivor, or an audit of the empty pool, has to complain about. Ends the
    /// play: nobody is left afterwards.
    [[nodiscard]] std::string what_is_wrong();

    TestHost& host() { return next_host_ ? *next_host_ : host_; }
    std::vector<std::unique_ptr<Reader>>& readers() { return readers_; }
    Writer& writer() { return *writer_; }
    std::uint32_t victim_index() const { return victim_index_; }
    std::uint32_t survivor_index() { return survivor_->index(); }
    TestPeer& survivor() { return *survivor_; }
    /// The reader takes and keeps what is there, closes, and the host is told.
    std::unique_ptr<Reader> remove_reader(std::size_t which);
    [[nodiscard]] const std::vector<Opened>& reader_opened() const { return reader_opened_; }
    Reader& add_reader();
    [[nodiscard]] std::string wrong_at_the_end();

private:
    struct Progress {
        std::atomic<std::uint64_t> done{0};
    };

    int play_writer();
    int play_reader();
    void leave_unanswered();
    std::string wrong_with_streams();

    const Scenario scenario_;
    TestHost host_;
    std::unique_ptr<TestHost> next_host_;
    std::uint32_t victim_index_;
    Opened victim_opened_;
    std::unique_ptr<TestPeer> survivor_;
    Opened writer_opened_;
    std::unique_ptr<Writer> writer_;
    std::vector<Opened> reader_opened_;
    std::vector<std::unique_ptr<Reader>> readers_;
    SharedWithChildren<Progress> progress_;
    std::unique_ptr<ChildProcess> child_;
    ChildProcess::End end_ = ChildProcess::End::exited;
    std::uint64_t sent_before_ = 0;
};

/// Points that the scenarios of other files meet (without a death), for the completeness test.
[[nodiscard]] std::vector<std::string> points_met_by_hosts();
[[nodiscard]] std::vector<std::string> points_met_by_heap_hosts();
[[nodiscard]] std::vector<std::string> points_met_by_growing_hosts();
[[nodiscard]] std::vector<std::string> points_met_by_zombies();

}  // namespace shmpool::testing_protocol
