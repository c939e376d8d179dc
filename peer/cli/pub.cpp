// SPDX-License-Identifier: Apache-2.0
/// `shmpool pub`: publishes a file or a pipe in chunks. read(2) fills the loan itself, so the bytes
/// are copied once, by the kernel, and never again until a reader has them.
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <cmath>
#include <memory>

#include "peer/cli/byte_stream.hpp"
#include "peer/cli/command.hpp"
#include "peer/cli/patience.hpp"
#include "peer/cli/policy_option.hpp"
#include "peer/cli/printing.hpp"
#include "peer/cli/quantity_options.hpp"
#include "peer/cli/quota_sentence.hpp"
#include "peer/cli/size_check.hpp"
#include "peer/cli/stream_summary.hpp"
#include "shmpool/quantity/duration.hpp"

namespace shmpool::cli {
namespace {

struct PubOptions {
    std::string channel;
    std::string input;
    std::string report;
    std::uint64_t chunk_bytes = 0;
    double rate = 0;  ///< Messages per second; 0: as fast as it goes.
    std::uint32_t wait_subscribers = 0;
    std::uint64_t repeat = 1;
    std::chrono::nanoseconds timeout = forever;
    ChannelPolicy policy = ChannelPolicy::as_channel;
};

class Pub {
public:
    Pub(const CommonOptions& common, const PubOptions& options, InputStream input, StopSignal stop,
        Peer peer, Publisher publisher)
        : common_(common),
          options_(options),
          input_(std::move(input)),
          stop_(stop),
          peer_(std::move(peer)),
          publisher_(std::move(publisher)) {}

    Result<void> run();
    [[nodiscard]] std::string text() const;
    [[nodiscard]] Json json() const;

private:
    [[nodiscard]] Result<void> wait_for_subscribers();
    [[nodiscard]] Result<void> send_whole_input();
    [[nodiscard]] Result<void> publish(Loan loan);
    [[nodiscard]] bool keep_pace();
    [[nodiscard]] Error explain_stall(Errc code, const std::string& what) const;
    [[nodiscard]] bool host_stops() const { return peer_.host_state() != HostState::running; }
    [[nodiscard]] Error why_it_ends() const;
    [[nodiscard]] std::string_view ended() const {
        return stop_.requested() ? "interrupted" : "end_of_input";
    }

