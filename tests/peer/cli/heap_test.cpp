// SPDX-License-Identifier: Apache-2.0
/// `shmpool heap`: what it creates others use, and what it says.
#include "shmpool/heap/heap_file.hpp"
#include "tests/peer/cli/host_fixture.hpp"
#include "tests/peer/configured_host.hpp"
#include "tests/shmpool/heap/heap_folder.hpp"

namespace shmpool::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;

json parsed(const Finished& done) {
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    return json::parse(done.output);
}

class HeapCommand : public WithHost {
protected:
    static Finished create(const char* name, const char* kind, const char* size,
                           std::vector<std::string> more = {}) {
        std::vector<std::string> words{"heap", "create", name, "--kind", kind, "--size", size};
        words.insert(words.end(), more.begin(), more.end());
        return run(words);
    }
};

TEST_F(HeapCommand, CreatesWhatAPeerUsesAndDestroysItWhenNobodyDoes) {
    EXPECT_EQ(create("table", "tlsf", "1MiB").output,
              "created heap 'table' of kind tlsf with 1MiB\n");
    {
        auto peer = Peer::attach("test").value();
        auto heap = peer.byte_heap("table").value();
        const HeapOffset block = heap.allocate(1000).value();
        const json stat = parsed(run({"heap", "stat", "table", "--json"}));
        EXPECT_EQ(stat["blocks"], 1);
        EXPECT_GE(stat["used"], 1000);
        EXPECT_EQ(stat["used"].get<std::uint64_t>() + stat["free"].get<std::uint64_t>(),
                  stat["total"]);
        EXPECT_EQ(stat["damaged"], false);
        const json listed = parsed(run({"heap", "list", "--json"}))["heaps"];
        ASSERT_EQ(listed.size(), 1U);
        EXPECT_EQ(listed[0]["name"], "table");
        EXPECT_EQ(listed[0]["kind"], "tlsf");
        EXPECT_EQ(listed[0]["committed_bytes"], 1 << 20);
        EXPECT_EQ(listed[0]["users"], json::array({peer.index()}));
        const Finished refused = run({"heap", "destroy", "table"});
        EXPECT_EQ(refused.exit_code, 1);
        EXPECT_THAT(refused.errors, HasSubstr("heap 'table' is in use by peer"));
        EXPECT_TRUE(heap.free(block));
    }
    EXPECT_EQ(run({"heap", "audit", "table"}).output, "heap 'table' is whole\n");
    EXPECT_EQ(run({"heap", "destroy", "table"}).exit_code, 0);
    EXPECT_EQ(parsed(run({"heap", "list", "--json"}))["heaps"], json::array());
}

TEST_F(HeapCommand, GrowsAHeapUpToItsMaximum) {
    EXPECT_EQ(create("table", "tlsf", "1MiB", {"--max-size", "4MiB"}).exit_code, 0);
    EXPECT_EQ(run({"heap", "grow", "table", "--size", "3MiB"}).output, "heap 'table' has 3MiB\n");
    EXPECT_EQ(run({"heap", "grow", "table", "--size", "2MiB"}).output, "heap 'table' has 3MiB\n");
    EXPECT_EQ(parsed(run({"heap", "grow", "table", "--size", "4MiB", "--json"}))["committed_bytes"],
              4 << 20);
    EXPECT_THAT(run({"heap", "stat", "table"}).output, HasSubstr("1 region"));
    const Finished refused = run({"heap", "grow", "table", "--size", "5MiB"});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.errors, HasSubstr("that is said by max_size when it is created"));
    EXPECT_THAT(create("ids", "ids", "64KiB", {"--ids", "10", "--max-size", "1MiB"}).errors,
                HasSubstr("heaps of kind ids can not grow"));
}

