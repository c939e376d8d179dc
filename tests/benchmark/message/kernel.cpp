// SPDX-License-Identifier: Apache-2.0
// What the kernel offers for messages between processes: `pipe` and `seqpacket` (a unix socket).
#include <sys/socket.h>

#include <array>

#include "contest.hpp"
#include "message.hpp"

namespace shmpool::contest {
namespace {

/// A descriptor to write to and one to read from.
class Descriptors {
public:
    static constexpr bool may_drop = false;

    explicit Descriptors(bool pipes) {
        std::array<int, 2> one{};
        std::array<int, 2> other{};
        if (!pipes && ::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, one.data()) == 0) {
            front_ = {one[0], one[0]};
            back_ = {one[1], one[1]};
        } else if (pipes && ::pipe(one.data()) == 0 && ::pipe(other.data()) == 0) {
            front_ = {one[1], other[0]};
            back_ = {other[1], one[0]};
        } else {
            throw std::runtime_error("no descriptors");
        }
    }

    struct End {
        int out;
        int in;

        void send(std::uint64_t number) const {
            Message message{};
            message.fill(number);
            if (::write(out, &message, sizeof(message)) != sizeof(message)) {
                throw std::runtime_error("write");
            }
        }
        [[nodiscard]] std::uint64_t receive() const {
            Message message{};
            if (::read(in, &message, sizeof(message)) != sizeof(message)) {
                throw std::runtime_error("read");
            }
            return number_of(message);
        }
    };

    [[nodiscard]] End open(Side side) const { return side == Side::front ? front_ : back_; }

private:
    End front_{};
    End back_{};
};

int hold(const Order& order) {
    if (order.how != "pipe" && order.how != "seqpacket") {
        throw std::runtime_error("pipe, seqpacket");
    }
    Descriptors transport(order.how == "pipe");
    return hold_contest(transport, order);
}

}  // namespace
}  // namespace shmpool::contest

int main(int argument_count, char** arguments) {
    using namespace shmpool::contest;
    return say_what_fails([&] { return hold(Order::read(argument_count, arguments)); });
}
