// SPDX-License-Identifier: Apache-2.0
#include "tests/peer/relay.hpp"

#include <span>
#include <utility>
#include <vector>

namespace shmpool {
namespace {

std::vector<int> numbers_of(std::span<const Descriptor> descriptors) {
    std::vector<int> numbers;
    for (const Descriptor& one : descriptors) numbers.push_back(one.get());
    return numbers;
}

}  // namespace

Relay::Relay(const std::string& path, std::string host_socket, Story story)
    : listener_(LocalListener::bind(path, {}).value()),
      host_socket_(std::move(host_socket)),
      story_(std::move(story)),
      thread_([this] { run(); }) {}

Relay::~Relay() {
    stopping_ = true;
    { const auto last_caller = LocalConnection::connect(listener_.path(), Deadline::never()); }
    thread_.join();
}

void Relay::run() {
    while (!stopping_) {
        auto caller = listener_.accept(Deadline::never());
        if (caller) serve(std::move(*caller));
    }
}

/// Until one of the three ends it.
void Relay::serve(LocalConnection caller) {
    auto host = LocalConnection::connect(host_socket_, Deadline::never());
    if (!host) return;
    for (;;) {
        const auto asked = caller.receive(Deadline::never());
        if (!asked) return;
        const auto request = wire::decode(asked->packet.bytes(), asked->descriptors.size());
        if (!request ||
            !host->send(asked->packet, numbers_of(asked->descriptors.all()), Deadline::never())) {
            return;
        }
        const auto answered = host->receive(Deadline::never());
        if (!answered) return;
        auto answer = wire::decode(answered->packet.bytes(), answered->descriptors.size());
        if (!answer) return;
        const Fate fate = story_({request->body, answer->body, *host});
        if (fate == Fate::dies_before_its_answer) return;
        if (!caller.send(wire::encode(answer->body, answer->request_id),
                         numbers_of(answered->descriptors.all()), Deadline::never()) ||
            fate == Fate::dies_after_its_answer) {
            return;
        }
    }
}

}  // namespace shmpool
