// SPDX-License-Identifier: Apache-2.0
/// Goal: taking a slot from a magazine and putting it back costs no locked instruction and no call.
/// Method: read the machine code of a probe object with objdump; mutants show that a locked
/// instruction, an xchg with memory and a call would be seen.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <regex>
#include <string>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SHMPOOL_INSTRUMENTED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHMPOOL_INSTRUMENTED 1
#endif

namespace {

std::string output_of(const std::string& command) {
    std::string text;
    FILE* const pipe = ::popen(command.c_str(), "r");
    if (pipe == nullptr) return text;
    char buffer[4096];
    while (std::fgets(buffer, sizeof buffer, pipe) != nullptr) text += buffer;
    ::pclose(pipe);
    return text;
}

/// The instructions of the function whose name contains `name`, cold parts included.
std::string code_of(const std::string& listing, const std::string& name) {
    std::string code;
    bool inside = false;
    std::size_t at = 0;
    while (at < listing.size()) {
        const std::size_t end = std::min(listing.find('\n', at), listing.size());
        const std::string line = listing.substr(at, end - at);
        at = end + 1;
        if (line.ends_with(">:")) {
            inside = line.find(name) != std::string::npos;
        } else if (inside) {
            code += line + "\n";
        }
    }
    return code;
}

bool has_locked_instruction(const std::string& code) {
    return std::regex_search(code, std::regex(R"(\block\b)")) ||
           std::regex_search(code, std::regex(R"(\bxchg[bwlq]?\b.*\()"));
}
bool has_call(const std::string& code) {
    return std::regex_search(code, std::regex(R"(\bcall)"));
}

class HotPathCode : public testing::Test {
protected:
    void SetUp() override {
#if !defined(__x86_64__)
        GTEST_SKIP() << "reads x86-64 code only";
#elif defined(SHMPOOL_INSTRUMENTED)
        GTEST_SKIP() << "sanitizers add code of their own";
#endif
        const std::string objdump = SHMPOOL_OBJDUMP;
        if (!std::filesystem::exists(objdump))
            GTEST_SKIP() << "objdump (binutils) is not installed";
        listing_ = output_of(objdump + " -d -C --no-show-raw-insn '" SHMPOOL_PROBE_OBJECT "'");
        ASSERT_NE(listing_.find("take_from_magazine"), std::string::npos);
    }
    std::string listing_;
};

TEST_F(HotPathCode, HasNoLockedInstructionAndNoCall) {
    for (const char* const name : {"take_from_magazine", "put_into_magazine"}) {
        const std::string code = code_of(listing_, name);
        EXPECT_GT(std::count(code.begin(), code.end(), '\n'), 5);
        EXPECT_LT(std::count(code.begin(), code.end(), '\n'), 60);
        EXPECT_FALSE(has_locked_instruction(code)) << code;
        EXPECT_FALSE(has_call(code)) << code;
    }
}

TEST_F(HotPathCode, WouldShowALockedInstruction) {
    EXPECT_TRUE(has_locked_instruction(code_of(listing_, "mutant_with_atomic_count")));
    EXPECT_TRUE(has_locked_instruction(code_of(listing_, "mutant_with_strong_store")));
}

TEST_F(HotPathCode, WouldShowACall) {
    const std::string code = code_of(listing_, "mutant_with_call");
    EXPECT_TRUE(has_call(code)) << code;
}

}  // namespace
