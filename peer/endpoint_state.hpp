// SPDX-License-Identifier: Apache-2.0
/// The private parts of publishers and subscribers, which `Peer` makes and the classes use.
#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "peer/publisher.hpp"
#include "peer/subscriber.hpp"
#include "shmpool/platform/event_descriptor.hpp"

namespace shmpool {

struct Publisher::State {
    std::shared_ptr<PeerCore> core;
    PublisherCore publishing;
    bool stamp_time;
};

/// Turns the doorbell, which only a sleeping thread can hear, into a readable descriptor. A thread
/// of its own sleeps on the doorbell and signals; `take` that found nothing clears it and arms
/// again.
struct DescriptorBridge {
    EventDescriptor event;
    std::atomic<bool> stop{false};
    std::atomic<bool> ended{false};
    std::thread thread;
};

struct Subscriber::State {
    std::shared_ptr<PeerCore> core;
    SubscriberCore taking;
    bool may_sleep;
    std::unique_ptr<DescriptorBridge> bridge;
};

}  // namespace shmpool
