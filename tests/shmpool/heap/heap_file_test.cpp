// SPDX-License-Identifier: Apache-2.0
/// What a heap on a file is: there again when it is opened again, one process's at a time, never
/// half made; and what is refused, with the path and the remedy. Ids in brackets are of the list
/// of features.
#include "shmpool/heap/heap_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "shmpool/platform/file_memory.hpp"
#include "tests/shmpool/heap/heap_folder.hpp"
#include "tests/shmpool/heap/own_stack.hpp"

namespace shmpool {
namespace {

using test::HeapFolder;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// If there is one: what this program asks the kernel to sync, from first to last byte of each.
std::vector<std::span<const std::byte>>* asked = nullptr;

class HeapFileTest : public testing::Test {
protected:
    HeapFile create(HeapKind kind = HeapKind::first_fit, std::uint64_t bytes = 1 << 20) {
        return HeapFile::create(path, kind, bytes).value();
    }
    void expect_refused(Errc code, const std::string& says) {
        const auto opened = HeapFile::open(path);
        ASSERT_FALSE(opened);
        EXPECT_EQ(opened.error().code, code) << opened.error().message;
        EXPECT_THAT(opened.error().message, HasSubstr(path));
        EXPECT_THAT(opened.error().message, HasSubstr(says));
    }
    void write_at(off_t at, std::uint64_t word) {
        const int file = ::open(path.c_str(), O_WRONLY);
        ASSERT_EQ(::pwrite(file, &word, 8, at), 8);
        ::close(file);
    }

