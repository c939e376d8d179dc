// SPDX-License-Identifier: Apache-2.0
/// Wrong use exits with 2, a refusing world with 1, and both say what is wrong and what to do, on
/// standard error; standard output stays empty.
#include <gmock/gmock.h>
#include <stdlib.h>

#include "tests/peer/cli/command_run.hpp"

namespace shmpool::cli {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

struct WrongUse {
    std::vector<std::string> arguments;
    std::string says;
};

TEST(WrongUse, SaysWhatIsWrongAndExitsWith2) {
    const std::vector<std::string> pub{"pub", "c", "--input", "x", "--chunk", "4"};
    const auto with = [](std::vector<std::string> words, std::vector<std::string> more) {
        words.insert(words.end(), more.begin(), more.end());
        return words;
    };
    const std::vector<WrongUse> uses{
        {{}, "no command is given; the commands are status, classes, peers, channels, doctor"},
        {{"stats"}, "there is no command 'stats'; the commands are status"},
        {{"--frobnicate"}, "there is no option '--frobnicate'"},
        {{"status", "--frobnicate"}, "--frobnicate"},
        {{"status", "extra"}, "extra"},
        {{"--pool", "a/b", "status"}, "'/' at position 2"},
        {{"status", "--pool", ""}, "pool name"},
        {{"status", "--wait-host", "5"},
         "duration \"5\" has no unit; the units are us, ms, s, m, h"},
        {{"pub", "--input", "x", "--chunk", "4"}, "CHANNEL is required"},
        {{"pub", "c", "--chunk", "4"}, "--input is required"},
        {{"pub", "c", "--input", "x"}, "--chunk is required"},
        {{"pub", "c d", "--input", "x", "--chunk", "4"}, "' ' at position 2"},
        {{"pub", "c", "--input", "x", "--chunk", "0"}, "--chunk: \"0\" is too small"},
        {{"pub", "c", "--input", "x", "--chunk", "-1"}, "size \"-1\" is negative"},
        {{"pub", "c", "--input", "x", "--chunk", "1MB"}, "the units are B, KiB, MiB, GiB, TiB"},
        {{"pub", "c", "--input", "x", "--chunk", "1.5KiB"}, "size \"1.5KiB\" has a fraction"},
        {{"pub", "c", "--input", "x", "--chunk", "99999999TiB"}, "larger than 64 bits can hold"},
        {with(pub, {"--rate", "0"}), "'0' is not a number of messages per second above 0"},
        {with(pub, {"--rate", "nan"}), "'nan' is not a number"},
        {with(pub, {"--rate", "fast"}), "'fast' is not a number"},
        {with(pub, {"--policy", "drop"}), "'drop' is no policy; it may be block, drop_newest"},
        {with(pub, {"--wait-subscribers", "61"}), "\"61\" is out of range; it may be 0 to 60"},
        {with(pub, {"--timeout", "soon"}), "duration \"soon\" does not begin with a digit"},
        {{"pub", "c", "--input", "-", "--chunk", "4", "--repeat", "2"}, "can only be read once"},
        {{"sub", "c"}, "--output is required"},
        {{"sub", "c", "--output", "-", "--depth", "0"}, "it may be 1 to 65536"},
        {{"sub", "c", "--output", "-", "--count", "many"},
         "count \"many\" does not begin with a digit"},
        {{"sub", "c", "--output"}, "--output"},
        {{"hold", "--size", "4"}, "--count is required"},
        {{"hold", "--size", "4", "--count", "0"}, "\"0\" is out of range"},
        {{"kick"}, "PEER is required"},
        {{"kick", "first"},
         "count \"first\" does not begin with a digit; write a whole number, like \"3\""},
        {{"kick", "1000"}, "it may be 0 to 999"},
    };
    for (const WrongUse& use : uses) {
        const Finished finished = run(use.arguments);
        const testing::Message line = testing::Message()
                                      << "shmpool " << testing::PrintToString(use.arguments);
        EXPECT_EQ(finished.exit_code, 2) << line;
        EXPECT_THAT(finished.output, IsEmpty()) << line;
        EXPECT_THAT(finished.errors,
                    AllOf(StartsWith("shmpool: "), HasSubstr(use.says), EndsWith("--help'\n")))
            << line;
    }
}

TEST(Help, OfEveryCommandGoesToStandardOutputWithAnExample) {
    const Finished whole = run({"--help"});
    EXPECT_EQ(whole.exit_code, 0);
    EXPECT_THAT(whole.errors, IsEmpty());
    EXPECT_THAT(whole.output, HasSubstr("Exit codes: 0 fine, 1 refused"));
    for (const std::string command :
         {"status", "classes", "peers", "channels", "doctor", "pub", "sub", "hold", "kick"}) {
        EXPECT_THAT(whole.output, HasSubstr("\n  " + command + " ")) << command;
        const Finished one = run({command, "--help"});
        EXPECT_EQ(one.exit_code, 0) << command;
        EXPECT_THAT(one.output, AllOf(HasSubstr("Example: "), HasSubstr("  shmpool " + command)))
            << command;
    }
}

class WithoutHost : public testing::Test {
protected:
    WithoutHost() {
        setenv("SHMPOOL_RUNTIME_DIR", folder_.path("").c_str(), 1);
        unsetenv("SHMPOOL_POOL");  // Of a test before this one, in the same process.
    }
    Folder folder_;
};

TEST_F(WithoutHost, EveryCommandSaysSoNamesTheSocketAndTheRemedyAndExitsWith1) {
    const std::string file = folder_.write("file", "content");
    const std::vector<std::vector<std::string>> lines{
        {"status"},
        {"classes"},
        {"peers", "--json"},
        {"channels"},
        {"doctor"},
        {"kick", "0"},
        {"hold", "--size", "1", "--count", "1"},
        {"pub", "c", "--input", file, "--chunk", "4"},
        {"sub", "c", "--output", "-", "--wait-host", "10ms"}};
    for (const auto& line : lines) {
        const Finished finished = run(line);
        EXPECT_EQ(finished.exit_code, 1) << line.front();
        EXPECT_THAT(finished.output, IsEmpty()) << line.front();
        EXPECT_THAT(finished.errors, AllOf(HasSubstr("default.sock"), HasSubstr("start shmpoold")))
            << line.front();
    }
}

TEST_F(WithoutHost, PubLooksAtItsInputFirst) {
    const Finished missing = run({"pub", "c", "--input", "/nowhere/file", "--chunk", "4"});
    EXPECT_EQ(missing.exit_code, 1);
    EXPECT_THAT(missing.errors,
                AllOf(HasSubstr("cannot open the input '/nowhere/file'"), HasSubstr("No such")));

    const Finished folder = run({"pub", "c", "--input", "/tmp", "--chunk", "4"});
    EXPECT_EQ(folder.exit_code, 1);
    EXPECT_THAT(folder.errors, HasSubstr("'/tmp' is a directory"));
}

TEST_F(WithoutHost, ASocketPathThatIsTooLongIsRefusedWithTheLimit) {
    const Finished finished = run({"status", "--socket", "/" + std::string(200, 'x')});
    EXPECT_EQ(finished.exit_code, 1);
    EXPECT_THAT(finished.errors, HasSubstr("107"));
}

}  // namespace
}  // namespace shmpool::cli
