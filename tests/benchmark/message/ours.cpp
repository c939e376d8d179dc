// SPDX-License-Identifier: Apache-2.0
// shmpool in the contest: its public API and a real host.
//   unicast         one reader that only polls: the slot is moved
//   stamped         the same, with the time of publishing in the header
//   leased          one reader, of a channel that drops its oldest: the slot is leased
//   two_leased      two readers on the other core, and a message has arrived when both took it
//   sleeping        one reader that may sleep, waits in `take`
//   descriptor      the same, waits in epoll for its descriptor
//   polled_sleeper  one reader that may sleep and polls
//   BYTES           unicast, of such a size, with 8 slots; the first word is touched
#include <sys/epoll.h>

#include <optional>

#include "contest.hpp"
#include "message.hpp"
#include "peer/peer.hpp"
#include "tests/peer/running_host.hpp"

namespace shmpool::contest {
namespace {

using namespace std::chrono_literals;

enum class Waiting { poll, take, descriptor };

struct How {
    Waiting waiting = Waiting::poll;
    bool may_sleep = false;
    bool stamp_time = false;
    ChannelPolicy policy = ChannelPolicy::block;
    std::uint32_t readers = 1;
};

template <typename T>
T value_of(Result<T>&& result) {
    if (!result) throw std::runtime_error(result.error().message);
    return std::move(*result);
}

Peer attach(const std::string& pool) {
    return value_of(Peer::attach(pool));
}

/// Sleeps until a subscriber's descriptor is readable.
class DescriptorWait {
public:
    void watch(Subscriber& subscriber) {
        epoll_ = ::epoll_create1(0);
        epoll_event wanted{.events = EPOLLIN, .data = {}};
        if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, value_of(subscriber.descriptor()), &wanted) != 0) {
            throw std::runtime_error("epoll_ctl");
        }
    }
    void wait() const {
        epoll_event event{};
        (void)::epoll_wait(epoll_, &event, 1, -1);
    }

private:
    int epoll_ = -1;
};

const char* channel_from(Side side) {
    return side == Side::front ? "there" : "back";
}
Side other(Side side) {
    return side == Side::front ? Side::back : Side::front;
}

class TypedEnd {
public:
    TypedEnd(const std::string& pool, Side side, const How& how)
        : how_(how),
          peer_(attach(pool)),
          publisher_(value_of(peer_.publisher<Message>(
              channel_from(side), {.policy = how.policy, .stamp_time = how.stamp_time}))) {
        for (std::uint32_t i = 0; i < how.readers; ++i) {
            subscribers_.push_back(value_of(peer_.subscriber<Message>(
                channel_from(other(side)),
                {.depth = 256, .policy = how.policy, .may_sleep = how.may_sleep})));
        }
        if (how.waiting == Waiting::descriptor) descriptor_.watch(subscribers_[0].untyped());
        if (!publisher_.wait_for_readers(how.readers, 10s)) throw std::runtime_error("no reader");
    }

    void send(std::uint64_t number) {
        auto loan = publisher_.loan();
        while (!loan) loan = publisher_.loan(1s);
        (*loan)->fill(number);
        if (!publisher_.publish(std::move(*loan))) throw std::runtime_error("publish");
    }

    std::uint64_t receive() {
        std::uint64_t number = 0;
        for (auto& subscriber : subscribers_) number = number_of(*take(subscriber));
        return number;
    }

private:
    TypedSample<Message> take(TypedSubscriber<Message>& subscriber) {
        for (;;) {
            auto sample =
                how_.waiting == Waiting::take ? subscriber.take(forever) : subscriber.take();
            if (sample) return std::move(*sample);
            if (sample.error() != Errc::empty) throw std::runtime_error("take");
            if (how_.waiting == Waiting::descriptor) descriptor_.wait();
        }
    }

    How how_;
    Peer peer_;
    TypedPublisher<Message> publisher_;
    std::vector<TypedSubscriber<Message>> subscribers_;
    DescriptorWait descriptor_;
};

template <bool drops>
class Typed {
public:
    static constexpr bool may_drop = drops;
    using End = TypedEnd;

    explicit Typed(const How& how) : how_(how) {}
    End open(Side side) { return {host_.pool(), side, how_}; }

private:
    How how_;
    RunningHost host_{{"--class", "64:4096"}};
};

class SizedEnd {
public:
    SizedEnd(const std::string& pool, Side side, std::size_t bytes)
        : bytes_(bytes),
          peer_(attach(pool)),
          publisher_(value_of(peer_.publisher(channel_from(side), {.stamp_time = false}))),
          subscriber_(value_of(
              peer_.subscriber(channel_from(other(side)), {.depth = 4, .may_sleep = false}))) {
        if (!publisher_.wait_for_readers(1, 10s)) throw std::runtime_error("no reader");
    }

    void send(std::uint64_t number) {
        auto loan = publisher_.loan(bytes_, 1s);
        if (!loan) throw std::runtime_error("loan");
        *reinterpret_cast<std::uint64_t*>(loan->data()) = number;
        if (!publisher_.publish(std::move(*loan))) throw std::runtime_error("publish");
    }

    std::uint64_t receive() {
        for (;;) {
            const auto sample = subscriber_.take();
            if (sample) return *reinterpret_cast<const std::uint64_t*>(sample->data());
            if (sample.error() != Errc::empty) throw std::runtime_error("take");
        }
    }

private:
    std::size_t bytes_;
    Peer peer_;
    Publisher publisher_;
    Subscriber subscriber_;
};

class Sized {
public:
    static constexpr bool may_drop = false;
    using End = SizedEnd;

    explicit Sized(const std::string& bytes)
        : bytes_(std::stoull(bytes)), host_({"--class", bytes + ":8"}) {}
    End open(Side side) { return {host_.pool(), side, bytes_}; }

private:
    std::size_t bytes_;
    RunningHost host_;
};

std::optional<How> how_named(const std::string& name) {
    if (name == "unicast") return How{};
    if (name == "stamped") return How{.stamp_time = true};
    if (name == "leased") return How{.policy = ChannelPolicy::drop_oldest};
    if (name == "two_leased") return How{.readers = 2};
    if (name == "sleeping") return How{.waiting = Waiting::take, .may_sleep = true};
    if (name == "descriptor") return How{.waiting = Waiting::descriptor, .may_sleep = true};
    if (name == "polled_sleeper") return How{.may_sleep = true};
    return std::nullopt;
}

int hold(const Order& order) {
    const auto how = how_named(order.how);
    if (!how) {
        Sized transport(order.how);
        return hold_contest(transport, order);
    }
    if (how->policy == ChannelPolicy::drop_oldest) {
        Typed<true> transport(*how);
        return hold_contest(transport, order);
    }
    Typed<false> transport(*how);
    return hold_contest(transport, order);
}

}  // namespace
}  // namespace shmpool::contest

int main(int argument_count, char** arguments) {
    using namespace shmpool::contest;
    return say_what_fails([&] { return hold(Order::read(argument_count, arguments)); });
}
