// SPDX-License-Identifier: Apache-2.0
// iceoryx in the contest: `polling` takes again and again, `sleeping` waits in its WaitSet. Its
// daemon RouDi runs already. A writer waits for its reader.
#include <unistd.h>

#include <iceoryx_hoofs/log/logmanager.hpp>
#include <iceoryx_posh/popo/untyped_publisher.hpp>
#include <iceoryx_posh/popo/untyped_subscriber.hpp>
#include <iceoryx_posh/popo/wait_set.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>
#include <memory>
#include <optional>

#include "contest.hpp"
#include "message.hpp"

namespace shmpool::contest {
namespace {

using namespace std::chrono_literals;
using iox::cxx::TruncateToCapacity;

iox::capro::ServiceDescription channel(Side from) {
    const std::string contest = std::to_string(::getppid());
    const std::string way = from == Side::front ? "there" : "back";
    return {"contest", {TruncateToCapacity, contest}, {TruncateToCapacity, way}};
}

std::string runtime_name() {
    return "shmpool-contest-" + std::to_string(::getpid());
}

/// The runtime removes them at the end of a program that runs its destructors; a child does not.
void remove_files_of_runtime() {
    const std::string socket = "/tmp/" + runtime_name();
    (void)::unlink(socket.c_str());
    (void)::unlink((socket + ".lock").c_str());
}

void begin_runtime() {
    iox::log::LogManager::GetLogManager().SetDefaultLogLevel(
        iox::log::LogLevel::kOff, iox::log::LogLevelOutput::kHideLogLevel);
    iox::runtime::PoshRuntime::initRuntime({TruncateToCapacity, runtime_name()});
}

class IceoryxEnd {
public:
    IceoryxEnd(Side side, bool polling)
        : publisher_(channel(side), waiting_publisher()),
          subscriber_(channel(side == Side::front ? Side::back : Side::front), whole_subscriber()) {
        while (subscriber_.getSubscriptionState() != iox::SubscribeState::SUBSCRIBED ||
               !publisher_.hasSubscribers()) {
            std::this_thread::sleep_for(1ms);
        }
        if (polling) return;
        wait_set_.emplace();
        wait_set_->attachState(subscriber_, iox::popo::SubscriberState::HAS_DATA)
            .or_else([](auto&) { throw std::runtime_error("attachState"); });
    }
    ~IceoryxEnd() {
        if (wait_set_) wait_set_->detachState(subscriber_, iox::popo::SubscriberState::HAS_DATA);
        remove_files_of_runtime();
    }
    IceoryxEnd(const IceoryxEnd&) = delete;
    IceoryxEnd& operator=(const IceoryxEnd&) = delete;

    void send(std::uint64_t number) {
        bool sent = false;
        while (!sent) {
            publisher_.loan(sizeof(Message)).and_then([&](void* chunk) {
                static_cast<Message*>(chunk)->fill(number);
                publisher_.publish(chunk);
                sent = true;
            });
        }
    }

    std::uint64_t receive() {
        std::uint64_t number = 0;
        for (bool taken = false; !taken;) {
            subscriber_.take().and_then([&](const void* chunk) {
                number = number_of(*static_cast<const Message*>(chunk));
                subscriber_.release(chunk);
                taken = true;
            });
            if (!taken && wait_set_) wait_set_->wait();
        }
        return number;
    }

private:
    static iox::popo::PublisherOptions waiting_publisher() {
        iox::popo::PublisherOptions options;
        options.subscriberTooSlowPolicy = iox::popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
        return options;
    }
    static iox::popo::SubscriberOptions whole_subscriber() {
        iox::popo::SubscriberOptions options;
        options.queueCapacity = 256;
        options.queueFullPolicy = iox::popo::QueueFullPolicy::BLOCK_PRODUCER;
        return options;
    }

    iox::popo::UntypedPublisher publisher_;
    iox::popo::UntypedSubscriber subscriber_;
    std::optional<iox::popo::WaitSet<>> wait_set_;
};

class Iceoryx {
public:
    static constexpr bool may_drop = false;

    explicit Iceoryx(bool polling) : polling_(polling) {}
    [[nodiscard]] IceoryxEnd open(Side side) const {
        begin_runtime();
        return {side, polling_};
    }

private:
    bool polling_;
};

}  // namespace
}  // namespace shmpool::contest

int main(int argument_count, char** arguments) {
    using namespace shmpool::contest;
    return say_what_fails([&] {
        const Order order = Order::read(argument_count, arguments);
        Iceoryx transport(order.how == "polling");
        return hold_contest(transport, order);
    });
}
