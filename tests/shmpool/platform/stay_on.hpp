// SPDX-License-Identifier: Apache-2.0
/// Threads that stay on a processor: what is measured, or stepped, must not wander.
#pragma once

#include <sched.h>

namespace shmpool {

/// The calling thread from now on, and the threads and children that it begins. False: there is no
/// such processor, or it may not run there.
inline bool stay_on(unsigned processor) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    return ::sched_setaffinity(0, sizeof(one), &one) == 0;
}

/// The same until it ends.
class StayOn {
public:
    explicit StayOn(unsigned processor) {
        ::sched_getaffinity(0, sizeof(before_), &before_);
        done_ = stay_on(processor);
    }
    ~StayOn() { ::sched_setaffinity(0, sizeof(before_), &before_); }
    StayOn(const StayOn&) = delete;
    StayOn& operator=(const StayOn&) = delete;
    [[nodiscard]] bool done() const { return done_; }

private:
    cpu_set_t before_{};
    bool done_ = false;
};

}  // namespace shmpool
