// SPDX-License-Identifier: Apache-2.0
#include "peer/sample.hpp"

namespace shmpool {

void Sample::swap(Sample& other) noexcept {
    std::swap(core_, other.core_);
    std::swap(taken_, other.taken_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(sequence_, other.sequence_);
    std::swap(publish_time_ns_, other.publish_time_ns_);
    std::swap(user_word_, other.user_word_);
    std::swap(publisher_, other.publisher_);
}

void Sample::end() {
    PeerCore& core = *std::exchange(core_, nullptr);
    core.with_any_lane([&](ThreadLane& lane) {  // In a forked child the sample is the parent's.
        SubscriberCore::release(core.pool(), *lane.lane, taken_);
        lane.count_handle(-1);
    });
}

SlotRef Sample::slot() const {
    if (core_ == nullptr) return {};
    return core_->pool().view().ref_of(taken_.class_index, taken_.key);
}

}  // namespace shmpool
