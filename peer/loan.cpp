// SPDX-License-Identifier: Apache-2.0
#include "peer/loan.hpp"

namespace shmpool {

void Loan::swap(Loan& other) noexcept {
    std::swap(core_, other.core_);
    std::swap(slot_, other.slot_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(room_, other.room_);
    std::swap(offset_, other.offset_);
    std::swap(user_word_, other.user_word_);
}

void Loan::end() noexcept {
    core_->with_any_lane([this](ThreadLane& lane) {  // In a forked child the loan is the parent's.
        (void)core_->pool().end_loan(*lane.lane, slot_);
        lane.count_handle(-1);
    });
}

SlotRef Loan::slot() const {
    if (core_ == nullptr) return {};
    return core_->pool().view().ref_of(slot_.class_index, slot_.key);
}

Outcome<void> Loan::set_size(std::size_t bytes) {
    if (core_ == nullptr) return fail(Errc::moved_from);
    if (bytes > room_) return fail(Errc::too_large);
    size_ = bytes;
    return {};
}

}  // namespace shmpool
