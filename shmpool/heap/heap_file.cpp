// SPDX-License-Identifier: Apache-2.0
/// See heap_file.hpp.
#include "shmpool/heap/heap_file.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>

#include "shmpool/heap/guarded_page_chain.hpp"
#include "shmpool/heap/heap_audit.hpp"
#include "shmpool/heap/stack_opening.hpp"
#include "shmpool/platform/file_memory.hpp"
#include "shmpool/platform/or_out_of_memory.hpp"

namespace shmpool {
namespace {

tl::unexpected<Error> of_file(const std::string& path, const Error& error) {
    return fail(error.code, "'" + path + "': " + error.message);
}

bool may_lie_on_a_file(HeapKind kind) {
    return std::ranges::find(file_heap_kinds, kind) != file_heap_kinds.end();
}

tl::unexpected<Error> fail_kind(HeapKind kind) {
    return fail(Errc::unsupported, "a heap of kind " + std::string(name_of(kind)) +
                                       " can not lie on a file; linear, first_fit, ghost_tree, "
                                       "slab_stack, checked_slab and page_chain can");
}

/// Of a kind that can lie on a file, and as long as it was when it was made.
Result<HeapKind> check_file(std::span<const std::byte> memory) {
    const auto kind = kind_of_heap(memory);
    if (!kind) return kind;
    if (!may_lie_on_a_file(*kind)) return fail_kind(*kind);
    const std::uint64_t bytes = reinterpret_cast<const HeapHeader*>(memory.data())->memory_bytes;
    if (bytes == memory.size()) return kind;
    return fail(Errc::damaged_header,
                "the file has " + std::to_string(memory.size()) + " bytes, its heap " +
                    std::to_string(bytes) +
                    (memory.size() < bytes ? "; it was cut off: get it from a copy"
                                           : "; something was added to it: cut that off"));
}

}  // namespace

struct HeapFile::Parts {
    Parts(FileMemory mapped, HeapSync sync_when)
        : file(std::move(mapped)), when(sync_when), changes(file.memory(), sync_when) {}

    [[nodiscard]] HeapHeader& header() const {
        return *reinterpret_cast<HeapHeader*>(file.memory().data());
    }

    /// Whoever was in it is dead: the file was locked.
    Result<void> open() {
        const auto found = check_file(file.memory());
        if (!found) return of_file(file.path(), found.error());
        kind = *found;
        HeapLock lock(header().lock);
        (void)lock.orphan(lock.holder());
        const FileStores hook(changes);
        Result<void> opened;
        if (kind == HeapKind::page_chain) {
            opened = plan_of_page_chain(file.memory()).map([&](const PageChainPlan& plan) {
                pages = std::make_unique<GuardedPageChain<FileStores>>(file.memory(), plan,
                                                                       heap_patience, hook);
            });
        } else {
            opened = open_stack_heap_with(file.memory(), heap_patience, HeapOrigin(), hook)
                         .map([&](std::unique_ptr<StackHeap> heap) { stack = std::move(heap); });
        }
        if (!opened) return of_file(file.path(), opened.error());
        return undo();
    }

    /// What the dead have left is undone before anybody looks at it.
    Result<void> undo() {
        const HeapHolder me = this_thread();
        const Result<void> undone =
            pages ? pages->statistics(me).map([](const auto&) {}).map_error(to_error)
                  : stack->statistics(me).map([](const auto&) {}).map_error(to_error);
        if (!undone) return of_file(file.path(), undone.error());
        return {};
    }

    [[nodiscard]] Result<void> sync(std::span<const std::byte> bytes) const {
        // What failed once is lost, although the next sync may say that all is well.
        int error_number = changes.error_number();
        if (error_number == 0) error_number = sync_to_file(bytes);
        if (error_number == 0) return {};
        return fail_errno(Errc::system,
                          "sync '" + file.path() + "' (what is in it is not known; open it again)",
                          error_number);
    }

    /// `of_what`: `all`, for people.
    [[nodiscard]] Result<void> sync_part(std::span<const std::byte> all, const HeapExtent& part,
                                         const char* of_what) const {
        if (part.offset <= all.size() && part.bytes <= all.size() - part.offset) {
            return sync(all.subspan(part.offset, part.bytes));
        }
        return of_file(file.path(),
                       {Errc::invalid_argument, std::to_string(part.bytes) + " bytes at offset " +
                                                    std::to_string(part.offset) +
                                                    " do not lie in " + of_what});
    }