TEST_F(HeapCommand, IsNotNeededForADoctorToSeeThatAHeapIsDamaged) {
    EXPECT_EQ(create("table", "tlsf", "1MiB").exit_code, 0);
    EXPECT_THAT(run({"doctor"}).output, HasSubstr("1 heaps\n"));
    auto peer = Peer::attach("test").value();
    auto heap = peer.byte_heap("table").value();
    reinterpret_cast<HeapHeader*>(heap.memory().data())->damaged.store(1);
    const Finished sick = run({"doctor"});
    EXPECT_EQ(sick.exit_code, 1);
    EXPECT_THAT(sick.output, HasSubstr("I6: heap 'table' is damaged; see 'shmpool heap audit'"));
    EXPECT_EQ(json::parse(run({"doctor", "--json"}).output)["heaps"], 1);
}

TEST_F(HeapCommand, HasTheOptionsOfEveryKind) {
    EXPECT_EQ(
        create("frames", "bitmap_pages", "64MiB", {"--page-size", "2MiB", "--alignment", "2MiB"})
            .exit_code,
        0);
    EXPECT_EQ(create("chain", "page_chain", "1MiB", {"--page-size", "8KiB", "--alignment", "8KiB"})
                  .exit_code,
              0);
    EXPECT_THAT(run({"heap", "stat", "chain"}).output, HasSubstr("0B of"));
    EXPECT_EQ(run({"heap", "audit", "chain"}).output, "heap 'chain' is whole\n");
    EXPECT_EQ(create("ids", "ids", "64KiB", {"--first-id", "100", "--ids", "1000"}).exit_code, 0);
    EXPECT_EQ(create("buddies", "buddy", "1MiB").exit_code, 0);
    EXPECT_EQ(create("orders", "slab_cache", "1MiB", {"--block-size", "12", "--page-size", "512"})
                  .exit_code,
              0);
    EXPECT_THAT(run({"heap", "stat", "ids"}).output, HasSubstr("0 of 1000 ids are used"));
    EXPECT_THAT(run({"heap", "stat", "buddies"}).output, HasSubstr("in 0 blocks; 1 region"));
    EXPECT_THAT(run({"heap", "list"}).output, HasSubstr("bitmap_pages"));
    auto peer = Peer::attach("test").value();
    auto frames = peer.page_heap("frames").value();
    const HeapOffset frame = frames.allocate_pages(1, 2 << 20).value();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(frames.at(frame)) % (2 << 20), 0U);
    auto orders = peer.object_heap("orders").value();
    EXPECT_EQ(orders.object_bytes(), 12U);
    EXPECT_TRUE(orders.allocate());
    EXPECT_THAT(run({"heap", "stat", "orders"}).output, HasSubstr("12B of"));
    EXPECT_EQ(run({"heap", "audit", "orders"}).output, "heap 'orders' is whole\n");
}

TEST_F(HeapCommand, FindsWhatIsWrongWithAHeap) {
    ASSERT_EQ(create("table", "tlsf", "1MiB").exit_code, 0);
    auto peer = Peer::attach("test").value();
    auto heap = peer.byte_heap("table").value();
    reinterpret_cast<HeapHeader*>(heap.memory().data())->used_bytes.store(7);
    const Finished done = run({"heap", "audit", "table"});
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_THAT(done.output, HasSubstr("used_bytes says 7, counted 0"));
}

TEST(HeapFileCommand, MakesAndChecksAHeapOnAFileWithoutAHost) {
    const test::HeapFolder folder;
    const std::string path = folder.file("table");
    const Finished made = run({"heap", "file", "create", path, "--kind", "page_chain", "--size",
                               "1MiB", "--page-size", "8KiB"});
    EXPECT_EQ(made.exit_code, 0) << made.errors;
    EXPECT_EQ(made.output, "created '" + path + "', a heap of kind page_chain with 1MiB\n");
    EXPECT_EQ(run({"heap", "file", "audit", path}).output, "heap '" + path + "' is whole\n");
    const Finished again =
        run({"heap", "file", "create", path, "--kind", "linear", "--size", "1MiB"});
    EXPECT_EQ(again.exit_code, 1);
    EXPECT_THAT(again.errors, HasSubstr("is there already"));
    {
        const HeapFile file = HeapFile::open(path).value();
        const Finished busy = run({"heap", "file", "audit", path});
        EXPECT_EQ(busy.exit_code, 1);
        EXPECT_THAT(busy.errors, HasSubstr("one at a time"));
        reinterpret_cast<HeapHeader*>(file.memory().data())->used_bytes.store(7);
    }
    const Finished broken = run({"heap", "file", "audit", path});
    EXPECT_EQ(broken.exit_code, 1);
    EXPECT_THAT(broken.output, HasSubstr("used_bytes says 7, counted 0"));
    EXPECT_THAT(
        run({"heap", "file", "create", path + "2", "--kind", "tlsf", "--size", "1MiB"}).errors,
        HasSubstr("the kinds are linear, first_fit"));
    EXPECT_EQ(run({"heap", "file"}).exit_code, 2);
}

