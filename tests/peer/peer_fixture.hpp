// SPDX-License-Identifier: Apache-2.0
/// A real host and two peers of this process, for tests that want every step in order.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

#include "peer/peer.hpp"
#include "shmpool/pool/pool_audit.hpp"
#include "shmpool/pool/pool_statistics.hpp"
#include "tests/peer/running_host.hpp"

namespace shmpool {

class PeerTest : public testing::Test {
protected:
    RunningHost host_;
    Peer peer_ = attach("writer");
    Peer other_ = attach("reader");

    [[nodiscard]] Peer attach(const char* name) const {
        PeerOptions options;
        options.name = name;
        auto peer = Peer::attach(host_.pool(), options);
        if (!peer) throw std::runtime_error(peer.error().message);
        return std::move(*peer);
    }
    static void send(Publisher& publisher, std::string_view text) {
        auto loan = publisher.loan(text.size());
        ASSERT_TRUE(loan) << explain(loan.error());
        std::memcpy(loan->data(), text.data(), text.size());
        ASSERT_TRUE(publisher.publish(std::move(*loan), std::chrono::seconds(5)));
    }
    static std::string text_of(const Sample& sample) {
        return {reinterpret_cast<const char*>(sample.data()), sample.size()};
    }
    /// Every slot is in a free list or in a magazine, and no invariant is broken.
    static void expect_nothing_lost(Peer& peer) {
        EXPECT_TRUE(eventually([&] {
            for (const auto& one : read_statistics(peer.pool().view())) {
                if (one.free + one.cached != one.slot_count) return false;
            }
            return true;
        }));
        for (const auto& finding : audit_moving(peer.pool().view())) {
            ADD_FAILURE() << finding.invariant << ": " << finding.text;
        }
    }
};

}  // namespace shmpool
