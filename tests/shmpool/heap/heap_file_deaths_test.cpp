// SPDX-License-Identifier: Apache-2.0
/// Goal: what an operation on a heap on a file has returned is there for the next process, whenever
/// the one before was killed: at some moment of a storm of operations, the time of syncs included;
/// before every store of every operation; in the middle of making the file. PG-14, T-PG-20.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>

#include <filesystem>

#include "shmpool/heap/guarded_page_chain.hpp"
#include "shmpool/heap/stack_opening.hpp"
#include "shmpool/platform/file_memory.hpp"
#include "tests/shmpool/heap/heap_folder.hpp"
#include "tests/shmpool/heap/heap_ledger.hpp"

namespace shmpool {
namespace {

using test::Ledger;
using test::Reporter;

constexpr std::uint64_t file_bytes = 192 << 10;

/// Dies by the kernel's hand before a store.
struct KilledBefore {
    static inline std::uint64_t store = ~std::uint64_t{0};
    static void before_store() {
        if (store-- == 0) ::raise(SIGKILL);
    }
};

void work(HeapFile& file, const Reporter& reporter, unsigned seed, int steps) {
    if (file.kind() == HeapKind::page_chain) {
        test::work(*file.page_chain().value(), file.memory(), reporter, seed, steps);
    } else {
        test::work(*file.stack_heap().value(), reporter, seed, steps);
    }
}

/// A child with a pipe to here.
class Worker {
public:
    template <typename Body>
    explicit Worker(Body body) {
        int ends[2] = {-1, -1};
        if (::pipe(ends) != 0) std::abort();
        pid_ = ::fork();
        if (pid_ == 0) {
            ::close(ends[0]);
            body(Reporter(ends[1]));
            ::_exit(0);
        }
        ::close(ends[1]);
        pipe_ = ends[0];
    }
    ~Worker() { ::close(pipe_); }
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    [[nodiscard]] int pipe() const { return pipe_; }
    void kill() const { ::kill(pid_, SIGKILL); }
    /// Whether it was killed; ended by itself is good too, with anything but 0 not.
    [[nodiscard]] bool was_killed() const {
        int status = 0;
        ::waitpid(pid_, &status, 0);
        EXPECT_TRUE(status == 0 || status == SIGKILL) << status;
        return status == SIGKILL;
    }

private:
    pid_t pid_ = 0;
    int pipe_ = -1;
};

class HeapFileDeaths : public testing::TestWithParam<HeapKind> {
protected:
    /// Of slabs: what needs more than one block of these is not handed out again.
    void make(std::uint64_t block_bytes) {
        HeapOptions options;
        options.block_bytes = block_bytes;
        made = HeapFile::create(path, GetParam(), file_bytes, options).has_value();
    }
    void expect_all_there(const Ledger& ledger) {
        auto file = HeapFile::open(path, HeapSync::when_asked);
        ASSERT_TRUE(file) << file.error().message;
        ASSERT_EQ(ledger.compare(*file), "");
        // And it goes on.
        if (GetParam() == HeapKind::page_chain) {
            EXPECT_TRUE((*file->page_chain())->allocate(HeapFile::this_thread()));
        } else {
            EXPECT_TRUE((*file->stack_heap())->alloc(HeapFile::this_thread(), 100));
        }
    }

    test::HeapFolder folder;
    std::string path = folder.file("table");
    bool made = false;
};

TEST_P(HeapFileDeaths, AtAnyMomentLeaveWhatWasReturned) {
    std::mt19937 random(20261122);
    int killed = 0;
    for (unsigned round = 0; round < 36; ++round) {
        SCOPED_TRACE("round " + std::to_string(round));
        std::filesystem::remove(path);
        make(1024);
        ASSERT_TRUE(made);
        const HeapSync when = round % 2 == 0 ? HeapSync::each_change : HeapSync::when_asked;
        const Worker worker([&](const Reporter& reporter) {
            HeapFile file = HeapFile::open(path, when).value();
            work(file, reporter, round, 1 << 30);
        });
        Ledger ledger;
        const auto enough = random() % (when == HeapSync::each_change ? 30 : 2'000);
        test::Report report{};
        while (ledger.heard() < enough &&
               ::read(worker.pipe(), &report, sizeof report) == sizeof report) {
            ledger.hear(report);
        }
        ::usleep(static_cast<useconds_t>(random() % 300));
        worker.kill();
        ledger.hear_all(worker.pipe());
        killed += worker.was_killed() ? 1 : 0;
        expect_all_there(ledger);
        if (HasFailure()) return;
    }
    EXPECT_EQ(killed, 36);
}

/// The heap of the file, with a death in it.
void work_until_killed(const std::string& path, HeapKind kind, const Reporter& reporter,
                       int steps) {
    const FileMemory file = FileMemory::open(path).value();
    if (kind == HeapKind::page_chain) {
        GuardedPageChain<KilledBefore> pages(
            file.memory(), plan_of_page_chain(file.memory()).value(), heap_patience);
        test::work(pages, file.memory(), reporter, 3, steps);
    } else {
        const auto heap =
            open_stack_heap_with(file.memory(), heap_patience, HeapOrigin(), KilledBefore{});
        test::work(**heap, reporter, 3, steps);
    }
}

TEST_P(HeapFileDeaths, BeforeEveryStoreLeaveWhatWasReturned) {
    constexpr int steps = 12;
    make(128);
    ASSERT_TRUE(made);
    const std::string fresh = folder.file("fresh");
    std::filesystem::copy_file(path, fresh);
    bool killed = true;
    std::uint64_t store = 0;
    for (; killed; ++store) {
        SCOPED_TRACE("killed before store " + std::to_string(store));
        std::filesystem::copy_file(fresh, path, std::filesystem::copy_options::overwrite_existing);
        const Worker worker([&](const Reporter& reporter) {
            KilledBefore::store = store;
            work_until_killed(path, GetParam(), reporter, steps);
        });
        Ledger ledger;
        ledger.hear_all(worker.pipe());
        killed = worker.was_killed();
        expect_all_there(ledger);
        if (HasFailure()) return;
    }
    EXPECT_GT(store, 100U);
}

/// There is no file, or a whole one; and nothing else is left in the folder.
TEST_P(HeapFileDeaths, WhileItIsMadeLeaveNothingOrAllOfIt) {
    std::mt19937 random(7);
    int made_whole = 0;
    for (int round = 0; round < 30; ++round) {
        std::filesystem::remove(path);
        const Worker worker([&](const Reporter& reporter) {
            reporter.say({});
            (void)HeapFile::create(path, GetParam(), file_bytes);
        });
        test::Report report{};
        (void)!::read(worker.pipe(), &report, sizeof report);
        ::usleep(static_cast<useconds_t>(random() % 4'000));
        worker.kill();
        (void)worker.was_killed();
        ASSERT_LE(folder.names().size(), 1U);
        if (folder.names().empty()) {
            ASSERT_TRUE(HeapFile::create(path, GetParam(), file_bytes));
        } else {
            const auto file = HeapFile::open(path);
            ASSERT_TRUE(file) << file.error().message;
            ++made_whole;
        }
    }
    RecordProperty("made_whole", made_whole);
}

INSTANTIATE_TEST_SUITE_P(Kinds, HeapFileDeaths,
                         testing::Values(HeapKind::linear, HeapKind::first_fit,
                                         HeapKind::ghost_tree, HeapKind::slab_stack,
                                         HeapKind::checked_slab, HeapKind::page_chain),
                         [](const auto& tested) { return std::string(name_of(tested.param)); });

}  // namespace
}  // namespace shmpool
