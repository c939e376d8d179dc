// SPDX-License-Identifier: Apache-2.0
/// `shmpool hold`: takes slots and sleeps, so that one can see what a pool does when it runs short,
/// and what becomes of the slots when their holder is killed.
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <memory>

#include "peer/cli/command.hpp"
#include "peer/cli/printing.hpp"
#include "peer/cli/quantity_options.hpp"
#include "peer/cli/quota_sentence.hpp"
#include "peer/cli/size_check.hpp"
#include "peer/cli/stop_signal.hpp"
#include "shmpool/platform/process.hpp"

namespace shmpool::cli {
namespace {

struct HoldOptions {
    std::uint64_t slot_bytes = 0;
    std::uint64_t count = 0;
    bool raw = false;
};

/// Loans come from a publisher, so one is opened; it publishes nothing.
constexpr std::string_view hold_channel = "hold";

/// Raw slots, given back at the end. Loans do that themselves.
class RawSlots {
public:
    explicit RawSlots(Peer& peer) : peer_(peer) {}
    ~RawSlots() {
        for (const SlotRef& slot : slots_) (void)peer_.free(slot);
    }
    RawSlots(const RawSlots&) = delete;
    RawSlots& operator=(const RawSlots&) = delete;

    Outcome<void> take(std::size_t bytes) {
        const auto slot = peer_.allocate(bytes);
        if (!slot) return tl::unexpected(slot.error());
        slots_.push_back(*slot);
        return {};
    }

private:
    Peer& peer_;
    std::vector<SlotRef> slots_;
};

/// `take_one` takes one more slot. All or none: the caller's destructors give back.
template <typename TakeOne>
Result<void> take_all(const CommonOptions& common, const HoldOptions& options, const Peer& peer,
                      TakeOne take_one) {
    for (std::uint64_t taken = 0; taken < options.count; ++taken) {
        const Outcome<void> one = take_one();
        if (one) continue;
        if (one.error() == Errc::quota_exceeded) return tl::unexpected(explain_quota(peer));
        if (one.error() != Errc::exhausted) return tl::unexpected(to_error(one.error()));
        return fail(Errc::exhausted,
                    fmt::format("only {} of {} slots of {} bytes are free in pool '{}'; ask for "
                                "fewer with --count, or see 'shmpool peers' for who has the others",
                                taken, options.count, options.slot_bytes, common.pool));
    }
    return {};
}

Result<void> say_so(const CommonOptions& common, const HoldOptions& options, const Peer& peer) {
    if (common.json) {
        return print_json({{"holding", options.count},
                           {"slot_bytes", options.slot_bytes},
                           {"raw", options.raw},
                           {"peer", peer.index()},
                           {"pid", own_pid()}});
    }
    return print(fmt::format("holding {} slots of {} bytes as peer {} (pid {})\n", options.count,
                             options.slot_bytes, peer.index(), own_pid()));
}

Result<int> sleep_until_stopped(const StopSignal& stop, const Peer& peer) {
    while (stop.sleep_for(std::chrono::milliseconds(100))) {
        const HostState state = peer.host_state();
        if (state == HostState::stopping || state == HostState::stopped) {
            return fail(Errc::host_stopped, "the host stops; all slots were given back");
        }
        if (state == HostState::replaced) return tl::unexpected(to_error(Errc::segment_replaced));
    }
    return exit_fine;
}

Result<int> run_hold(const CommonOptions& common, const HoldOptions& options) {
    const auto stop = StopSignal::install();
    if (!stop) return tl::unexpected(stop.error());
    auto peer =
        attach(common, fmt::format("hold {} x {}", options.count, options.slot_bytes), Use::writes);
    if (!peer) return tl::unexpected(peer.error());
    if (auto fits = check_size_fits(*peer, common.pool, options.slot_bytes, "--size"); !fits) {
        return tl::unexpected(fits.error());
    }
    RawSlots raw_slots(*peer);
    std::vector<Loan> loans;
    Result<void> taken;
    if (options.raw) {
        taken =
            take_all(common, options, *peer, [&] { return raw_slots.take(options.slot_bytes); });
    } else {
        auto publisher = peer->publisher(hold_channel);
        if (!publisher) return tl::unexpected(publisher.error());
        taken = take_all(common, options, *peer, [&]() -> Outcome<void> {
            auto loan = publisher->loan(options.slot_bytes);
            if (!loan) return tl::unexpected(loan.error());
            loans.push_back(std::move(*loan));
            return {};
        });
    }
    if (!taken) return tl::unexpected(taken.error());
    if (auto said = say_so(common, options, *peer); !said) return tl::unexpected(said.error());
    return sleep_until_stopped(*stop, *peer);
}

}  // namespace

void add_hold(CLI::App& program, const CommonOptions& common, Action& action) {
    auto options = std::make_shared<HoldOptions>();
    CLI::App* const command = add_command(
        program, "hold", "Take slots and sleep until a signal comes",
        "All or nothing: with fewer free slots it fails and takes none. When it has\n"
        "them, it prints one line. SIGINT and SIGTERM give the slots back; after a\n"
        "kill -9 the host does.\n\n"
        "Example: does the host take back what a dead peer held?\n"
        "  shmpool hold --size 64KiB --count 100 & sleep 1; kill -9 $!; shmpool status");
    add_bytes(*command, "--size", options->slot_bytes, 1, "Bytes of each slot, like 64KiB")
        ->required();
    add_count(*command, "--count", options->count, 1, slot_count_max, "How many slots")->required();
    command->add_flag("--raw", options->raw,
                      "Allocate raw slots, instead of loans of a publisher on channel 'hold'");
    command->callback([&common, &action, options] {
        action = [&common, options] { return run_hold(common, *options); };
    });
}

}  // namespace shmpool::cli
