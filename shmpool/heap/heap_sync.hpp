// SPDX-License-Identifier: Apache-2.0
/// How the changes of a heap on a file reach the file's medium. HeapWords tells what it writes; the
/// pages of that are synced twice: when the change is whole, journal and all, and again when the
/// store that decides it has been made. So what was returned is on the medium, and a machine that
/// fails between two operations finds the file as it was left.
///
/// A machine that fails in the middle of one is promised nothing: the kernel may write a page back
/// at any time, so that a changed word can be on the medium before the entry of the journal that
/// would undo it. To close that, journal and count must each be synced before the first word is
/// changed, and changes kept elsewhere until then. The death of a process, of whatever kind and at
/// any store, is no such failure: its stores are the kernel's, in their order.
///
/// When a sync fails nobody knows what is on the medium, nor will a second sync tell: the heap is
/// finished, every further change of it is refused, and the file is to be opened again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "shmpool/platform/atomics.hpp"
#include "shmpool/platform/file_memory.hpp"

namespace shmpool {

enum class HeapSync : std::uint8_t {
    each_change,  ///< Before an operation returns.
    when_asked,   ///< HeapFile::sync; until then the kernel does as it likes.
};

/// What was written since the last sync. The holder of the heap's lock, one thread; `failed` by
/// anybody.
class FileChanges {
public:
    /// 0, or an errno.
    using Sync = int (*)(std::span<const std::byte> bytes) noexcept;

    /// The memory is a mapped file's. A test has another `sync`.
    FileChanges(std::span<const std::byte> memory, HeapSync when, Sync how = sync_to_file)
        : memory_(memory), when_(when), sync_(how) {
        written_.reserve(1);
    }

    /// Never fails: when there is no memory to note it, all of the file is to be synced.
    void wrote(std::span<const std::byte> bytes) noexcept;
    /// Runs of pages, the lowest first: the journal lies in front of what it is about.
    void sync();

    [[nodiscard]] bool failed() const { return error_number_.load(std::memory_order_relaxed) != 0; }
    /// The errno of the first sync that failed; 0.
    [[nodiscard]] int error_number() const { return error_number_.load(std::memory_order_relaxed); }

private:
    struct Pages {
        std::uint64_t begin;
        std::uint64_t end;
    };
    /// Pages that are not changed, but cheaper to sync than to leave out: nothing to write.
    static constexpr std::uint64_t gap_max = 8;

    void note(const Pages& pages) noexcept;
    void sync_run(const Pages& run);

    std::span<const std::byte> memory_;
    HeapSync when_;
    Sync sync_;
    std::vector<Pages> written_;
    std::atomic<int> error_number_{0};
};

/// The hook of heaps on a file.
class FileStores {
public:
    explicit FileStores(FileChanges& changes) : changes_(&changes) {}

    static void before_store() {}
    void wrote(std::span<const std::byte> bytes) { changes_->wrote(bytes); }
    void sync() { changes_->sync(); }
    [[nodiscard]] bool failed() const { return changes_->failed(); }

private:
    FileChanges* changes_;
};

}  // namespace shmpool
