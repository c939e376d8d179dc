// SPDX-License-Identifier: Apache-2.0
#include "contest.hpp"

#include <sys/ptrace.h>

#include <cstdio>
#include <exception>
#include <stdexcept>
#include <thread>

#include "shmpool/platform/monotonic_clock.hpp"

namespace shmpool::versus {
namespace {

using namespace std::chrono_literals;

constexpr std::byte sent{0x55};
constexpr std::byte not_sent{0xEE};

constexpr auto long_enough_to_begin = 20s;
constexpr auto long_enough_to_notice = 5s;

template <typename Condition>
bool within(std::chrono::nanoseconds limit, Condition&& condition,
            std::chrono::nanoseconds pause = 100us) {
    const Deadline deadline = Deadline::after(limit);
    while (!condition()) {
        if (deadline.expired()) return condition();
        std::this_thread::sleep_for(pause);
    }
    return true;
}

/// In a child: an error of the system under test ends the process, and is told.
template <typename Play>
int play(const char* role, Play&& body) {
    try {
        body();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", role, error.what());
    }
    return 1;
}

/// Where it is not told by an exception, why a process did not live as long as it should.
void tell_end(const char* role, const testing_protocol::ChildProcess& child) {
    std::fprintf(stderr, "%s: ended by itself, exit code %d, signal %d\n", role, child.code(),
                 child.signal());
}

/// False if it stops itself before it has made so many steps.
bool step(const testing_protocol::ChildProcess& victim, std::uint32_t steps) {
    for (std::uint32_t done = 0; done < steps; ++done) {
        int status = 0;
        ::ptrace(PTRACE_SINGLESTEP, victim.pid(), nullptr, nullptr);
        if (::waitpid(victim.pid(), &status, 0) != victim.pid() || !WIFSTOPPED(status)) {
            throw std::runtime_error("the victim can not be stepped");
        }
        if (WSTOPSIG(status) == SIGSTOP) return false;
    }
    return true;
}

[[noreturn]] void wait_for_the_end() {
    for (;;) ::pause();
}

}  // namespace

Contest::Contest(Contestant& contestant) : contestant_(contestant) {
    start_again();
    result_.slots = free_;
}

void Contest::start_survivor() {
    stage_->order = Order::work;
    stage_->steps = 0;
    stage_->sees_another = false;
    survivor_.emplace([this] { return play("survivor", [this] { survive(); }); });
    const bool begun =
        within(long_enough_to_begin, [&] { return stage_->steps != 0 || survivor_->has_ended(); });
    if (!begun || survivor_->has_ended()) throw std::runtime_error("the survivor can not begin");
}

void Contest::start_again() {
    survivor_.reset();
    contestant_.renew();
    start_survivor();
    const auto counted = count_free();
    if (!counted || *counted == 0) throw std::runtime_error("the new memory gives no slots");
    free_ = *counted;
}

void Contest::survive() const {
    const auto worker = contestant_.join(Role::survivor);
    const bool looks = contestant_.traits().notices_deaths;
    Stage& stage = *stage_;
    for (;;) {
        if (stage.order == Order::take_all) {
            stage.taken = worker->take_all(not_sent);
            stage.order = Order::work;
        }
        worker->work();
        stage.steps = stage.steps + 1;
        if (!looks) continue;
        const bool sees = worker->sees_another();
        if (!sees && stage.sees_another) stage.seen_gone_ns = monotonic_ns();
        stage.sees_another = sees;
    }
}

Contest::Child Contest::start_victim(bool stepped) {
    stage_->begun = false;
    return Child([this, stepped] {
        return play("victim", [&] {
            const auto worker = contestant_.join(Role::victim);
            worker->work();
            worker->work();
            stage_->begun = true;
            if (!stepped) {
                for (;;) worker->work();
            }
            ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
            ::raise(SIGSTOP);
            worker->work();
            ::raise(SIGSTOP);
        });
    });
}

/// Where deaths are noticed, the survivor must have seen that it lives.
bool Contest::await_beginning(const Child& child) {
    const bool seen_first = contestant_.traits().notices_deaths;
    return within(long_enough_to_begin,
                  [&] {
                      return (stage_->begun && (!seen_first || stage_->sees_another)) ||
                             child.has_ended() || survivor_->has_ended();
                  }) &&
           !child.has_ended() && !survivor_->has_ended();
}

void Contest::kill_after(std::chrono::nanoseconds delay) {
    Child victim = start_victim(false);
    const bool began = await_beginning(victim);
    if (began) std::this_thread::sleep_for(delay);
    const std::uint64_t killed_ns = monotonic_ns();
    victim.kill();
    ++result_.kills;
    if (victim.signal() != SIGKILL) {
        tell_end("victim", victim);
        return note(Fate::failed);
    }
    if (!began) return note(survivor_->has_ended() ? Fate::failed : Fate::hung);
    judge(killed_ns);
}

bool Contest::kill_at_instruction(std::uint32_t instruction) {
    Child victim = start_victim(true);
    if (victim.wait() != Child::End::stopped || !await_beginning(victim)) {
        throw std::runtime_error("the victim can not begin");
    }
    // Else every exchange of the slow victim would fail, and it would step around in its retries.
    survivor_->send(SIGSTOP);
    const bool reached = step(victim, instruction);
    const std::uint64_t killed_ns = monotonic_ns();
    if (reached) victim.kill();
    survivor_->send(SIGCONT);
    if (!reached) return false;
    ++result_.kills;
    judge(killed_ns);
    return true;
}

void Contest::await_notice(std::uint64_t killed_ns) {
    if (!contestant_.traits().notices_deaths) return;
    const bool noticed = within(long_enough_to_notice,
                                [&] { return !stage_->sees_another || survivor_->has_ended(); });
    if (!noticed || stage_->sees_another) {
        ++result_.unnoticed;
        return;
    }
    result_.notice_us.push_back(static_cast<double>(stage_->seen_gone_ns - killed_ns) / 1000.0);
}

void Contest::judge(std::uint64_t killed_ns) {
    contestant_.recover(Role::victim);
    await_notice(killed_ns);
    if (const Fate fate = fate_of_survivor(); fate != Fate::well) return note(fate);
    const auto left = count_recovered();
    if (!left) return note(survivor_->has_ended() ? Fate::failed : Fate::hung);
    if (*left < free_) ++result_.kills_with_loss;
    result_.slots_lost += static_cast<std::int32_t>(free_) - static_cast<std::int32_t>(*left);
    free_ = *left;
    if (free_ < result_.slots / 4) start_again();
}

Contest::Fate Contest::fate_of_survivor() const {
    const std::uint64_t before = stage_->steps;
    const bool moved =
        within(patience, [&] { return stage_->steps != before || survivor_->has_ended(); });
    if (survivor_->has_ended()) return Fate::failed;
    return moved ? Fate::well : Fate::hung;
}

void Contest::note(Fate fate) {
    if (survivor_->has_ended()) {
        survivor_->wait();
        tell_end("survivor", *survivor_);
    }
    ++(fate == Fate::hung ? result_.survivors_hung : result_.survivors_failed);
    start_again();
}

/// None if the survivor does not come to an end with it.
std::optional<std::uint32_t> Contest::count_free() const {
    stage_->order = Order::take_all;
    within(patience, [&] { return stage_->order == Order::work || survivor_->has_ended(); });
    if (stage_->order != Order::work || survivor_->has_ended()) return std::nullopt;
    return stage_->taken;
}

std::optional<std::uint32_t> Contest::count_recovered() const {
    std::optional<std::uint32_t> counted;
    const auto all_back = [&] {
        counted = count_free();
        return !counted || *counted >= free_;
    };
    within(contestant_.traits().grace, all_back, 10ms);
    return counted;
}

void Contest::play_sender() const {
    const auto worker = contestant_.join(Role::sender);
    worker->send(slots_read, sent);
    stage_->begun = true;
    wait_for_the_end();
}

void Contest::play_reader() const {
    const auto worker = contestant_.join(Role::reader);
    stage_->reader_ready = true;
    worker->receive(slots_read);
    stage_->reader_has_all = true;
    while (!stage_->ask_reader) std::this_thread::sleep_for(1ms);
    stage_->changed = worker->count_changed(sent);
    stage_->reader_answered = true;
    wait_for_the_end();
}

void Contest::kill_sender() {
    start_again();
    stage_->begun = false;
    Child reader([this] { return play("reader", [this] { play_reader(); }); });
    if (!within(long_enough_to_begin, [&] { return stage_->reader_ready.load(); })) {
        throw std::runtime_error("the reader can not begin");
    }
    Child sender([this] { return play("sender", [this] { play_sender(); }); });
    if (!await_beginning(sender) ||
        !within(long_enough_to_begin, [&] { return stage_->reader_has_all.load(); })) {
        throw std::runtime_error("the sender can not send, or the reader not read");
    }
    const std::uint64_t killed_ns = monotonic_ns();
    sender.kill();
    contestant_.recover(Role::sender);
    await_notice(killed_ns);
    if (!count_recovered()) throw std::runtime_error("the survivor can not take what is left");
    stage_->ask_reader = true;
    if (!within(long_enough_to_begin, [&] { return stage_->reader_answered.load(); })) {
        throw std::runtime_error("the reader does not answer");
    }
    result_.overwritten = stage_->changed;
}

}  // namespace shmpool::versus
