// SPDX-License-Identifier: Apache-2.0
/// `shmpool sub`: writes the messages of a channel, one behind the other, into a file or a pipe.
/// write(2) reads the sample itself. Gaps in the sequence numbers are counted for each publisher.
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <memory>
#include <thread>

#include "peer/cli/byte_stream.hpp"
#include "peer/cli/command.hpp"
#include "peer/cli/patience.hpp"
#include "peer/cli/policy_option.hpp"
#include "peer/cli/printing.hpp"
#include "peer/cli/quantity_options.hpp"
#include "peer/cli/sequence_log.hpp"
#include "peer/cli/stream_summary.hpp"

namespace shmpool::cli {
namespace {

struct SubOptions {
    std::string channel;
    std::string output;
    std::string report;
    bool until_ended = false;
    bool poll = false;
    std::uint32_t depth = 16;
    std::uint64_t count = 0;  ///< 0: no limit.
    ChannelPolicy policy = ChannelPolicy::as_channel;
};

/// Why the reading stopped.
enum class SubEnd { interrupted, count_reached, ended, ended_by_death, host_stopped, failed };

std::string_view name_of(SubEnd end) {
    switch (end) {
        case SubEnd::interrupted: return "interrupted";
        case SubEnd::count_reached: return "count_reached";
        case SubEnd::ended: return "ended";
        case SubEnd::ended_by_death: return "ended_by_death";
        case SubEnd::host_stopped: return "host_stopped";
        case SubEnd::failed: return "failed";
    }
    return "unknown";
}

std::string_view sentence_of(SubEnd end) {
    switch (end) {
        case SubEnd::interrupted: return "interrupted";
        case SubEnd::count_reached: return "as many as were asked for";
        case SubEnd::ended: return "ended: every publisher has left";
        case SubEnd::ended_by_death:
            return "ended by death: the last publisher died, all that it had published is here";
        case SubEnd::host_stopped: return "the host was stopped";
        case SubEnd::failed: return "given up";
    }
    return "unknown";
}

class Sub {
public:
    Sub(const CommonOptions& common, const SubOptions& options, OutputStream output,
        StopSignal stop, Peer peer, Subscriber subscriber)
        : common_(common),
          options_(options),
          output_(std::move(output)),
          stop_(stop),
          peer_(std::move(peer)),
          subscriber_(std::move(subscriber)) {}

    Result<void> run();
    /// Where the messages do not go.
    [[nodiscard]] Result<void> report() const;
    [[nodiscard]] int exit_code() const {
        return end_ == SubEnd::host_stopped && options_.until_ended ? exit_refused : exit_fine;
    }

private:
    [[nodiscard]] Result<void> receive_all();
    [[nodiscard]] Outcome<Sample> next();
    [[nodiscard]] Result<bool> receive(const Sample& sample);
    [[nodiscard]] Result<bool> handle(Errc code);
    void stay_for_another(SubEnd end);
    [[nodiscard]] std::string text() const;
    [[nodiscard]] Json json() const;

