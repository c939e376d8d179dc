// SPDX-License-Identifier: Apache-2.0
/// What a host that may die does to a size class, what the next one does then, and the question
/// whether any slot was lost or is there twice.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <vector>

#include "shmpool/pool/growth.hpp"
#include "tests/shmpool/pool/own_pool.hpp"

namespace shmpool::test {

/// One class, which the host lets grow and shrink, and a witness that takes all there is.
class GrowthScene {
public:
    /// Extents of 128, 8 and 16 slots, and the last one empty.
    GrowthScene() {
        for (const std::uint32_t more : {8U, 16U}) grow(pool_.host(), more);
    }

    /// All that can happen to an extent.
    void play_host() {
        Lane& host = pool_.host();
        (void)withdraw_extent(pool_.view(), host, 0, 2);
        grow(host, 1);  // The same again.
        withdraw_in_pieces(host, 2);
        (void)withdraw_extent(pool_.view(), host, 0, 1);
        grow(host, 1);
        grow(host, 1);
        grow(host, 100);  // What is left.
    }

    /// What a next host does first.
    void repair() {
        host_ = std::make_unique<Lane>(pool_.view(), host_lane);
        recover_intent(pool_.view(), host_lane);
        (void)sweep_lane(*pool_, *host_, host_lane, [](std::uint32_t, SlotKey) { return false; });
    }

    void take_all() {
        for (;;) {
            const auto loaned = pool_->loan(*witness_, 1);
            if (!loaned) return;
            EXPECT_TRUE(places_.insert(position_of(loaned->key)).second) << "handed out twice";
            taken_.push_back(*loaned);
        }
    }

    /// What is in service can be had; then all that the class may have.
    void conclude() {
        EXPECT_EQ(broken(pool_.view()), "");
        take_all();
        EXPECT_EQ(taken_.size(), slots_in_service(pool_.view(), 0));
        while (grow(*host_, slot_limit)) {
        }
        take_all();
        EXPECT_EQ(taken_.size(), slot_limit) << "slots were lost";
        for (const Loaned& one : taken_) EXPECT_TRUE(pool_->end_loan(*witness_, one));
        pool_->flush(*witness_);
        EXPECT_EQ(broken_or_not_all_free(pool_.view()), "");
        EXPECT_FALSE(pool_.view().damaged());
    }

    [[nodiscard]] std::span<const std::byte> memory() { return pool_.pages().span(); }

private:
    using Loaned = VarSlotPool::Loaned;
    static constexpr std::uint32_t slot_limit = 160;
    static constexpr std::uint32_t at_first = 128;  // With magazines.

    /// In between the host does something else once.
    void withdraw_in_pieces(Lane& host, std::uint32_t extent_index) {
        Withdrawal withdrawal{0, extent_index};
        for (bool is_first = true;; is_first = false) {
            const auto gone = withdraw_extent(pool_.view(), host, withdrawal, 5);
            if (gone || gone.error() != Errc::would_block) return;
            const auto loaned = is_first ? pool_->loan(host, 64) : fail(Errc::exhausted);
            if (loaned) (void)pool_->end_loan(host, *loaned);
        }
    }
    bool grow(Lane& host, std::uint32_t wanted) {
        const auto growth = plan_growth(pool_.view(), 0, wanted);
        if (growth) open_extent(pool_.view(), host, *growth);
        return growth.has_value();
    }

    OwnPool pool_{Configs{{64, at_first, slot_limit}}, 4, Pages::Kind::shared};
    std::unique_ptr<Lane> witness_ = pool_.lane(5);
    std::unique_ptr<Lane> host_;
    std::vector<Loaned> taken_;
    std::set<std::uint32_t> places_;
};

}  // namespace shmpool::test
