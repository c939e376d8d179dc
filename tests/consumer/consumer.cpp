// SPDX-License-Identifier: Apache-2.0
/// A stranger's program, built against the installed package only.
#include <cstdio>
#include <shmpool.hpp>

int main() {
    const auto peer = shmpool::Peer::attach("nobody-is-there");
    if (peer || peer.error().code != shmpool::Errc::no_host) return 1;
    std::puts(peer.error().message.c_str());
}