    const CommonOptions& common_;
    const SubOptions& options_;
    OutputStream output_;
    StopSignal stop_;
    Peer peer_;
    Subscriber subscriber_;
    StreamSummary summary_;
    SequenceLog sequences_;
    SubEnd end_ = SubEnd::interrupted;
    bool said_that_it_stays_ = false;
};

Result<void> Sub::run() {
    auto received = receive_all();
    auto finished = output_.finish();
    if (received) received = finished;
    if (!received) end_ = SubEnd::failed;
    return received;
}

Result<void> Sub::receive_all() {
    while (!stop_.requested()) {
        const auto sample = next();
        const auto goes_on = sample ? receive(*sample) : handle(sample.error());
        if (!goes_on) return tl::unexpected(goes_on.error());
        if (!*goes_on) return {};
    }
    return {};
}

Outcome<Sample> Sub::next() {
    if (!options_.poll) return subscriber_.take(wait_slice);
    auto sample = subscriber_.take();
    if (!sample && sample.error() == Errc::empty) std::this_thread::yield();
    return sample;
}

Result<bool> Sub::receive(const Sample& sample) {
    summary_.begin();
    said_that_it_stays_ = false;
    const auto written = output_.write(sample.bytes(), stop_);
    if (!written) return tl::unexpected(written.error());
    if (!*written) return false;
    sequences_.note(sample.publisher(), sample.sequence());
    summary_.count(sample.size());
    if (options_.count == 0 || summary_.messages < options_.count) return true;
    end_ = SubEnd::count_reached;
    return false;
}

/// What `take` says instead of a message: true to go on.
Result<bool> Sub::handle(Errc code) {
    switch (code) {
        case Errc::empty:
        case Errc::timed_out: return true;
        case Errc::ended:
        case Errc::ended_by_death: {
            const SubEnd end = code == Errc::ended ? SubEnd::ended : SubEnd::ended_by_death;
            const bool nobody_will_come = peer_.host_state() != HostState::running;
            if (!options_.until_ended && !nobody_will_come) {
                stay_for_another(end);
                return true;
            }
            end_ = options_.until_ended ? end : SubEnd::host_stopped;
            return false;
        }
        case Errc::host_stopped: end_ = SubEnd::host_stopped; return false;
        default:
            return fail(code,
                        fmt::format("receiving from channel '{}' failed after {} messages: {}",
                                    options_.channel, summary_.messages, explain(code)));
    }
}

void Sub::stay_for_another(SubEnd end) {
    if (!said_that_it_stays_) {
        remark(
            fmt::format("channel '{}': {}; waiting for another publisher (--until-ended stops "
                        "here)",
                        options_.channel, sentence_of(end)));
    }
    said_that_it_stays_ = true;
    // The end stands until somebody comes, so there is nothing to sleep on.
    stop_.sleep_for(std::chrono::milliseconds(1));
}

std::string Sub::text() const {
    std::string text = summary_.text("received", options_.channel);
    if (sequences_.missed() != 0) {
        text += fmt::format(", {} missed in {} gaps", sequences_.missed(), sequences_.gaps());
    }
    if (const std::uint64_t dropped = subscriber_.dropped_total(); dropped != 0) {
        text += fmt::format(", {} dropped by a full queue", dropped);
    }
    return text + fmt::format("; {}\n", sentence_of(end_));
}

Json Sub::json() const {
    Json json = summary_.json(common_.pool, options_.channel);
    json["missed"] = sequences_.missed();
    json["gaps"] = sequences_.gaps();
    json["dropped"] = subscriber_.dropped_total();
    json["ended"] = name_of(end_);
    json["publishers"] = Json::array();
    for (const SequenceLog::Stream& stream : sequences_.streams()) {
        json["publishers"].push_back({{"publisher", stream.publisher},
                                      {"messages", stream.messages},
                                      {"first_sequence", stream.first_sequence},
                                      {"last_sequence", stream.last_sequence},
                                      {"gaps", stream.gaps},
                                      {"missed", stream.missed}});
    }
    return json;
}

Result<void> Sub::report() const {
    if (auto written = write_report(options_.report, json()); !written) return written;
    if (output_.is_standard_output()) {
        std::fputs((common_.json ? dump(json()) + "\n" : text()).c_str(), stderr);
        return {};
    }
    return common_.json ? print_json(json()) : print(text());
}

Result<int> run_sub(const CommonOptions& common, const SubOptions& options) {
    const auto stop = StopSignal::install();
    if (!stop) return tl::unexpected(stop.error());
    auto peer = attach(common, "sub " + options.channel, Use::reads);
    if (!peer) return tl::unexpected(peer.error());
    auto output = OutputStream::open(options.output);
    if (!output) return tl::unexpected(output.error());
    auto subscriber = peer->subscriber(
        options.channel,
        {.depth = options.depth, .policy = options.policy, .may_sleep = !options.poll});
    if (!subscriber) return tl::unexpected(subscriber.error());

    Sub sub(common, options, std::move(*output), *stop, std::move(*peer), std::move(*subscriber));
    const auto done = sub.run();
    if (auto reported = sub.report(); !reported && done) {
        return tl::unexpected(reported.error());
    }
    if (!done) return tl::unexpected(done.error());
    return sub.exit_code();
}

}  // namespace

void add_sub(CLI::App& program, const CommonOptions& common, Action& action) {
    auto options = std::make_shared<SubOptions>();
    CLI::App* const command = add_command(
        program, "sub", "Write the messages of a channel to a file or a pipe",
        "The payloads come one behind the other, in order for each publisher. At the end it says\n"
        "what came and what was missed: on standard output, or on standard error if the messages\n"
        "go to standard output. It waits for publishers, and for the next ones when they have\n"
        "left, unless --until-ended is given.\n\n"
        "Example: receive one stream to its end, with room for four messages\n"
        "  shmpool sub video --output copy.mkv --until-ended --depth 4");
    add_channel(*command, options->channel);
    command->add_option("--output", options->output, "File to write; - is standard output")
        ->required()
        ->type_name("FILE|-");
    command->add_flag("--until-ended", options->until_ended,
                      "Stop when publishers have been there and all have left or died");
    add_count(*command, "--depth", options->depth, 1, ring_depth_max,
              "Messages that may wait, for each publisher (default 16)");
    add_count(*command, "--count", options->count, 1, std::uint64_t{1} << 62,
              "Stop after so many messages");
    add_policy(*command, options->policy);
    command->add_flag("--poll", options->poll,
                      "Never sleep: burns a processor, saves time and the publisher's effort");
    add_report(*command, options->report);
    command->callback([&common, &action, options] {
        action = [&common, options] { return run_sub(common, *options); };
    });
}

}  // namespace shmpool::cli
