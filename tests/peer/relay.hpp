// SPDX-License-Identifier: Apache-2.0
/// Plays the hosts of a pool on a socket of its own: passes on what its callers ask to a real one,
/// and the answers back, unless the test wants another story. A host that "dies" is a connection
/// that ends; the next caller finds the next host. Callers must be gone before it is.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "protocol/wire/codec.hpp"
#include "protocol/wire/local_socket.hpp"

namespace shmpool {

/// What is about to be answered. The answer may be changed.
struct Scene {
    const wire::Body& asked;
    wire::Body& answer;
    LocalConnection& host;  ///< The real one, as the caller's own connection.
};
enum class Fate { lives, dies_after_its_answer, dies_before_its_answer };

class Relay {
public:
    using Story = std::function<Fate(const Scene&)>;

    /// `story` is called in a thread of the relay.
    Relay(const std::string& path, std::string host_socket, Story story);
    ~Relay();
    Relay(const Relay&) = delete;
    Relay& operator=(const Relay&) = delete;

private:
    void run();
    void serve(LocalConnection caller);

    LocalListener listener_;
    const std::string host_socket_;
    const Story story_;
    std::atomic<bool> stopping_{false};
    std::thread thread_;  // Last: it uses all of the above.
};

}  // namespace shmpool
