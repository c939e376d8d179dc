// SPDX-License-Identifier: Apache-2.0
/// The ten lines of README.md, word for word between the two marks. A test compares them, and runs
/// this program against a real host.
#include <cstdio>

// readme begin
#include <shmpool.hpp>

struct Pose { double x, y, z; };

int main() {
    auto peer = shmpool::Peer::attach("default");
    if (!peer) return std::puts(peer.error().message.c_str()), 1;
    auto reader = peer->subscriber<Pose>("pose");
    auto writer = peer->publisher<Pose>("pose");
    auto loan = writer->loan();             // a slot in shared memory, ours alone
    (*loan)->z = 42;                        // written in place: nothing is copied
    writer->publish(std::move(*loan));      // now every reader of "pose" has it
    auto pose = reader->take();             // the same bytes; its end gives the slot back
    std::printf("z = %g\n", (*pose)->z);
}
// readme end