TEST_F(HeapCommand, RefusesWhatMakesNoSense) {
    const auto expect = [](const Finished& done, std::vector<std::string> says) {
        EXPECT_EQ(done.exit_code, 1) << done.output;
        for (const std::string& part : says) EXPECT_THAT(done.errors, HasSubstr(part));
    };
    expect(create("a", "tlsf", "2MiB", {"--max-size", "1MiB"}),
           {"heap 'a'", "max_size is 1048576, but size is 2097152", "leave it out"});
    expect(create("a", "ids", "64KiB", {"--ids", "10", "--ids-max", "5"}),
           {"ids_max (id_capacity) is 5, but ids (id_count) is 10", "leave it out"});
    expect(create("a", "ids", "64KiB"), {"ids (id_count) is 0", "one or more"});
    expect(create("a", "tlsf", "1MiB", {"--ids", "10"}),
           {"ids (id_count) is 10", "a heap of kind tlsf does not have", "ids"});
    expect(create("a", "tlsf", "1MiB", {"--first-id", "10"}), {"first_id is 10", "leave it out"});
    expect(create("a", "buddy", "1MiB", {"--page-size", "8KiB"}),
           {"page_size (bytes_per_page) is 8192", "bitmap_pages, page_chain, slab_cache"});
    expect(create("a", "first_fit", "1MiB", {"--block-size", "128"}),
           {"block_size (block_bytes) is 128", "slab_stack, checked_slab, slab_cache"});
    expect(create("a", "slab_stack", "1MiB", {"--block-size", "2MiB"}),
           {"block_size (block_bytes) is 2097152", "none would fit"});
    expect(create("a", "slab_stack", "1MiB", {"--block-size", "1048568"}),
           {"heap 'a'", "make its size larger"});
    expect(create("a", "bitmap_pages", "4KiB"), {"heap 'a'", "make its size larger"});
    test::HeapFolder folder;
    expect(run({"heap", "file", "create", folder.file("a"), "--kind", "first_fit", "--size", "1MiB",
                "--page-size", "8KiB"}),
           {"page_size (bytes_per_page) is 8192"});
    EXPECT_EQ(parsed(run({"heap", "list", "--json"}))["heaps"], json::array());
}

TEST_F(HeapCommand, SaysWhoIsInAHeapThatItHasWaitedFor) {
    EXPECT_EQ(create("table", "tlsf", "1MiB").exit_code, 0);
    auto peer = Peer::attach("test").value();
    auto heap = peer.byte_heap("table").value();
    auto& word = reinterpret_cast<HeapHeader*>(heap.memory().data())->lock;
    word.store(host_lane + 1);
    const Finished waited = run({"heap", "audit", "table"});
    word.store(0);
    EXPECT_EQ(waited.exit_code, 1);
    EXPECT_THAT(waited.errors, HasSubstr("In it is the host"));
}

/// Nobody has left before: so the host has not yet looked at any lock.
class LockOfNobody : public WithHost {
protected:
    void SetUp() override {
        WithHost::SetUp();
        HeapSpec spec;
        spec.bytes = 1 << 20;
        ASSERT_TRUE(peer_->create_heap("table", spec));
        heap_.emplace(peer_->byte_heap("table").value());
    }
    void write_lock(std::uint32_t word) { lock() = word; }
    Atomic<std::uint32_t>& lock() { return header().lock; }
    HeapHeader& header() { return *reinterpret_cast<HeapHeader*>(heap_->memory().data()); }
    /// By whoever has looked: he has left.
    void expect_passed_on() {
        EXPECT_TRUE(eventually([&] { return HeapLock(lock()).living_holder() == 0; }));
        EXPECT_TRUE(eventually([&] { return header().damaged != 0; }));
        EXPECT_TRUE(heap_->allocate(100));
    }

