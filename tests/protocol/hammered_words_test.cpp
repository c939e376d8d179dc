// SPDX-License-Identifier: Apache-2.0
/// Goal: a peer that writes into one word in a loop delays the others' verbs, but each of them
/// ends. Method: a thread hammers the word that a verb looks at again and again; the verb is called
/// often. A verb without a bound hangs the test.
#include <atomic>
#include <thread>

#include "endpoints.hpp"

namespace shmpool::testing_protocol {
namespace {

/// Writes into a word until it is destroyed.
template <typename T>
class Hammer {
public:
    explicit Hammer(Atomic<T>& word)
        : thread_([this, &word] {
              for (T value = 0; !stop_.load(std::memory_order_relaxed); ++value) {
                  word.store(value, std::memory_order_relaxed);
              }
          }) {}
    ~Hammer() {
        stop_.store(true, std::memory_order_relaxed);
        thread_.join();
    }
    Hammer(const Hammer&) = delete;
    Hammer& operator=(const Hammer&) = delete;

private:
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

struct HammeredWord : testing::Test {
    TestHost host;
    TestPeer peer{host, host.admit()};
    TestPeer other{host, host.admit()};
};

TEST_F(HammeredWord, TheEpochOfAPublisherDoesNotHoldItUp) {
    Reader reader(peer, host.open_subscriber(peer.index(), 4));
    const Opened opened = host.open_publisher(other.index(), ChannelPolicy::block);
    Writer writer(other, opened, ChannelPolicy::block, 1);
    const Hammer hammer(host.view().publishers.at(opened.endpoint_index).epoch);
    for (int i = 0; i < 1000; ++i) {
        ASSERT_EQ(writer.send(), 1U);
        ASSERT_TRUE(reader.next());
    }
}

TEST_F(HammeredWord, TheEpochOfASubscriberDoesNotHoldItUp) {
    const Opened opened = host.open_subscriber(peer.index(), 4);
    Reader reader(peer, opened);
    Writer writer(other, host.open_publisher(other.index(), ChannelPolicy::block),
                  ChannelPolicy::block, 1);
    const Hammer hammer(host.view().subscribers.at(opened.endpoint_index).epoch);
    for (int i = 0; i < 1000; ++i) {
        ASSERT_EQ(writer.send(), 1U);
        ASSERT_TRUE(reader.next());
    }
}

TEST_F(HammeredWord, AHeadThatIsNeverTheSameDoesNotHoldTheDropperUp) {
    (void)host.open_subscriber(peer.index(), 2, ChannelPolicy::drop_oldest);
    Writer writer(other, host.open_publisher(other.index(), ChannelPolicy::drop_oldest),
                  ChannelPolicy::drop_oldest, 1);
    const Hammer hammer(host.view().rings.at(0).head);
    for (int i = 0; i < 1000; ++i) (void)writer.send();
    SUCCEED();
}

}  // namespace
}  // namespace shmpool::testing_protocol
