// SPDX-License-Identifier: Apache-2.0
/// Who makes heaps of the memory that they have, and has them take more. That reads and writes the
/// memory of one heap and nothing else, but all tables in it: up to 0.6 s for 1 GiB. So whoever
/// serves others meanwhile has somebody do it beside him.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "shmpool/platform/result.hpp"

namespace shmpool {

/// Of one directory; never comes again.
using HeapWorkId = std::uint64_t;

class HeapBuilder {
public:
    using Task = std::function<Result<void>()>;

    /// The task of that work is over: nobody touches its heap's memory any more.
    struct Built {
        HeapWorkId work = 0;
        Result<void> result;
    };

    HeapBuilder() = default;
    virtual ~HeapBuilder() = default;
    HeapBuilder(const HeapBuilder&) = delete;
    HeapBuilder& operator=(const HeapBuilder&) = delete;

    /// Behind those that were begun before. One task of a work at a time.
    virtual void begin(HeapWorkId work, Task task) = 0;
    /// True: that one was not yet begun, and never will be. False: it is heard of as ever.
    [[nodiscard]] virtual bool withdraw(HeapWorkId work) = 0;
    /// What is over since the last call.
    [[nodiscard]] virtual std::vector<Built> collect() = 0;
};

/// At once. For who serves nobody yet.
class HeapBuilderInTurn final : public HeapBuilder {
public:
    void begin(HeapWorkId work, Task task) override { built_.push_back({work, task()}); }
    [[nodiscard]] bool withdraw(HeapWorkId) override { return false; }
    [[nodiscard]] std::vector<Built> collect() override { return std::exchange(built_, {}); }

private:
    std::vector<Built> built_;
};

}  // namespace shmpool
