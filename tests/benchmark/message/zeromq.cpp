// SPDX-License-Identifier: Apache-2.0
// ZeroMQ over ipc in the contest: a pair of sockets; each process has the library's one thread
// beside its own, on the same core. It waits in zmq_recv (`sleeping`).
#include <unistd.h>
#include <zmq.h>

#include <utility>

#include "contest.hpp"
#include "message.hpp"

namespace shmpool::contest {
namespace {

class ZeroMq {
public:
    static constexpr bool may_drop = false;

    class End {
    public:
        End(Side side, const std::string& address)
            : context_(::zmq_ctx_new()), socket_(::zmq_socket(context_, ZMQ_PAIR)) {
            const int failed = side == Side::front ? ::zmq_bind(socket_, address.c_str())
                                                   : ::zmq_connect(socket_, address.c_str());
            if (failed != 0) throw std::runtime_error(::zmq_strerror(::zmq_errno()));
        }
        End(End&& other) noexcept
            : context_(std::exchange(other.context_, nullptr)), socket_(other.socket_) {}
        End& operator=(End&&) = delete;
        ~End() {
            if (context_ == nullptr) return;
            (void)::zmq_close(socket_);
            (void)::zmq_ctx_term(context_);
        }

        void send(std::uint64_t number) {
            Message message{};
            message.fill(number);
            if (::zmq_send(socket_, &message, sizeof(message), 0) != sizeof(message)) {
                throw std::runtime_error("zmq_send");
            }
        }
        std::uint64_t receive() {
            Message message{};
            if (::zmq_recv(socket_, &message, sizeof(message), 0) != sizeof(message)) {
                throw std::runtime_error("zmq_recv");
            }
            return number_of(message);
        }

    private:
        void* context_;
        void* socket_;
    };

    ~ZeroMq() { (void)::unlink(file_.c_str()); }
    [[nodiscard]] End open(Side side) const { return {side, "ipc://" + file_}; }

private:
    std::string file_ = "/tmp/shmpool-contest-" + std::to_string(::getpid()) + ".zeromq";
};

}  // namespace
}  // namespace shmpool::contest

int main(int argument_count, char** arguments) {
    using namespace shmpool::contest;
    return say_what_fails([&] {
        ZeroMq transport;
        return hold_contest(transport, Order::read(argument_count, arguments));
    });
}
