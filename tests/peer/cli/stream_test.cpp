// SPDX-License-Identifier: Apache-2.0
/// `pub` and `sub` against a real host: what goes in comes out, and what did not is accounted for.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "tests/peer/cli/host_fixture.hpp"

namespace shmpool::cli {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

class Stream : public WithHost {
protected:
    [[nodiscard]] std::vector<std::string> reader(const std::string& name,
                                                  std::vector<std::string> more = {}) const {
        std::vector<std::string> words{"sub",
                                       "c",
                                       "--output",
                                       folder_.path(name),
                                       "--depth",
                                       "4",
                                       "--until-ended",
                                       "--report",
                                       folder_.path(name + ".json")};
        words.insert(words.end(), more.begin(), more.end());
        return words;
    }
    [[nodiscard]] std::vector<std::string> writer(const std::string& input,
                                                  std::vector<std::string> more = {}) const {
        std::vector<std::string> words{"pub", "c", "--input", input, "--timeout", "30s", "--json"};
        words.insert(words.end(), more.begin(), more.end());
        return words;
    }
    [[nodiscard]] json report(const std::string& name) const {
        return json::parse(folder_.read(name + ".json"));
    }
};

TEST_F(Stream, ReachesThreeReadersByteForByte) {
    const std::string content = noise(3'000'001);
    const std::string input = folder_.write("input", content);
    CommandRun first(reader("first"));
    CommandRun second(reader("second"));
    CommandRun polling(reader("polling", {"--poll"}));
    const Finished sent = run(writer(input, {"--chunk", "64KiB", "--wait-subscribers", "3"}));
    ASSERT_EQ(sent.exit_code, 0) << sent.errors;
    for (CommandRun* one : {&first, &second, &polling}) EXPECT_EQ(one->wait().exit_code, 0);
    for (const std::string name : {"first", "second", "polling"}) {
        EXPECT_TRUE(folder_.read(name) == content) << name;
        const json received = report(name);
        EXPECT_EQ(received["messages"], 46) << name;
        EXPECT_EQ(received["bytes"], content.size()) << name;
        EXPECT_EQ(received["missed"], 0) << name;
        EXPECT_EQ(received["ended"], "ended") << name;
    }
    const json summary = json::parse(sent.output);
    EXPECT_EQ(summary["messages"], 46);
    EXPECT_EQ(summary["bytes"], content.size());
    EXPECT_EQ(summary["messages_without_reader"], 0);
    EXPECT_EQ(summary["ended"], "end_of_input");
}

TEST_F(Stream, GoesFromPipeToPipeWithItsSummaryOnStandardError) {
    const std::string content = noise(100'000);
    CommandRun sub({"sub", "c", "--output", "-", "--until-ended"});
    ASSERT_EQ(run(writer("-", {"--chunk", "999", "--wait-subscribers", "1"}), content).exit_code,
              0);
    const Finished received = sub.wait();
    EXPECT_EQ(received.exit_code, 0);
    EXPECT_TRUE(received.output == content);
    EXPECT_THAT(received.errors, AllOf(HasSubstr("received 101 messages, 100000 bytes"),
                                       HasSubstr("every publisher has left")));
}

TEST_F(Stream, OfAnEmptyFileEndsWithNothing) {
    CommandRun sub(reader("output"));
    const Finished sent =
        run(writer(folder_.write("input", ""), {"--chunk", "4", "--wait-subscribers", "1"}));
    EXPECT_EQ(sent.exit_code, 0) << sent.errors;
    EXPECT_EQ(sub.wait().exit_code, 0);
    EXPECT_THAT(folder_.read("output"), IsEmpty());
    EXPECT_EQ(report("output")["messages"], 0);
}

TEST_F(Stream, IsSentAsOftenAsAsked) {
    CommandRun sub(reader("output"));
    const std::string input = folder_.write("input", "abcdefgh-");
    ASSERT_EQ(
        run(writer(input, {"--chunk", "4", "--wait-subscribers", "1", "--repeat", "3"})).exit_code,
        0);
    EXPECT_EQ(sub.wait().exit_code, 0);
    EXPECT_EQ(folder_.read("output"), "abcdefgh-abcdefgh-abcdefgh-");
    EXPECT_EQ(report("output")["messages"], 9);
}

TEST_F(Stream, StopsReadingAfterTheCountThatWasAsked) {
    CommandRun sub(reader("output", {"--count", "2"}));
    const std::string input = folder_.write("input", "abcdefghijkl");
    ASSERT_EQ(run(writer(input, {"--chunk", "4", "--wait-subscribers", "1"})).exit_code, 0);
    EXPECT_EQ(sub.wait().exit_code, 0);
    EXPECT_EQ(folder_.read("output"), "abcdefgh");
    EXPECT_EQ(report("output")["ended"], "count_reached");
}

TEST_F(Stream, OfAKilledWriterIsAPrefixAndSaysSo) {
    const std::string content = noise(600'000);
    const std::string input = folder_.write("input", content);
    CommandRun sub(reader("output"));
    CommandRun pub(writer(input, {"--chunk", "1KiB", "--wait-subscribers", "1", "--rate", "500"}));
    ASSERT_TRUE(eventually([&] { return folder_.read("output").size() > 20'000; }));
    pub.signal(SIGKILL);
    const Finished received = sub.wait();
    EXPECT_EQ(received.exit_code, 0);
    EXPECT_THAT(received.output, HasSubstr("the last publisher died"));
    const std::string output = folder_.read("output");
    EXPECT_TRUE(content.starts_with(output));
    EXPECT_EQ(report("output")["ended"], "ended_by_death");
    EXPECT_EQ(report("output")["missed"], 0);
}

TEST_F(Stream, ThatDropsAccountsForEveryGap) {
    const std::string input = folder_.write("input", noise(200'000));
    for (const std::string policy : {"drop_oldest", "drop_newest"}) {
        const std::string channel = "channel-" + policy;
        CommandRun sub({"sub", channel, "--output", folder_.path(policy), "--policy", policy,
                        "--depth", "2", "--until-ended", "--report",
                        folder_.path(policy + ".json")});
        ASSERT_TRUE(eventually([&] {
            const json now = status();
            return !now["channels"].empty() && !now["channels"].back()["subscribers"].empty() &&
                   now["channels"].back()["name"] == channel;
        }));
        sub.signal(SIGSTOP);
        const Finished sent = run({"pub", channel, "--input", input, "--chunk", "1000", "--json"});
        sub.signal(SIGCONT);
        EXPECT_EQ(sub.wait().exit_code, 0);
        const json summary = json::parse(sent.output);
        const json received = report(policy);
        EXPECT_EQ(summary["messages"], 200) << policy;
        EXPECT_GT(received["dropped"], 0) << policy;
        EXPECT_EQ(received["messages"].get<int>() + received["dropped"].get<int>(), 200) << policy;
        EXPECT_EQ(folder_.read(policy).size(), received["bytes"].get<std::size_t>()) << policy;
    }
}

TEST_F(Stream, WaitsForAnotherPublisherUnlessToldToEnd) {
    CommandRun sub({"sub", "c", "--output", folder_.path("output")});
    for (const std::string content : {"first", "second"}) {
        ASSERT_EQ(run(writer("-", {"--chunk", "64", "--wait-subscribers", "1"}), content).exit_code,
                  0);
    }
    ASSERT_TRUE(eventually([&] { return folder_.read("output") == "firstsecond"; }));
    sub.signal(SIGINT);
    const Finished received = sub.wait();
    EXPECT_EQ(received.exit_code, 0);
    EXPECT_THAT(received.output, HasSubstr("interrupted"));
    EXPECT_THAT(received.errors, HasSubstr("waiting for another publisher"));
}

TEST_F(Stream, PubRefusesAChunkThatNoClassHoldsAndNamesTheLargest) {
    const std::string input = folder_.write("input", "content");
    const Finished refused = run(writer(input, {"--chunk", "65KiB"}));
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.errors, AllOf(HasSubstr("--chunk is 65KiB"), HasSubstr("have 64KiB"),
                                      HasSubstr("configure a larger class")));
}

TEST_F(Stream, PubSaysAtItsTimeoutWhatItWaitedFor) {
    const std::string input = folder_.write("input", "content");
    const Finished alone = run({"pub", "c", "--input", input, "--chunk", "4", "--wait-subscribers",
                                "2", "--timeout", "20ms"});
    EXPECT_EQ(alone.exit_code, 1);
    EXPECT_THAT(alone.errors, HasSubstr("only 0 of 2 subscribers were there within 20ms"));

    CommandRun stopped({"sub", "c", "--output", "/dev/null", "--depth", "1"});
    ASSERT_TRUE(eventually([] { return !status()["peers"].empty(); }));
    ASSERT_TRUE(eventually([] {
        const json now = status();
        return !now["channels"].empty() && !now["channels"][0]["subscribers"].empty();
    }));
    stopped.signal(SIGSTOP);
    const Finished full = run({"pub", "c", "--input", input, "--chunk", "1", "--timeout", "20ms"});
    EXPECT_EQ(full.exit_code, 1);
    EXPECT_THAT(full.errors, HasSubstr("no reader made room within 20ms"));
}

TEST_F(Stream, PubEndsInGoodOrderWhenInterrupted) {
    const std::string input = folder_.write("input", noise(100'000));
    CommandRun pub(writer(input, {"--chunk", "1KiB", "--rate", "10"}));
    ASSERT_TRUE(eventually([] {
        const json now = status();
        return !now["channels"].empty() && now["channels"][0]["published_total"] > 0;
    }));
    pub.signal(SIGTERM);
    const Finished ended = pub.wait();
    EXPECT_EQ(ended.exit_code, 0) << ended.errors;
    EXPECT_EQ(json::parse(ended.output)["ended"], "interrupted");
    EXPECT_TRUE(eventually([] { return status()["peers"].empty(); }));
    EXPECT_EQ(status()["reclaims"]["peers_total"], 0);  // It said goodbye.
}

TEST_F(Stream, SubSaysWhenItsOutputCannotBeWritten) {
    const Finished nowhere = run({"sub", "c", "--output", "/nowhere/file"});
    EXPECT_EQ(nowhere.exit_code, 1);
    EXPECT_THAT(nowhere.errors, HasSubstr("cannot open the output '/nowhere/file'"));

    CommandRun full({"sub", "c", "--output", "/dev/full"});
    ASSERT_EQ(run(writer("-", {"--chunk", "64", "--wait-subscribers", "1"}), "content").exit_code,
              0);
    const Finished ended = full.wait();
    EXPECT_EQ(ended.exit_code, 1);
    EXPECT_THAT(ended.errors, HasSubstr("cannot write the output '/dev/full'"));
}

TEST_F(Stream, EndpointsOfDifferentPoliciesAreRefused) {
    CommandRun sub({"sub", "c", "--output", "/dev/null", "--policy", "drop_oldest"});
    ASSERT_TRUE(eventually([] { return !status()["channels"].empty(); }));
    const Finished refused = run({"pub", "c", "--input", "-", "--chunk", "4", "--policy", "block"});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.errors, HasSubstr("has the policy drop_oldest, the request says block"));
}

TEST_F(Stream, OfAHostThatStopsEndsWhateverTheWriterWaitsFor) {
    const std::string input = folder_.write("input", noise(4096));
    int silent_pipe[2] = {-1, -1};
    ASSERT_EQ(pipe2(silent_pipe, O_CLOEXEC), 0);
    CommandRun for_its_pace({"pub", "a", "--input", input, "--chunk", "64", "--rate", "0.1"});
    CommandRun for_readers({"pub", "b", "--input", input, "--chunk", "64", "--wait-subscribers",
                            "1", "--timeout", "1h"});
    CommandRun for_bytes({"pub", "c", "--input", "-", "--chunk", "64"}, silent_pipe[0]);
    ASSERT_TRUE(eventually([] { return status()["channels"].size() == 3; }));
    host_.signal(SIGTERM);
    for (CommandRun* const pub : {&for_its_pace, &for_readers, &for_bytes}) {
        const Finished ended = pub->wait();
        EXPECT_EQ(ended.exit_code, 1) << ended.output << ended.errors;
        EXPECT_THAT(ended.errors, HasSubstr("host"));
    }
    EXPECT_EQ(host_.wait(), 0);
    close(silent_pipe[0]);
    close(silent_pipe[1]);
}

TEST_F(Stream, OfAHostThatStopsEndsTheReaderWithExitCode1WhenItWantedTheEnd) {
    CommandRun sub(reader("output"));
    ASSERT_TRUE(eventually([] { return !status()["channels"].empty(); }));
    host_.signal(SIGTERM);
    host_.signal(SIGTERM);  // The second one ends the grace period.
    const Finished ended = sub.wait();
    EXPECT_EQ(ended.exit_code, 1);
    EXPECT_EQ(report("output")["ended"], "host_stopped");
}

}  // namespace
}  // namespace shmpool::cli