    const CommonOptions& common_;
    const PubOptions& options_;
    InputStream input_;
    StopSignal stop_;
    Peer peer_;
    Publisher publisher_;
    StreamSummary summary_;
    std::uint64_t messages_without_reader_ = 0;
};

Error Pub::explain_stall(Errc code, const std::string& what) const {
    if (code == Errc::quota_exceeded) return explain_quota(peer_);
    if (code != Errc::timed_out) {
        return Error{
            code, fmt::format("{} after {} messages: {}", what, summary_.messages, explain(code))};
    }
    return Error{
        code, fmt::format("{} within {} (--timeout), after {} messages on channel '{}'", what,
                          format_duration(options_.timeout), summary_.messages, options_.channel)};
}

Error Pub::why_it_ends() const {
    return Error{Errc::host_stopped,
                 fmt::format("the host stops; {} messages were published on channel '{}'",
                             summary_.messages, options_.channel)};
}

Result<void> Pub::run() {
    if (auto ready = wait_for_subscribers(); !ready || stop_.requested()) return ready;
    summary_.begin();
    for (std::uint64_t pass = 0; pass < options_.repeat && !stop_.requested(); ++pass) {
        if (pass > 0) {
            if (auto again = input_.rewind(); !again) return again;
        }
        if (auto sent = send_whole_input(); !sent) return sent;
    }
    return {};
}

Result<void> Pub::wait_for_subscribers() {
    const auto there =
        with_patience(Deadline::after(options_.timeout), stop_,
                      [this](std::chrono::nanoseconds timeout) -> Outcome<void> {
                          if (host_stops()) return fail(Errc::host_stopped);
                          return publisher_.wait_for_readers(options_.wait_subscribers, timeout);
                      });
    if (there || stop_.requested()) return {};
    return tl::unexpected(explain_stall(
        there.error(), fmt::format("only {} of {} subscribers were there",
                                   publisher_.reader_count(), options_.wait_subscribers)));
}

Result<void> Pub::send_whole_input() {
    for (;;) {
        if (host_stops()) return tl::unexpected(why_it_ends());
        auto loan = with_patience(Deadline::after(options_.timeout), stop_,
                                  [this](std::chrono::nanoseconds timeout) {
                                      return publisher_.loan(options_.chunk_bytes, timeout);
                                  });
        if (stop_.requested()) return {};
        if (!loan) return tl::unexpected(explain_stall(loan.error(), "no slot came free"));

        const auto filled = input_.fill(loan->bytes(), stop_, [this] { return host_stops(); });
        if (!filled) return tl::unexpected(filled.error());
        if (host_stops()) return tl::unexpected(why_it_ends());
        if (*filled == 0 || stop_.requested()) return {};
        if (auto fits = loan->set_size(*filled); !fits) {
            return tl::unexpected(to_error(fits.error()));
        }
        const bool last = *filled < options_.chunk_bytes;
        if (!keep_pace()) return {};
        if (host_stops()) return tl::unexpected(why_it_ends());
        if (auto published = publish(std::move(*loan)); !published || last) return published;
    }
}

Result<void> Pub::publish(Loan loan) {
    const std::size_t bytes = loan.size();
    const auto readers = with_patience(
        Deadline::after(options_.timeout), stop_, [&](std::chrono::nanoseconds timeout) {
            return publisher_.publish(std::move(loan), timeout);  // Still ours if it fails.
        });
    if (!readers) {
        if (stop_.requested()) return {};
        return tl::unexpected(explain_stall(readers.error(), "no reader made room"));
    }
    summary_.count(bytes);
    messages_without_reader_ += *readers == 0 ? 1U : 0U;
    return {};
}

bool Pub::keep_pace() {
    if (options_.rate == 0) return true;
    const std::chrono::duration<double> due(static_cast<double>(summary_.messages) / options_.rate);
    for (;;) {
        const auto ahead =
            std::chrono::duration_cast<std::chrono::nanoseconds>(due) - summary_.since_begin();
        if (ahead <= ahead.zero() || host_stops()) return true;
        if (!stop_.sleep_for(std::min(ahead, wait_slice))) return false;
    }
}

std::string Pub::text() const {
    std::string text = summary_.text("published", options_.channel);
    if (messages_without_reader_ != 0) {
        text += fmt::format(", {} of them without a reader", messages_without_reader_);
    }
    return text + (stop_.requested() ? ", interrupted\n" : "\n");
}

Json Pub::json() const {
    Json json = summary_.json(common_.pool, options_.channel);
    json["messages_without_reader"] = messages_without_reader_;
    json["ended"] = ended();
    return json;
}

Result<int> run_pub(const CommonOptions& common, const PubOptions& options) {
    auto input = InputStream::open(options.input);
    if (!input) return tl::unexpected(input.error());
    if (options.repeat > 1) {
        if (auto again = input->rewind(); !again) return tl::unexpected(again.error());
    }
    const auto stop = StopSignal::install();
    if (!stop) return tl::unexpected(stop.error());
    auto peer = attach(common, "pub " + options.channel, Use::writes);
    if (!peer) return tl::unexpected(peer.error());
    if (auto fits = check_size_fits(*peer, common.pool, options.chunk_bytes, "--chunk"); !fits) {
        return tl::unexpected(fits.error());
    }
    auto publisher = peer->publisher(options.channel, {.policy = options.policy});
    if (!publisher) return tl::unexpected(publisher.error());

    Pub pub(common, options, std::move(*input), *stop, std::move(*peer), std::move(*publisher));
    if (auto done = pub.run(); !done) return tl::unexpected(done.error());
    if (auto done = write_report(options.report, pub.json()); !done) {
        return tl::unexpected(done.error());
    }
    if (auto done = common.json ? print_json(pub.json()) : print(pub.text()); !done) {
        return tl::unexpected(done.error());
    }
    return exit_fine;
}

}  // namespace

void add_pub(CLI::App& program, const CommonOptions& common, Action& action) {
    auto options = std::make_shared<PubOptions>();
    CLI::App* const command = add_command(
        program, "pub", "Publish a file or a pipe on a channel, in chunks",
        "Every chunk is one message; the last one may be shorter. A full queue or an empty pool\n"
        "makes it wait (policy block), as long as --timeout says.\n\n"
        "Example: send a file to three readers that are about to come\n"
        "  shmpool pub video --input movie.mkv --chunk 64KiB --wait-subscribers 3");
    add_channel(*command, options->channel);
    command->add_option("--input", options->input, "File to publish; - is standard input")
        ->required()
        ->type_name("FILE|-");
    add_bytes(*command, "--chunk", options->chunk_bytes, 1,
              "Bytes of each message, like 64KiB or 1MiB")
        ->required();
    command
        ->add_option("--rate", options->rate,
                     "Messages per second; as fast as it goes if not "
                     "given")
        ->type_name("NUMBER")
        ->check([](const std::string& text) -> std::string {
            double rate = 0;
            if (CLI::detail::lexical_cast(text, rate) && std::isfinite(rate) && rate > 0) return {};
            return "'" + text + "' is not a number of messages per second above 0";
        });
    add_count(*command, "--wait-subscribers", options->wait_subscribers, 0,
              subscribers_per_channel_max, "Begin when so many subscribers are there");
    add_policy(*command, options->policy);
    add_count(*command, "--repeat", options->repeat, 1, std::uint64_t{1} << 40,
              "Send the whole file so many times");
    add_duration(*command, "--timeout", options->timeout,
                 "Longest wait for subscribers, for a slot and for room in a queue, like 5s;\n"
                 "without end if not given");
    add_report(*command, options->report);
    command->callback([&common, &action, options] {
        if (options->input == "-" && options->repeat > 1) {
            throw CLI::ValidationError("--repeat",
                                       "standard input can only be read once; give a "
                                       "file with --input, or leave out --repeat");
        }
        action = [&common, options] { return run_pub(common, *options); };
    });
}

}  // namespace shmpool::cli
