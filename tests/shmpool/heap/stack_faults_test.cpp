// SPDX-License-Identifier: Apache-2.0
/// Goal: through random steps, at each of whose stores its author dies with a chance of 3 in 100,
/// every block that somebody has a handle of stays as it was written, whatever it was written with;
/// and who dies in a realloc leaves the block as it was, or the new one (T-BS-90). Method: as in
/// dying_heap.hpp; after every death others repair, of whom the first may die in it too, and all is
/// compared with a copy in private memory.
#include <cstring>
#include <optional>

#include "shmpool/heap/first_fit.hpp"
#include "shmpool/heap/ghost_tree.hpp"
#include "shmpool/heap/slab_list.hpp"
#include "tests/shmpool/heap/dying_stack.hpp"
#include "tests/shmpool/heap/random_steps.hpp"

namespace shmpool {
namespace {

using test::broken;
using test::doomed;
using test::Dying;
using test::HeapMemory;
using test::last;
using test::next;

constexpr int deaths_in_100_stores = 3;

struct Counts {
    int deaths = 0;
    int reallocs_not_begun = 0;
    int reallocs_done = 0;
};

/// One heap, and who has handles of its blocks.
template <typename Play>
class Faults {
public:
    using Heap = typename Play::Heap;

    Faults(test::RandomSteps& random, Counts& counts) : random_(random), counts_(counts) {
        Dying::lives();
        EXPECT_TRUE(Heap::format(memory_.view(), Play::options()));
        heap_ = Play::opened(memory_.view());
    }

    void step() {
        const int deaths_before = counts_.deaths;
        const auto what = random_() % 100;
        if (live_.empty() || (what < 45 && live_.size() < 40)) {
            alloc();
        } else if (what < 70) {
            realloc();
        } else {
            dealloc();
        }
        if (counts_.deaths != deaths_before) expect_all_as_it_was();
    }

private:
    struct Block {
        StackHandle handle;
        std::vector<std::byte> content;
    };

    void alloc() {
        const std::uint64_t len = some_len();
        random_.note("heap->alloc", len);
        const auto done = survived([&] { return heap_->alloc(doomed, len); });
        if (!done) {
            const std::uint64_t now = blocks();
            ASSERT_TRUE(now == known() || now == known() + 1);
            lost_ += now - known();  // It was decided, and nobody has heard of it.
        } else if (*done) {
            ASSERT_TRUE(is_zero(**done, 0));
            live_.push_back({});
            write(**done);
        } else {
            ASSERT_EQ(done->error(), Errc::no_memory);
        }
    }

    void realloc() {
        const std::uint64_t len = some_len();
        const Block& one = choose();
        random_.note("heap->realloc", one.handle.offset, one.handle.len, len);
        const auto done = survived([&] { return heap_->realloc(doomed, one.handle, len); });
        if (!done) {
            find_after_death(one, len);
        } else if (*done) {
            take_over(one, **done);
        } else {
            ASSERT_EQ(done->error(), Errc::no_memory);
            ASSERT_TRUE(holds(one.handle, one.content));
        }
    }

    void dealloc() {
        const Block& one = choose();
        random_.note("heap->dealloc", one.handle.offset, one.handle.len);
        const auto done = survived([&] { return heap_->dealloc(doomed, one.handle); });
        if (done) {
            ASSERT_TRUE(*done) << explain(done->error());
        } else {
            const std::uint64_t now = blocks();
            ASSERT_TRUE(now == known() || now + 1 == known());
            if (now == known()) return;  // Not begun; what it holds is compared with the rest.
        }
        live_.pop_back();
    }

    // --- deaths ----------------------------------------------------------------------------------

    /// What `act` has returned; nothing: its author died in it, and others have repaired.
    template <typename Act>
    auto survived(Act act) -> std::optional<std::invoke_result_t<Act>> {
        std::optional<std::invoke_result_t<Act>> done;
        Dying::dies(some_store());
        try {
            done = act();
        } catch (const test::Death&) {
            ++counts_.deaths;
            heap_->holder_died(doomed);
            repair();
        }
        Dying::lives();
        return done;
    }
    void repair() {
        Dying::dies(some_store());
        try {
            if (random_() % 2 == 0) {
                (void)heap_->recover(next);
            } else {
                (void)heap_->statistics(next);
            }
        } catch (const test::Death&) {
            heap_->holder_died(next);
        }
        Dying::lives();
        ASSERT_EQ(broken(*heap_, last), "");
    }
    std::uint64_t some_store() {
        std::uint64_t store = 0;
        while (random_() % 100 >= deaths_in_100_stores) ++store;
        return store;
    }

