// SPDX-License-Identifier: Apache-2.0
// Boost.Interprocess's message_queue in the contest: `sleeping` waits in its condition variable,
// `polling` tries again and again.
#include <unistd.h>

#include <boost/interprocess/ipc/message_queue.hpp>
#include <memory>

#include "contest.hpp"
#include "message.hpp"

namespace shmpool::contest {
namespace {

using boost::interprocess::message_queue;

/// A queue under a name that ends with this program.
class NamedQueue {
public:
    explicit NamedQueue(const char* way)
        : name_("shmpool-contest-" + std::to_string(::getpid()) + "-" + way),
          queue_(boost::interprocess::create_only, name_.c_str(), 256, sizeof(Message)) {}
    ~NamedQueue() { message_queue::remove(name_.c_str()); }
    NamedQueue(const NamedQueue&) = delete;
    NamedQueue& operator=(const NamedQueue&) = delete;
    message_queue& operator*() { return queue_; }

private:
    std::string name_;
    message_queue queue_;
};

class Queues {
public:
    static constexpr bool may_drop = false;

    explicit Queues(bool polling) : polling_(polling) {}

    class End {
    public:
        End(message_queue& out, message_queue& in, bool polling)
            : out_(out), in_(in), polling_(polling) {}

        void send(std::uint64_t number) {
            Message message{};
            message.fill(number);
            if (!polling_) return out_.send(&message, sizeof(message), 0);
            while (!out_.try_send(&message, sizeof(message), 0)) {
            }
        }

        std::uint64_t receive() {
            Message message{};
            message_queue::size_type bytes = 0;
            unsigned priority = 0;
            if (polling_) {
                while (!in_.try_receive(&message, sizeof(message), bytes, priority)) {
                }
            } else {
                in_.receive(&message, sizeof(message), bytes, priority);
            }
            return number_of(message);
        }

    private:
        message_queue& out_;
        message_queue& in_;
        bool polling_;
    };

    End open(Side side) {
        return side == Side::front ? End(*there_, *back_, polling_)
                                   : End(*back_, *there_, polling_);
    }

private:
    bool polling_;
    NamedQueue there_{"there"};
    NamedQueue back_{"back"};
};

int hold(const Order& order) {
    Queues transport(order.how == "polling");
    return hold_contest(transport, order);
}

}  // namespace
}  // namespace shmpool::contest

int main(int argument_count, char** arguments) {
    using namespace shmpool::contest;
    return say_what_fails([&] { return hold(Order::read(argument_count, arguments)); });
}