    std::optional<Peer> peer_ = Peer::attach("test").value();
    std::optional<SharedByteHeap> heap_;
};

TEST_F(LockOfNobody, IsSeenByAnAudit) {
    write_lock(0x2ABCDEF0);
    const Finished audit = run({"heap", "audit", "table"});
    EXPECT_EQ(audit.exit_code, 1);
    EXPECT_THAT(audit.errors, HasSubstr("heap 'table' is locked by lane 717020911, of "));
    EXPECT_THAT(audit.errors, HasSubstr("run it again"));
    expect_passed_on();
    EXPECT_EQ(run({"heap", "audit", "table"}).output,
              "heap 'table' is whole; nonsense was met in it before\n");
}

TEST_F(LockOfNobody, IsSeenByADoctor) {
    write_lock(0x2ABCDEF0);
    const Finished doctor = run({"doctor"});
    EXPECT_EQ(doctor.exit_code, 1);
    EXPECT_THAT(doctor.output, HasSubstr("I6: heap 'table' is locked by lane 717020911, of "));
    expect_passed_on();
}

TEST_F(LockOfNobody, IsSeenByWhoAsksHowFullAHeapIs) {
    const PoolView& pool = peer_->pool().view();
    std::uint32_t lane = 1;
    while (pool.lanes[lane].owner.load() != 0) ++lane;
    write_lock(lane + 1);
    EXPECT_THAT(run({"heap", "stat", "table"}).output,
                HasSubstr("is locked by lane " + std::to_string(lane) + ", which nobody has"));
    expect_passed_on();
    EXPECT_EQ(parsed(run({"heap", "stat", "table", "--json"}))["locked_by_nobody"], false);
}

TEST_F(HeapCommand, ListsWhatAHeapHasAndWhatItMayHave) {
    EXPECT_EQ(create("table", "tlsf", "1MiB", {"--max-size", "4MiB"}).exit_code, 0);
    EXPECT_THAT(run({"heap", "list"}).output, testing::ContainsRegex("table +tlsf +1MiB +4MiB"));
    EXPECT_THAT(run({"heap", "file", "create", "--help"}).output, testing::Not(HasSubstr("tlsf,")));
}

TEST_F(HeapCommand, SaysWhatIsWrongWithARequest) {
    const auto expect = [](const Finished& done, int code, const char* says) {
        EXPECT_EQ(done.exit_code, code) << done.errors;
        EXPECT_THAT(done.errors, HasSubstr(says));
        EXPECT_EQ(done.output, "");
    };
    expect(create("a", "slub", "1MiB"), 2, "'slub' is no kind of heap here; the kinds are tlsf");
    expect(create("a b", "tlsf", "1MiB"), 2, "' ' at position 2 is not allowed");
    expect(create("a", "tlsf", "0"), 2, "too small");
    expect(create("a", "tlsf", "2GiB"), 1, "[limits] heap_bytes");
    expect(create("a", "tlsf", "4KiB"), 1, "a heap of this kind and size keeps the first");
    expect(create("a", "slab_cache", "1MiB", {"--block-size", "4KiB"}), 1, "no room for one");
    expect(create("a", "tlsf", "1MiB", {"--alignment", "5000"}), 1, "must be a power of two");
    expect(run({"heap"}), 2, "heap");
    expect(run({"heap", "create", "a"}), 2, "heap create");
    expect(run({"heap", "stat", "nothing"}), 1, "there is no heap 'nothing'");
    expect(run({"heap", "audit", "nothing"}), 1, "there is no heap 'nothing'");
    expect(run({"heap", "destroy", "nothing"}), 1, "there is no heap 'nothing'");
    ASSERT_EQ(create("a", "tlsf", "1MiB").exit_code, 0);
    expect(create("a", "tlsf", "1MiB"), 1, "there is a heap 'a' already");
}

