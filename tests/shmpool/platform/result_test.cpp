// SPDX-License-Identifier: Apache-2.0
/// Every code has a name of its own and a sentence of its own.
#include "shmpool/platform/result.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>

#include "shmpool/platform/errno_of.hpp"

namespace shmpool {
namespace {

std::set<std::uint16_t> all_codes() {
    std::set<std::uint16_t> codes;
    for (std::uint16_t code = 1; code <= static_cast<std::uint16_t>(Errc::internal_fault); ++code) {
        codes.insert(code);
    }
    return codes;
}

TEST(Result, GivesEveryCodeANameOfItsOwn) {
    std::set<std::string_view> names;
    for (const std::uint16_t code : all_codes()) {
        const std::string_view name = name_of(static_cast<Errc>(code));
        EXPECT_NE(name, "unknown") << code;
        EXPECT_TRUE(names.insert(name).second) << name << " is the name of two codes";
    }
    EXPECT_EQ(name_of(Errc::double_free), "double_free");
}

TEST(Result, GivesEveryCodeASentenceOfItsOwn) {
    std::set<std::string_view> sentences;
    for (const std::uint16_t code : all_codes()) {
        const std::string_view sentence = explain(static_cast<Errc>(code));
        EXPECT_TRUE(sentence.ends_with('.')) << code << ": " << sentence;
        EXPECT_TRUE(sentences.insert(sentence).second) << sentence;
    }
}

TEST(Result, SurvivesACodeThatItDoesNotKnow) {
    EXPECT_EQ(name_of(static_cast<Errc>(9999)), "unknown");
    EXPECT_FALSE(explain(static_cast<Errc>(9999)).empty());
}

TEST(Result, AddsTheTextOfTheErrorNumber) {
    const Result<void> failed = fail_errno(Errc::system, "open the door", ENOENT);
    ASSERT_FALSE(failed.has_value());
    EXPECT_EQ(failed.error().code, Errc::system);
    EXPECT_EQ(failed.error().message, "open the door: No such file or directory");
}

TEST(Result, IsANumberOfTheCLibraryToo) {  // T-AR-70
    EXPECT_EQ(errno_of(Errc::no_memory), ENOMEM);
    for (const Errc code :
         {Errc::invalid_argument, Errc::memory_overlap, Errc::not_allocated, Errc::double_free}) {
        EXPECT_EQ(errno_of(code), EINVAL);
    }
    EXPECT_EQ(errno_of(Errc::heap_in_use), EBUSY);
    EXPECT_EQ(errno_of(Errc::would_block), EAGAIN);
    EXPECT_EQ(errno_of(static_cast<Errc>(9999)), EINVAL);
}

TEST(Result, TurnsABareCodeIntoAnErrorWithItsSentence) {
    EXPECT_EQ(to_error(Errc::empty).message, explain(Errc::empty));
}

}  // namespace
}  // namespace shmpool
