// SPDX-License-Identifier: Apache-2.0
/// Waits for the beacons of all peers at once: one thread sleeps on up to 127 of them and on one
/// word of its own. What it finds it only announces, through a flag to the event loop; it repairs
/// nothing, for a beacon also fires when only the thread that held it has ended.
///
/// A peer holds its beacon some time after it was welcomed, and nobody rings when it does. So a
/// beacon that is not held is looked at again: after 1 ms, then after twice as long, up to 1 s.
///
///   Who may run beside whom: watch, forget, look_again, collect are the event loop's.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "host/kernel_events.hpp"
#include "host/peer_registry.hpp"
#include "shmpool/platform/beacon.hpp"

namespace shmpool::host {

class BeaconWatcher {
public:
    struct Notice {
        PeerId peer;
        std::uint64_t noticed_ns = 0;
    };

    [[nodiscard]] static Result<std::unique_ptr<BeaconWatcher>> create();
    ~BeaconWatcher();
    BeaconWatcher(const BeaconWatcher&) = delete;
    BeaconWatcher& operator=(const BeaconWatcher&) = delete;

    /// Fails if no thread can be started.
    [[nodiscard]] Result<void> watch(PeerId peer, BeaconWatch beacon);
    void forget(PeerId peer);
    [[nodiscard]] bool watches(PeerId peer);

    /// That peer has spoken: it may hold its beacon by now. Cheap if that is known.
    void look_again(PeerId peer);

    /// False for a peer that has not got so far as to hold its beacon, or has let it go in good
    /// order: then it does not use the pool. True for the dead, and when nothing is known.
    [[nodiscard]] bool may_use_the_pool(PeerId peer);

    /// Readable when `collect` has something.
    [[nodiscard]] const Descriptor& descriptor() const { return flag_.descriptor(); }
    [[nodiscard]] std::vector<Notice> collect();

private:
    class Sleeper;

    explicit BeaconWatcher(EventFlag flag);

    EventFlag flag_;
    std::vector<std::unique_ptr<Sleeper>> sleepers_;
};

}  // namespace shmpool::host