    FileMemory file;
    HeapSync when;
    FileChanges changes;
    HeapKind kind = HeapKind::none;
    std::unique_ptr<StackHeap> stack;
    std::unique_ptr<PageChain> pages;
};

HeapFile::HeapFile(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
HeapFile::HeapFile(HeapFile&&) noexcept = default;
HeapFile& HeapFile::operator=(HeapFile&&) noexcept = default;
HeapFile::~HeapFile() = default;

Result<HeapFile> HeapFile::create(const std::string& path, HeapKind kind, std::uint64_t bytes,
                                  const HeapOptions& options, HeapSync when) {
    if (!may_lie_on_a_file(kind)) return fail_kind(kind);
    auto file = FileMemory::create(path, bytes);
    if (!file) return tl::unexpected(file.error());
    if (auto formatted = format_heap(file->memory(), kind, options); !formatted) {
        return of_file(path, formatted.error());
    }
    if (auto published = file->publish(); !published) return tl::unexpected(published.error());
    auto parts = std::make_unique<Parts>(std::move(*file), when);
    if (auto opened = parts->open(); !opened) return tl::unexpected(opened.error());
    return HeapFile(std::move(parts));
}

Result<HeapFile> HeapFile::open(const std::string& path, HeapSync when) {
    auto file = FileMemory::open(path);
    if (!file) return tl::unexpected(file.error());
    auto parts = std::make_unique<Parts>(std::move(*file), when);
    if (auto opened = parts->open(); !opened) return tl::unexpected(opened.error());
    return HeapFile(std::move(parts));
}

const std::string& HeapFile::path() const {
    return parts_->file.path();
}
HeapKind HeapFile::kind() const {
    return parts_->kind;
}
std::span<std::byte> HeapFile::memory() const {
    return parts_->file.memory();
}

Result<StackHeap*> HeapFile::stack_heap() const {
    if (parts_->stack) return parts_->stack.get();
    return of_file(path(), wrong_kind(kind(), "a heap of the stack family").value());
}
Result<PageChain*> HeapFile::page_chain() const {
    if (parts_->pages) return parts_->pages.get();
    return of_file(path(), wrong_kind(kind(), "a heap of pages with pins (page_chain)").value());
}

HeapHolder HeapFile::this_thread() {
    static std::atomic<HeapHolder> threads{0};
    thread_local const HeapHolder mine =
        threads.fetch_add(1, std::memory_order_relaxed) % heap_holder_max + 1;
    return mine;
}

HeapOffset HeapFile::root() const {
    return parts_->header().root.load(std::memory_order_acquire);  // [A-heap-root]
}
Result<void> HeapFile::set_root(HeapOffset offset) {
    parts_->header().root.store(offset, std::memory_order_release);  // [R-heap-root]
    if (parts_->when == HeapSync::when_asked) return {};
    return sync(HeapExtent{offsetof(HeapHeader, root), sizeof offset});
}

Result<void> HeapFile::sync() {
    HeapLock lock(parts_->header().lock);
    if (const auto got = lock.lock(this_thread(), heap_patience); !got) {
        return of_file(path(), to_error(got.error()));
    }
    const std::lock_guard leaving(lock, std::adopt_lock);
    return parts_->sync(memory());
}
Result<void> HeapFile::sync(const StackHandle& block) {
    const auto heap = stack_heap();
    if (!heap) return tl::unexpected(heap.error());
    const auto stack = (*heap)->stack();
    if (!stack) return of_file(path(), to_error(stack.error()));
    return parts_->sync_part(*stack, {block.offset, block.len}, "its stack");
}
Result<void> HeapFile::sync(std::span<const std::byte> bytes) {
    const auto distance = reinterpret_cast<std::uintptr_t>(bytes.data()) -
                          reinterpret_cast<std::uintptr_t>(memory().data());
    return sync(HeapExtent{distance, bytes.size()});
}
Result<void> HeapFile::sync(const HeapExtent& extent) {
    return parts_->sync_part(memory(), extent, "the heap");
}

Result<std::vector<HeapFinding>> HeapFile::audit() {
    return or_out_of_memory([this] {
        const HeapHolder me = this_thread();
        return (parts_->pages ? parts_->pages->audit(me) : parts_->stack->audit(me))
            .map_error([this](Errc code) { return of_file(path(), to_error(code)).value(); });
    });
}

}  // namespace shmpool
