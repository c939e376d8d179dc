// SPDX-License-Identifier: Apache-2.0
/// One public operation to be swept: what the victim does before it, the operation itself, and how
/// the victim sees that it went the way its name says.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "board.hpp"
#include "must.hpp"
#include "peer/peer.hpp"

namespace shmpool {
class SharedBestFitHeap;
}

namespace shmpool::sweep {

/// Of the middle class.
inline constexpr std::uint32_t magazine_slots = middle_count / 16;

/// The process that is killed, as an operation sees it.
struct Victim {
    Board& board;
    std::string pool;
    std::uint64_t writer;

    std::optional<Peer> peer{};
    std::optional<Publisher> publisher{};
    std::optional<Subscriber> subscriber{};
    std::optional<Loan> loan{};
    bool loan_is_marked = false;
    std::vector<Loan> loans{};
    std::vector<Sample> samples{};
    std::vector<SlotRef> raw{};
    std::optional<SharedByteHeap> heap_of_bytes{};
    std::optional<SharedPageChain> chain_of_pages{};
    std::optional<SharedPageHeap> heap_of_pages{};
    std::optional<SharedIdHeap> heap_of_ids{};
    std::optional<SharedObjectHeap> heap_of_objects{};
    std::vector<HeapOffset> blocks{};  ///< Of one of them.
    std::optional<SharedStackHeap> stack{};
    std::vector<StackHandle> handles{};
    std::shared_ptr<SharedBestFitHeap> buffer{};
    std::size_t marked = 0;  ///< So many slots of `raw`, from the first, have a mark of ours.
    /// What the operation gave: a number of readers, or whether it succeeded.
    std::int64_t result = -1;
    std::uint64_t sent = 0;
    bool reads_only = false;

    void attach();
    /// A thread gets its lane at its first use.
    void attach_with_lane();
    /// Half a magazine of the middle class is cached.
    void warm_magazine();
    [[nodiscard]] Loan marked_loan(std::uint64_t bytes);
    void hold_marked_loan(std::uint64_t bytes);
    /// Into `raw`, with a mark.
    void keep(const SlotRef& ref);
    void keep_new(std::uint64_t bytes, std::uint32_t count);

    void open_reader(const std::string& channel, ChannelPolicy policy);
    /// Until a message waits for the reader.
    void let_message_come();
    /// Into `samples`.
    void take_message();
    /// Stores into a heap are seen as those into control are.
    void watch(std::span<const std::byte> heap) const;
    /// The operation makes it nobody's, or would have.
    void name_kept(const char* heap, std::uint64_t first, std::uint64_t count = 1) const;

    /// Takes a part in the play: the rivals do it beside no other.
    void let_rivals(Order order);
    /// As the order says. Returns when they sleep; the operation wakes them, by system calls.
    void let_rivals_wait(Order order, std::initializer_list<std::uint32_t> numbers);
    /// On a thread, and so on a lane, that nothing has been done with.
    static void on_sibling(const std::function<void()>& body);
};

/// Whether the operation changes a free list that all share; else it is too short for that.
enum class Lists : std::uint8_t { untouched, changed, either };
/// Threads are there for what begins or ends with one.
enum class Where : std::uint8_t { main_thread, new_thread };

struct Operation {
    std::string name;
    Lists lists;
    std::function<void(Victim&)> prepare;
    std::function<void(Victim&)> act;
    std::function<bool(Victim&)> went_as_named;
    Where where = Where::main_thread;
    std::function<void(Victim&)> prepare_in_thread{};
    bool calls_kernel = false;     ///< It must: to wake somebody, or to sleep.
    bool under_next_host = false;  ///< The host is killed before it, and the next one is there.
    Limits limits = Limits::none;
};

/// Every public operation, by each of its paths.
[[nodiscard]] std::vector<Operation> all_operations();

[[nodiscard]] std::vector<Operation> slot_operations();
[[nodiscard]] std::vector<Operation> publish_operations();
[[nodiscard]] std::vector<Operation> take_operations();
[[nodiscard]] std::vector<Operation> sleep_operations();
[[nodiscard]] std::vector<Operation> connect_operations();
[[nodiscard]] std::vector<Operation> class_operations();
/// These need a pool with limits.
[[nodiscard]] std::vector<Operation> limits_operations();
[[nodiscard]] std::vector<Operation> reading_operations();
[[nodiscard]] std::vector<Operation> heap_operations();
[[nodiscard]] std::vector<Operation> unit_operations();
[[nodiscard]] std::vector<Operation> stack_operations();
[[nodiscard]] std::vector<Operation> buffer_operations();

}  // namespace shmpool::sweep
