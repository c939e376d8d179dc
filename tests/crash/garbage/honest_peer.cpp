// SPDX-License-Identifier: Apache-2.0
#include "honest_peer.hpp"

#include <poll.h>
#include <signal.h>

#include <array>
#include <chrono>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "peer/peer.hpp"

namespace shmpool::garbage {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds wait_limit{20};
/// Longer than the supervisor's patience: a host that is silent is a finding before.
constexpr std::chrono::seconds answer_limit{60};

constexpr std::uint64_t heap_names = 3;
constexpr std::array<std::uint64_t, 3> slot_sizes{256, 4096, 65536};

constexpr std::array heap_kinds{HeapKind::tlsf, HeapKind::buddy, HeapKind::slab};

/// Nothing here can go on: attach again.
bool is_over(Errc code) {
    switch (code) {
        case Errc::pool_damaged:
        case Errc::segment_replaced:
        case Errc::host_stopped:
        case Errc::host_gone:
        case Errc::detached: return true;
        default: return false;
    }
}

class Life {
public:
    Life(Role role, Progress& progress, const std::string& pool, std::uint64_t seed)
        : role_(role), progress_(progress), pool_(pool), random_(seed) {}

    [[noreturn]] void go() {
        for (;;) {
            auto peer = attach();
            if (!peer) {
                std::this_thread::sleep_for(milliseconds(2));
                continue;
            }
            progress_.attachments.fetch_add(1, std::memory_order_relaxed);
            switch (role_) {
                case Role::blocking_writer: write(*peer, "block", ChannelPolicy::block); break;
                case Role::dropping_writer: write(*peer, "drop", ChannelPolicy::drop_oldest); break;
                case Role::blocked_reader: read(*peer, "block", ChannelPolicy::block); break;
                case Role::dropping_reader: read(*peer, "drop", ChannelPolicy::drop_oldest); break;
                case Role::sleeping_reader: poll_descriptor(*peer); break;
                case Role::raw_allocator: allocate(*peer); break;
                case Role::comer_and_goer: come_and_go(*peer); break;
                case Role::heap_worker: work_in_heaps(*peer); break;
                case Role::class_grower: grow_and_shrink(*peer); break;
            }
            const Doing doing(progress_, Operation::detach);
            peer = fail(Errc::detached, "");
        }
    }

private:
    [[nodiscard]] Result<Peer> attach() {
        const Doing doing(progress_, Operation::attach);
        PeerOptions options;
        options.name = "honest";
        options.answer_timeout = answer_limit;
        return Peer::attach(pool_, options);
    }

    /// Counts what says that the pool is over; true if so.
    bool ends(Errc code) {
        if (code == Errc::pool_damaged) {
            progress_.damage_errors.fetch_add(1, std::memory_order_relaxed);
        }
        return is_over(code);
    }

