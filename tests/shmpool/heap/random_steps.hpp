// SPDX-License-Identifier: Apache-2.0
/// Random steps of a test against a model: how many, from which seed, and, when the test fails, the
/// seed and the last steps as code.
///
/// A million in a release build, fewer under sanitizers. SHMPOOL_HEAP_STEPS in the environment: as
/// many, from another seed each time; SHMPOOL_HEAP_SEED: from that one.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

namespace shmpool::test {

class RandomSteps {
public:
    /// `slow_count`: where each takes long.
    explicit RandomSteps(int slow_count)
        : count_(number("SHMPOOL_HEAP_STEPS", is_fast ? 1'000'000 : slow_count)),
          seed_(static_cast<unsigned>(number("SHMPOOL_HEAP_SEED", usual_seed()))),
          random_(seed_) {
        testing::Test::RecordProperty("seed", std::to_string(seed_));
    }
    ~RandomSteps() {
        if (testing::Test::HasFailure()) print();
    }
    RandomSteps(const RandomSteps&) = delete;
    RandomSteps& operator=(const RandomSteps&) = delete;

    /// One more step is to be made.
    [[nodiscard]] bool go_on() { return ++step_ <= count_ && !testing::Test::HasFatalFailure(); }
    [[nodiscard]] bool is_every(int one_in) const { return step_ % one_in == 0; }
    std::uint64_t operator()() { return random_(); }

    /// What is done now; `call` is a name that stays, like "heap->free".
    void note(const char* call, std::uint64_t first, std::uint64_t second = none,
              std::uint64_t third = none) {
        last_[static_cast<std::size_t>(step_) % last_.size()] = {call, {first, second, third}};
    }

private:
#ifdef NDEBUG
    static constexpr bool is_fast = true;
#else
    static constexpr bool is_fast = false;
#endif
    static constexpr std::uint64_t none = ~std::uint64_t{0};
    struct Step {
        const char* call = nullptr;
        std::array<std::uint64_t, 3> values{};
    };

    static int number(const char* variable, int otherwise) {
        const char* const wanted = std::getenv(variable);
        return wanted != nullptr ? std::atoi(wanted) : otherwise;
    }
    static int usual_seed() {
        const bool is_long = std::getenv("SHMPOOL_HEAP_STEPS") != nullptr;
        return is_long ? static_cast<int>(std::random_device{}() >> 1U) : 20261122;
    }

    void print() const {
        std::string code = "// SHMPOOL_HEAP_SEED=" + std::to_string(seed_) +
                           ", the last steps before step " + std::to_string(step_) + ":\n";
        for (std::size_t i = 1; i <= last_.size(); ++i) {
            const Step& one = last_[(static_cast<std::size_t>(step_) + i) % last_.size()];
            if (one.call == nullptr) continue;
            code += one.call + std::string("(me");
            for (const std::uint64_t value : one.values) {
                if (value != none) code += ", " + std::to_string(value);
            }
            code += ");\n";
        }
        ADD_FAILURE() << code;
    }

    int count_;
    unsigned seed_;
    std::mt19937 random_;
    int step_ = 0;
    std::array<Step, 40> last_{};
};

}  // namespace shmpool::test