    HeapFolder folder;
    std::string path = folder.file("table");
    HeapHolder me = HeapFile::this_thread();
};

TEST_F(HeapFileTest, IsThereAgainWhenItIsOpenedAgain) {  // T-PG-20, BS-01
    for (const HeapKind kind : test::stack_kinds) {
        path = folder.file(std::string(name_of(kind)));
        StackHandle block;
        {
            HeapFile file = create(kind);
            StackHeap& heap = *file.stack_heap().value();
            block = heap.alloc(me, 1000).value();
            std::memcpy(heap.stack().value().data() + block.offset, "kept", 5);
            EXPECT_TRUE(file.set_root(block.offset));
            EXPECT_TRUE(file.sync());
        }
        HeapFile file = HeapFile::open(path).value();
        EXPECT_EQ(file.kind(), kind);
        EXPECT_EQ(file.root(), block.offset);
        EXPECT_THAT(file.audit().value(), IsEmpty());
        StackHeap& heap = *file.stack_heap().value();
        EXPECT_STREQ(reinterpret_cast<char*>(heap.stack().value().data() + block.offset), "kept");
        EXPECT_TRUE(heap.dealloc(me, block));
        EXPECT_EQ(heap.statistics(me)->used_bytes, 0U);
    }
}

TEST_F(HeapFileTest, KeepsTheOrderOfFreePagesAndTheirStates) {  // T-PG-20, D-PG-1, D-PG-2
    {
        const HeapFile file = create(HeapKind::page_chain);
        PageChain& pages = *file.page_chain().value();
        for (int i = 0; i < 6; ++i) (void)pages.allocate(me).value();
        for (const PageId page : {3U, 6U, 2U}) EXPECT_TRUE(pages.free(me, page));
        EXPECT_TRUE(pages.pin(me, 4));
    }
    HeapFile file = HeapFile::open(path).value();
    PageChain& pages = *file.page_chain().value();
    EXPECT_EQ(pages.statistics(me).value(), (PageChainStatistics{5, 3, 8}));
    EXPECT_EQ(pages.state(me, 4), PageState::pinned);
    EXPECT_EQ(pages.free(me, 6).error(), Errc::not_allocated);
    for (const PageId page : {2U, 6U, 3U, 8U}) EXPECT_EQ(pages.allocate(me), page);
    EXPECT_TRUE(pages.free(me, 5));
    EXPECT_THAT(file.audit().value(), IsEmpty());
}

TEST_F(HeapFileTest, IsOneProcessesAtATime) {
    {
        const HeapFile file = create();
        expect_refused(Errc::heap_in_use, "one at a time");
        const pid_t child = ::fork();
        if (child == 0) {
            const auto opened = HeapFile::open(path);
            ::_exit(!opened && opened.error().code == Errc::heap_in_use ? 0 : 1);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        EXPECT_EQ(status, 0);
    }
    EXPECT_TRUE(HeapFile::open(path));
}

TEST_F(HeapFileTest, IsNotMadeWhereSomethingIs) {
    create();
    const auto again = HeapFile::create(path, HeapKind::linear, 1 << 20);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Errc::name_taken);
    EXPECT_THAT(again.error().message, HasSubstr(path));
    EXPECT_EQ(HeapFile::open(path).value().kind(), HeapKind::first_fit) << "it is as it was";
}

/// Somebody else is quicker: of two that are made, one gets the name, and it is whole.
TEST_F(HeapFileTest, OfTwoThatAreMadeAtOnceOneIs) {
    auto one = FileMemory::create(path, 1 << 20).value();
    auto two = FileMemory::create(path, 1 << 20).value();
    EXPECT_EQ(HeapFile::open(path).error().code, Errc::no_heap) << "half made";
    ASSERT_TRUE(format_heap(one.memory(), HeapKind::linear));
    ASSERT_TRUE(one.publish());
    const auto late = two.publish();
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, Errc::name_taken);
    EXPECT_THAT(late.error().message, HasSubstr(path));
    EXPECT_THAT(folder.names(), testing::ElementsAre("table")) << "and nothing is left";
}

TEST_F(HeapFileTest, IsNotMadeHalf) {
    const auto refused = [&](HeapKind kind, std::uint64_t bytes, const HeapOptions& options) {
        const auto made = HeapFile::create(path, kind, bytes, options);
        EXPECT_FALSE(made);
        EXPECT_THAT(folder.names(), IsEmpty());
        return made ? Error{Errc::internal_fault, ""} : made.error();
    };
    EXPECT_EQ(refused(HeapKind::first_fit, 100, {}).code, Errc::region_too_small);
    EXPECT_EQ(refused(HeapKind::first_fit, 0, {}).code, Errc::invalid_argument);
    EXPECT_EQ(refused(HeapKind::first_fit, ~std::uint64_t{0}, {}).code, Errc::invalid_argument);
    EXPECT_EQ(refused(HeapKind::tlsf, 1 << 20, {}).code, Errc::unsupported);
    HeapOptions odd;
    odd.block_bytes = 7;
    EXPECT_EQ(refused(HeapKind::slab_stack, 1 << 20, odd).code, Errc::invalid_argument);
    const Error full = refused(HeapKind::linear, std::uint64_t{1} << 50, {});
    EXPECT_EQ(full.code, Errc::out_of_memory) << full.message;
    EXPECT_THAT(full.message, HasSubstr("make room there"));
    EXPECT_THAT(full.message, HasSubstr(path));
    const auto nowhere = HeapFile::create(folder.file("no/where"), HeapKind::linear, 1 << 20);
    ASSERT_FALSE(nowhere);
    EXPECT_THAT(nowhere.error().message, HasSubstr("no/where"));
}

TEST_F(HeapFileTest, HasAllItsBlocksFromTheBeginning) {
    create(HeapKind::linear, 10 << 20);
    struct stat status {};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_GE(status.st_blocks * 512, 10 << 20) << "no store can meet a full disk";
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    ASSERT_EQ(::truncate(path.c_str(), 0), 0);
    ASSERT_EQ(::truncate(path.c_str(), 10 << 20), 0);
    expect_refused(Errc::wrong_magic, "no heap begins there");
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_GE(status.st_blocks * 512, 10 << 20) << "holes are filled before anybody looks";
}

TEST_F(HeapFileTest, RefusesWhatIsNoSuchFile) {
    expect_refused(Errc::no_heap, "find");
    create();
    ASSERT_EQ(::truncate(path.c_str(), 300'000), 0);
    expect_refused(Errc::damaged_header, "it was cut off: get it from a copy");
    ASSERT_EQ(::truncate(path.c_str(), 3 << 20), 0);
    expect_refused(Errc::damaged_header, "something was added to it");
    ASSERT_EQ(::truncate(path.c_str(), 1 << 20), 0);
    // What lay behind 300,000 is zero now: of a heap that is nearly empty nothing.
    EXPECT_TRUE(HeapFile::open(path));
    ASSERT_EQ(::truncate(path.c_str(), 100), 0);
    expect_refused(Errc::region_too_small, "100 bytes");
    ASSERT_EQ(::truncate(path.c_str(), 0), 0);
    expect_refused(Errc::region_too_small, "is empty");
}

TEST_F(HeapFileTest, RefusesAnotherMagicVersionAndKind) {
    const auto refused = [&](off_t at, std::uint64_t word, Errc code, const std::string& says) {
        ::unlink(path.c_str());
        create();
        write_at(at, word);
        expect_refused(code, says);
    };
    refused(0, 0x1234, Errc::wrong_magic, "no heap begins there");
    refused(8, (std::uint64_t{17} << 32) | 99, Errc::wrong_layout_version, "version 99");
    refused(8, (std::uint64_t{4711} << 32) | heap_layout_version, Errc::unsupported, "4711");
    refused(8, (std::uint64_t{1} << 32) | heap_layout_version, Errc::unsupported,
            "tlsf can not lie on a file");
    refused(40, 4711, Errc::damaged_header, "does not describe");
    ::unlink(path.c_str());
    const HeapFile file = create();
    const auto pages = file.page_chain();
    ASSERT_FALSE(pages);
    EXPECT_EQ(pages.error().code, Errc::config_mismatch);
    EXPECT_THAT(pages.error().message, HasSubstr(path));
}

TEST_F(HeapFileTest, RefusesWhatIsNoFile) {
    ASSERT_EQ(::mkdir(path.c_str(), 0700), 0);
    expect_refused(Errc::invalid_argument, "a directory");
    ASSERT_EQ(::rmdir(path.c_str()), 0);
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    expect_refused(Errc::invalid_argument, "a pipe");
    EXPECT_EQ(HeapFile::create(path, HeapKind::linear, 1 << 20).error().code, Errc::name_taken);
    ASSERT_EQ(::unlink(path.c_str()), 0);
    HeapFile::create(folder.file("real"), HeapKind::linear, 1 << 20).value();
    ASSERT_EQ(::symlink(folder.file("real").c_str(), path.c_str()), 0);
    expect_refused(Errc::invalid_argument, "a symbolic link");
}

TEST_F(HeapFileTest, RefusesWhoHasNoRight) {
    create();
    ASSERT_EQ(::chmod(folder.file("").c_str(), 0755), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        // Root may everything: be nobody.
        if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(2);
        if (::geteuid() != 65534 && ::chmod(path.c_str(), 0) != 0) ::_exit(3);
        const auto opened = HeapFile::open(path);
        const auto made = HeapFile::create(folder.file("mine"), HeapKind::linear, 1 << 20);
        const bool good =
            !opened && opened.error().code == Errc::no_permission &&
            opened.error().message.find(path) != std::string::npos &&
            (::geteuid() != 65534 || (!made && made.error().code == Errc::no_permission));
        ::_exit(good ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
}

TEST_F(HeapFileTest, IsUsedByManyThreads) {
    HeapFile file =
        HeapFile::create(path, HeapKind::first_fit, 4 << 20, {}, HeapSync::when_asked).value();
    StackHeap& heap = *file.stack_heap().value();
    std::vector<std::thread> threads;
    for (int i = 0; i < 6; ++i) {
        threads.emplace_back([&] {
            const HeapHolder mine = HeapFile::this_thread();
            for (int step = 0; step < 2'000; ++step) {
                const StackHandle block = heap.alloc(mine, 50).value();
                if (!heap.dealloc(mine, block)) std::abort();
            }
        });
    }
    for (std::thread& one : threads) one.join();
    EXPECT_TRUE(file.sync());
    EXPECT_TRUE(file.sync(HeapExtent{4096, 100}));
    EXPECT_EQ(file.sync(HeapExtent{4 << 20, 1}).error().code, Errc::invalid_argument);
    EXPECT_EQ(heap.statistics(me)->used_bytes, 0U);
    EXPECT_THAT(file.audit().value(), IsEmpty());
}

TEST_F(HeapFileTest, SyncsTheBytesOfTheBlockThatItIsAskedFor) {
    for (const auto kind : test::stack_kinds) {
        SCOPED_TRACE(name_of(kind));
        const std::string its_path = folder.file(std::string(name_of(kind)).c_str());
        HeapFile file = HeapFile::create(its_path, kind, 4 << 20, {}, HeapSync::when_asked).value();
        StackHeap& heap = *file.stack_heap().value();
        ASSERT_TRUE(heap.alloc(me, 100));
        const StackHandle block = heap.alloc(me, 50'000).value();
        const auto bytes = heap.stack()->subspan(block.offset, block.len);
        std::vector<std::span<const std::byte>> synced;
        asked = &synced;
        const auto expect_synced = [&](const Result<void>& done) {
            EXPECT_TRUE(done);
            ASSERT_EQ(synced.size(), 1U);
            EXPECT_LE(synced[0].data(), bytes.data());
            EXPECT_LT(bytes.data() - synced[0].data(), std::ptrdiff_t{page_bytes});
            EXPECT_EQ(synced[0].data() + synced[0].size(), bytes.data() + bytes.size());
            synced.clear();
        };
        expect_synced(file.sync(block));
        expect_synced(file.sync(bytes));
        const auto in_memory = static_cast<std::uint64_t>(bytes.data() - file.memory().data());
        expect_synced(file.sync(HeapExtent{in_memory, block.len}));

        const std::uint64_t capacity = heap.stack()->size();
        const auto outside = file.sync(StackHandle{capacity - 10, 11});
        EXPECT_EQ(outside.error().code, Errc::invalid_argument);
        EXPECT_THAT(outside.error().message, HasSubstr("11 bytes at offset"));
        const std::byte elsewhere{};
        EXPECT_EQ(file.sync(std::span(&elsewhere, 1)).error().code, Errc::invalid_argument);
        EXPECT_TRUE(synced.empty());
        asked = nullptr;
    }
    HeapFile pages = create(HeapKind::page_chain);
    EXPECT_EQ(pages.sync(StackHandle{0, 8}).error().code, Errc::config_mismatch);
}

TEST_F(HeapFileTest, MayBeMoved) {
    HeapFile first = create();
    StackHeap* const heap = first.stack_heap().value();
    HeapFile second = std::move(first);
    EXPECT_EQ(second.stack_heap().value(), heap);
    EXPECT_TRUE(heap->alloc(me, 100));
    second = HeapFile::create(folder.file("other"), HeapKind::linear, 1 << 20).value();
    EXPECT_TRUE(HeapFile::open(path)) << "closed by what took its place";
}

}  // namespace
}  // namespace shmpool

/// In the place of the C library's.
extern "C" int msync(void* begin, std::size_t bytes, int flags) {
    if (shmpool::asked != nullptr) {
        shmpool::asked->emplace_back(static_cast<const std::byte*>(begin), bytes);
    }
    return static_cast<int>(::syscall(SYS_msync, begin, bytes, flags));
}