    [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
    [[nodiscard]] std::uint32_t any_depth() { return static_cast<std::uint32_t>(1 + below(20)); }

    template <typename Open>
    auto open(Open&& opening) {
        const Doing doing(progress_, Operation::open);
        return opening();
    }

    void write(Peer& peer, const char* channel, ChannelPolicy policy) {
        auto publisher = open([&] { return peer.publisher(channel, {policy, true}); });
        if (!publisher) return;
        for (std::uint64_t i = below(2000); i > 0; --i) {
            if (!send(*publisher)) break;
        }
        const Doing doing(progress_, Operation::close);
        Publisher closed(std::move(*publisher));
    }

    [[nodiscard]] bool send(Publisher& publisher) {
        Outcome<Loan> loan = fail(Errc::empty);
        {
            const Doing doing(progress_, Operation::loan);
            loan = publisher.loan(1 + below(3000), wait_limit);
        }
        if (!loan) return !ends(loan.error());
        std::memset(loan->data(), 7, loan->size());
        const Doing doing(progress_, Operation::publish);
        const auto sent = publisher.publish(std::move(*loan), wait_limit);
        Loan left(std::move(*loan));
        return sent || !ends(sent.error());
    }

    void read(Peer& peer, const char* channel, ChannelPolicy policy) {
        auto subscriber = open([&] {
            return peer.subscriber(channel, {any_depth(), policy, true});
        });
        if (!subscriber) return;
        std::vector<Sample> held;
        for (std::uint64_t i = below(2000); i > 0; --i) {
            if (!receive(*subscriber, held)) break;
        }
        const Doing doing(progress_, Operation::close);
        Subscriber closed(std::move(*subscriber));
        held.clear();
    }

    [[nodiscard]] bool receive(Subscriber& subscriber, std::vector<Sample>& held) {
        Outcome<Sample> sample = fail(Errc::empty);
        {
            const Doing doing(progress_, Operation::take);
            sample = below(2) == 0 ? subscriber.take() : subscriber.take(wait_limit);
        }
        if (!sample) return !ends(sample.error());
        touch(*sample);
        held.push_back(std::move(*sample));
        if (held.size() <= below(6)) return true;
        const Doing doing(progress_, Operation::release);
        held.clear();
        return true;
    }

    void touch(const Sample& sample) {
        std::uint64_t sum = sample.sequence();
        for (const std::byte one : sample.bytes()) sum += static_cast<std::uint64_t>(one);
        sum_ = sum_ + sum;
    }

    void poll_descriptor(Peer& peer) {
        auto subscriber = open([&] {
            return peer.subscriber("block", {any_depth(), ChannelPolicy::block, true});
        });
        if (!subscriber) return;
        auto descriptor = open([&] { return subscriber->descriptor(); });
        std::vector<Sample> held;
        for (std::uint64_t i = below(300); descriptor && i > 0; --i) {
            pollfd waited{*descriptor, POLLIN, 0};
            (void)poll(&waited, 1, 5);
            if (!receive(*subscriber, held)) break;
        }
        const Doing doing(progress_, Operation::close);
        held.clear();
        Subscriber closed(std::move(*subscriber));
    }

    void allocate(Peer& peer) {
        std::vector<SlotRef> held;
        for (std::uint64_t i = below(3000); i > 0; --i) {
            Outcome<SlotRef> slot = fail(Errc::empty);
            {
                const Doing doing(progress_, Operation::allocate);
                slot = peer.allocate(1 + below(70'000));
            }
            if (!slot && ends(slot.error())) return;
            if (slot) {
                const auto data = peer.slot_data(*slot);
                if (data) std::memset(data->data(), 9, std::min<std::size_t>(data->size(), 256));
                held.push_back(*slot);
            }
            if (held.size() <= below(40)) continue;
            const Doing doing(progress_, Operation::free);
            for (const SlotRef& one : held) (void)peer.free(one);
            held.clear();
        }
    }

    /// Comes, does little, and leaves, or dies with what it has.
    void come_and_go(Peer& peer) {
        auto publisher = open([&] { return peer.publisher("block"); });
        auto subscriber = open([&] { return peer.subscriber("drop", {any_depth()}); });
        auto own = open([&] { return peer.publisher("drop"); });
        std::vector<Sample> held;
        for (std::uint64_t i = below(20); i > 0; --i) {
            if (publisher && !send(*publisher)) break;
            if (own && !send(*own)) break;
            if (subscriber && !receive(*subscriber, held)) break;
        }
        if (below(2) == 0) raise(SIGKILL);
        const Doing doing(progress_, Operation::close);
        held.clear();
        if (subscriber) Subscriber closed(std::move(*subscriber));
        if (publisher) Publisher closed(std::move(*publisher));
        if (own) Publisher closed(std::move(*own));
    }

    /// Until it is over, or somebody seems to be in a heap for ever.
    void work_in_heaps(Peer& peer) {
        for (std::uint64_t i = below(200); i > 0; --i) {
            const std::string name = "heap-" + std::to_string(below(heap_names));
            const auto done = below(2) == 0 ? ask_about(peer, name) : work_in(peer, name);
            if (!done && (ends(done.error()) || done.error() == Errc::would_block)) return;
        }
    }

    [[nodiscard]] Outcome<void> ask_about(Peer& peer, const std::string& name) {
        const Doing doing(progress_, Operation::make_heap);
        const std::uint64_t bytes = (1 + below(64)) << 14U;
        const auto outcome = [](const auto& result) -> Outcome<void> {
            if (!result) return fail(result.error().code);
            return {};
        };
        switch (below(4)) {
            case 0: return outcome(peer.grow_heap(name, bytes));
            case 1: return outcome(peer.destroy_heap(name));
            default: break;
        }
        HeapSpec spec;
        spec.kind = heap_kinds[below(heap_kinds.size())];
        spec.bytes = bytes;
        spec.max_bytes = std::uint64_t{1} << 20U;
        spec.on_death = OnDeath::reclaim;
        return outcome(peer.create_heap(name, spec));
    }

    [[nodiscard]] Outcome<void> work_in(Peer& peer, const std::string& name) {
        auto heap = [&] {
            const Doing doing(progress_, Operation::open_heap);
            return peer.byte_heap(name);
        }();
        if (!heap) return fail(heap.error().code);
        std::vector<HeapOffset> held;
        for (std::uint64_t i = below(40); i > 0; --i) {
            const Doing doing(progress_, Operation::use_heap);
            const bool frees = !held.empty() && below(2) == 0;
            if (frees) {
                const auto freed = heap->free(held.back());
                held.pop_back();
                if (!freed && freed.error() == Errc::would_block) return freed;
                continue;
            }
            const std::uint64_t bytes = 1 + below(5000);
            const auto block = heap->allocate(bytes);
            if (!block && block.error() == Errc::would_block) return fail(block.error());
            if (!block) continue;
            std::memset(heap->at(*block), 5, bytes);
            held.push_back(*block);
            progress_.heap_blocks.fetch_add(1, std::memory_order_relaxed);
        }
        const Doing doing(progress_, Operation::use_heap);
        (void)heap->audit();
        return {};
    }

    /// Everybody else allocates in what comes and goes.
    void grow_and_shrink(Peer& peer) {
        for (std::uint64_t i = below(100); i > 0; --i) {
            const std::uint64_t slot_bytes = slot_sizes[below(slot_sizes.size())];
            const bool grows = below(2) == 0;
            const auto done = [&] {
                const Doing doing(progress_, Operation::grow_class);
                return grows ? peer.grow_class(slot_bytes, any_depth())
                             : peer.shrink_class(slot_bytes);
            }();
            if (!done && ends(done.error().code)) return;
            if (done && grows) progress_.classes_grown.fetch_add(1, std::memory_order_relaxed);
            std::this_thread::sleep_for(milliseconds(below(4)));
        }
    }

    const Role role_;
    Progress& progress_;
    const std::string pool_;
    std::mt19937_64 random_;
    volatile std::uint64_t sum_ = 0;  ///< So that reading is not optimised away.
};

}  // namespace

void live(Role role, Progress& progress, const std::string& pool, std::uint64_t seed) {
    Life(role, progress, pool, seed).go();
}

}  // namespace shmpool::garbage