    /// It is where it was, as it was; or there is a new one, and the old one is none any more.
    void find_after_death(const Block& one, std::uint64_t len) {
        ASSERT_EQ(blocks(), known());
        if (is_live(one.handle)) {
            ASSERT_TRUE(holds(one.handle, one.content));
            ++counts_.reallocs_not_begun;
            return;
        }
        const auto found = find_new(one, len);
        ASSERT_TRUE(found) << "neither the old block nor a new one";
        ++counts_.reallocs_done;
        take_over(one, *found);
    }
    std::optional<StackHandle> find_new(const Block& one, std::uint64_t len) {
        const std::span content =
            std::span(one.content).first(std::min<std::uint64_t>(len, one.content.size()));
        for (HeapOffset at = 0; at + len <= heap_->stack()->size(); at += 8) {
            const StackHandle handle{at, len};
            if (holds({at, content.size()}, content) && is_live(handle) && !is_known(at)) {
                return handle;
            }
        }
        return std::nullopt;
    }
    /// Of the block that is to be found itself: where it lay, the new one may lie too.
    [[nodiscard]] bool is_known(HeapOffset at) const {
        return std::any_of(live_.begin(), live_.end() - 1,
                           [&](const Block& one) { return one.handle.offset == at; });
    }
    /// To give it the length that it has is a question, and changes nothing.
    [[nodiscard]] bool is_live(const StackHandle& handle) {
        return heap_->realloc(last, handle, handle.len) == handle;
    }

    void expect_all_as_it_was() {
        ASSERT_EQ(blocks(), known());
        for (const Block& one : live_) {
            ASSERT_TRUE(holds(one.handle, one.content)) << "at " << one.handle.offset;
        }
    }

    // --- blocks ----------------------------------------------------------------------------------

    [[nodiscard]] std::uint64_t blocks() { return heap_->statistics(last)->blocks; }
    [[nodiscard]] std::uint64_t known() const { return live_.size() + lost_; }
    std::uint64_t some_len() { return 1 + random_() % (random_() % 4 == 0 ? 700 : 64); }
    /// The last of them from now on.
    Block& choose() {
        std::swap(live_[random_() % live_.size()], live_.back());
        return live_.back();
    }

    [[nodiscard]] std::span<std::byte> bytes(const StackHandle& handle) {
        return heap_->stack()->subspan(handle.offset, handle.len);
    }
    [[nodiscard]] bool holds(const StackHandle& handle, std::span<const std::byte> content) {
        return std::ranges::equal(bytes(handle), content);
    }
    [[nodiscard]] bool is_zero(const StackHandle& handle, std::uint64_t from) {
        return std::ranges::all_of(bytes(handle).subspan(from),
                                   [](std::byte one) { return one == std::byte{0}; });
    }

    /// The last block was made longer or shorter: what it held is there, and zeros behind it.
    void take_over(const Block& one, const StackHandle& handle) {
        const auto kept = std::min<std::uint64_t>(handle.len, one.content.size());
        ASSERT_TRUE(holds({handle.offset, kept}, std::span(one.content).first(kept)));
        ASSERT_TRUE(is_zero(handle, kept));
        write(handle);
    }
    void write(const StackHandle& handle) {
        Block& one = live_.back();
        one.handle = handle;
        one.content.assign(handle.len, std::byte(1 + random_() % 255));
        if (random_() % 4 == 0) imitate(one);
        std::ranges::copy(one.content, bytes(handle).begin());
    }
    /// What the heap itself keeps: its header, journal and marks, or what is around the block.
    void imitate(Block& one) {
        constexpr std::uint64_t period = 64;
        const std::span<const std::byte> memory = memory_.view();
        const auto stack = static_cast<std::uint64_t>(heap_->stack()->data() - memory.data());
        const std::uint64_t around = stack + one.handle.offset - period / 2;
        const std::uint64_t from = random_() % 2 == 0 ? around : random_() % (stack / 8) * 8;
        for (std::uint64_t i = 0; i < one.content.size(); ++i) {
            one.content[i] = memory[from + i % period];
        }
    }

    test::RandomSteps& random_;
    Counts& counts_;
    HeapMemory memory_{test::dying_memory_bytes};
    std::unique_ptr<Heap> heap_;
    std::vector<Block> live_;
    std::uint64_t lost_ = 0;
};

template <typename Play>
class StackFaults : public testing::Test {};
using Plays = testing::Types<test::StackPlay<FirstFit>, test::StackPlay<GhostTree>,
                             test::StackPlay<SlabStack>, test::StackPlay<CheckedSlab>>;
TYPED_TEST_SUITE(StackFaults, Plays);

TYPED_TEST(StackFaults, LeaveEveryBlockThatSomebodyHas) {  // T-BS-90
    test::RandomSteps random(20'000);
    Counts counts;
    for (int session = 0; session < 40 && !this->HasFatalFailure(); ++session) {
        Faults<TypeParam> faults(random, counts);  // What is lost is lost with it.
        for (int i = 0; i < 1'000 && random.go_on(); ++i) faults.step();
    }
    EXPECT_GT(counts.deaths, 1'000);
    EXPECT_GT(counts.reallocs_not_begun, 100);
    if (TypeParam::Heap::Engine::shape(64).kind == HeapKind::first_fit) {
        EXPECT_EQ(counts.reallocs_done, 0) << "the store that decides is the last one";
    } else {
        EXPECT_GT(counts.reallocs_done, 10);
    }
}

}  // namespace
}  // namespace shmpool
