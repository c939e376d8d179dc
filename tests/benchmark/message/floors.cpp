// SPDX-License-Identifier: Apache-2.0
// What nobody can beat: `ring`, `ring_one_line` (see ring.hpp) for those who poll; `futex` and
// `eventfd`, which carry no message at all, for those who sleep.
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "contest.hpp"
#include "ring.hpp"
#include "shmpool/platform/futex.hpp"

namespace shmpool::contest {
namespace {

template <typename Form>
class Rings {
public:
    static constexpr bool may_drop = false;

    class End {
    public:
        End(BareRingImage<Form>& out, BareRingImage<Form>& in) : writer_(out), reader_(in) {}
        void send(std::uint64_t number) { writer_.send(number); }
        std::uint64_t receive() { return reader_.receive(); }

    private:
        BareRingWriter<Form> writer_;
        BareRingReader<Form> reader_;
    };

    End open(Side side) {
        return side == Side::front ? End(*there_, *back_) : End(*back_, *there_);
    }

private:
    testing_protocol::SharedWithChildren<BareRingImage<Form>> there_;
    testing_protocol::SharedWithChildren<BareRingImage<Form>> back_;
};

/// One word for each way, on which its reader sleeps. It carries 32 bits of the number, all of them
/// set for the last one.
class Futexes {
public:
    static constexpr bool may_drop = false;
    struct alignas(128) Cell {
        Atomic<std::uint32_t> word{0};
    };
    struct Both {
        Cell there;
        Cell back;
    };

    class End {
    public:
        End(Cell& out, Cell& in) : out_(out.word), in_(in.word) {}
        void send(std::uint64_t number) {
            out_.store(static_cast<std::uint32_t>(number), std::memory_order_release);  // [R-bare]
            futex_wake(out_, 1);
        }
        std::uint64_t receive() {
            std::uint32_t now = 0;
            while ((now = in_.load(std::memory_order_acquire)) == seen_) {  // [A-bare]
                futex_wait(in_, seen_, std::chrono::nanoseconds::max());
            }
            seen_ = now;
            return now == static_cast<std::uint32_t>(last_number) ? last_number : now;
        }

    private:
        Atomic<std::uint32_t>& out_;
        Atomic<std::uint32_t>& in_;
        std::uint32_t seen_ = 0;
    };

    End open(Side side) {
        return side == Side::front ? End(cells_->there, cells_->back)
                                   : End(cells_->back, cells_->there);
    }

private:
    testing_protocol::SharedWithChildren<Both> cells_;
};

/// epoll_wait and read, as an event loop does it. The count is the number.
class EventDescriptors {
public:
    static constexpr bool may_drop = false;

    class End {
    public:
        End(int out, int in) : out_(out), in_(in), epoll_(::epoll_create1(0)) {
            epoll_event wanted{.events = EPOLLIN, .data = {}};
            if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, in_, &wanted) != 0) {
                throw std::runtime_error("epoll_ctl");
            }
        }
        void send(std::uint64_t number) {
            const std::uint64_t count = number == last_number ? most : number;
            if (::write(out_, &count, sizeof(count)) != sizeof(count)) {
                throw std::runtime_error("write");
            }
        }
        std::uint64_t receive() {
            epoll_event event{};
            if (::epoll_wait(epoll_, &event, 1, -1) != 1) throw std::runtime_error("epoll_wait");
            std::uint64_t count = 0;
            if (::read(in_, &count, sizeof(count)) != sizeof(count)) {
                throw std::runtime_error("read");
            }
            return count == most ? last_number : count;
        }

    private:
        int out_;
        int in_;
        int epoll_;
        static constexpr std::uint64_t most = last_number - 1;  // That the kernel lets it count to.
    };

    End open(Side side) { return side == Side::front ? End(there_, back_) : End(back_, there_); }

private:
    int there_ = ::eventfd(0, 0);
    int back_ = ::eventfd(0, 0);
};

template <typename Transport>
int hold_new(const Order& order) {
    Transport transport;
    return hold_contest(transport, order);
}

int hold(const Order& order) {
    if (order.how == "ring") return hold_new<Rings<StampBeside>>(order);
    if (order.how == "ring_one_line") return hold_new<Rings<StampInside>>(order);
    if (order.how == "futex") return hold_new<Futexes>(order);
    if (order.how == "eventfd") return hold_new<EventDescriptors>(order);
    throw std::runtime_error("ring, ring_one_line, futex, eventfd");
}

}  // namespace
}  // namespace shmpool::contest

int main(int argument_count, char** arguments) {
    using namespace shmpool::contest;
    return say_what_fails([&] { return hold(Order::read(argument_count, arguments)); });
}