TEST(HeapConfig, HasHeapsFromTheBeginningAndOnlyAsManyAsItSays) {
    setenv("SHMPOOL_POOL", "test", 1);
    ConfiguredHost host(
        "[limits]\nheaps = 1\n[[heap]]\nname = \"table\"\nkind = \"tlsf\"\n"
        "size = \"1MiB\"\n");
    EXPECT_TRUE(host.attach("user").byte_heap("table").value().allocate(100));
    const Finished full = run({"heap", "create", "b", "--kind", "tlsf", "--size", "1MiB"});
    EXPECT_EQ(full.exit_code, 1);
    EXPECT_THAT(full.errors, HasSubstr("raise [limits] heaps"));
}

TEST(HeapConfig, HasSlabCaches) {
    setenv("SHMPOOL_POOL", "test", 1);
    ConfiguredHost host(
        "[[heap]]\nname = \"orders\"\nkind = \"slab_cache\"\nsize = \"1MiB\"\n"
        "block_size = 96\npage_size = \"1KiB\"\n");
    Peer user = host.attach("user");
    auto orders = user.object_heap("orders").value();
    EXPECT_EQ(orders.object_bytes(), 96U);
    const HeapOffset object = orders.allocate().value();
    EXPECT_LT(object % 1024, 1024U - 96 + 1);
}

/// Who may only look sees the pool, and no heap of it.
TEST(HeapConfig, TellsADoctorWhoMayNotAttachThatHeapsWereNotLookedAt) {
    setenv("SHMPOOL_POOL", "test", 1);
    const std::string me = "deny_users = [" + std::to_string(geteuid()) + "]\n";
    const std::string denied = "[access.attach]\n" + me + "[access.attach_read_only]\n" + me;
    {
        const ConfiguredHost host(denied);
        const Finished no_heap = run({"doctor"});
        EXPECT_EQ(no_heap.exit_code, 0) << no_heap.errors;
        EXPECT_THAT(no_heap.output, testing::Not(HasSubstr("heaps")));
    }
    const ConfiguredHost host(denied +
                              "[[heap]]\nname = \"table\"\nkind = \"tlsf\"\nsize = \"1MiB\"\n");
    const Finished examined = run({"doctor"});
    EXPECT_EQ(examined.exit_code, 0) << examined.errors;
    EXPECT_THAT(examined.output, testing::StartsWith("audit ok: 272 slots in 2 classes, 0 peers"));
    EXPECT_THAT(examined.output, HasSubstr("; heaps were not looked at: "));
    EXPECT_THAT(examined.output, HasSubstr("may not attach"));
    const json report = parsed(run({"doctor", "--json"}));
    EXPECT_EQ(report["ok"], true);
    EXPECT_EQ(report["heaps"], 1);
    EXPECT_THAT(report["heaps_not_looked_at"].get<std::string>(), HasSubstr("may not attach"));
}

TEST(HeapConfig, LetsOnlyThoseCreateWhoMayGrow) {
    setenv("SHMPOOL_POOL", "test", 1);
    const std::string me = std::to_string(geteuid());
    ConfiguredHost host("[access.grow]\ndeny_users = [" + me +
                        "]\n[[heap]]\nname = \"table\"\n"
                        "kind = \"tlsf\"\nsize = \"1MiB\"\n");
    const Finished create = run({"heap", "create", "b", "--kind", "tlsf", "--size", "1MiB"});
    EXPECT_EQ(create.exit_code, 1);
    EXPECT_THAT(create.errors, HasSubstr("may not create heaps of this pool"));
    const Finished destroy = run({"heap", "destroy", "table"});
    EXPECT_EQ(destroy.exit_code, 1);
    EXPECT_THAT(destroy.errors, HasSubstr("may not destroy heaps of this pool"));
    const Finished grow = run({"heap", "grow", "table", "--size", "2MiB"});
    EXPECT_EQ(grow.exit_code, 1);
    EXPECT_THAT(grow.errors, HasSubstr("may not grow heaps of this pool"));
    EXPECT_EQ(run({"heap", "stat", "table"}).exit_code, 0) << "to look is another right";
}

}  // namespace
}  // namespace shmpool::cli
