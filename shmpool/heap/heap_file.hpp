// SPDX-License-Identifier: Apache-2.0
/// A heap that outlives its processes, and the machine's rest: its memory is a file. For the stack
/// family (linear, first_fit, ghost_tree, slab_stack, checked_slab) and for page_chain. The file is
/// the heap's memory and nothing else, so what lies in it is what lies in a heap of a segment.
///
///   auto file  = HeapFile::open("/var/lib/x/table").value();
///   StackHeap& table = *file.stack_heap().value();
///   const auto block = table.alloc(HeapFile::this_thread(), 1000).value();   // and is on the disk
///
/// One process has it at a time, with as many threads as it likes. Who dies in it, by SIGKILL at
/// any store, leaves it as after a death in any heap: the next one to open it undoes what was not
/// decided, and finds all that was returned. Before an operation returns, what it has changed is on
/// the medium (HeapSync::each_change); what users write into their blocks is when they say `sync`.
/// What a failing machine may leave, heap_sync.hpp says.
///
/// Errors name the path, and what to do.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "shmpool/heap/heap_format.hpp"
#include "shmpool/heap/heap_sync.hpp"
#include "shmpool/heap/page_chain.hpp"
#include "shmpool/heap/stack_heap.hpp"

namespace shmpool {

/// Kinds that can lie on a file.
inline constexpr std::array file_heap_kinds{HeapKind::linear,       HeapKind::first_fit,
                                            HeapKind::ghost_tree,   HeapKind::slab_stack,
                                            HeapKind::checked_slab, HeapKind::page_chain};

/// Movable. Closed by its end; what was taken from it is gone with it.
class HeapFile {
public:
    /// A new file; nobody can open it before it is whole. name_taken (there is something),
    /// out_of_memory (the disk has no room), no_permission, unsupported (the kind can not live on a
    /// file), invalid_argument, system, and as format_heap.
    [[nodiscard]] static Result<HeapFile> create(const std::string& path, HeapKind kind,
                                                 std::uint64_t bytes,
                                                 const HeapOptions& options = {},
                                                 HeapSync when = HeapSync::each_change);
    /// no_heap (no such file), heap_in_use (somebody has it open), invalid_argument (a link, a
    /// directory, a pipe), no_permission, region_too_small and wrong_magic (no heap lies in it),
    /// wrong_layout_version, damaged_header (cut off, or something was added), unsupported.
    [[nodiscard]] static Result<HeapFile> open(const std::string& path,
                                               HeapSync when = HeapSync::each_change);

    HeapFile(HeapFile&&) noexcept;
    HeapFile& operator=(HeapFile&&) noexcept;
    ~HeapFile();

    [[nodiscard]] const std::string& path() const;
    [[nodiscard]] HeapKind kind() const;
    [[nodiscard]] std::span<std::byte> memory() const;

    /// As long as the file is open. config_mismatch: the heap is of another kind.
    [[nodiscard]] Result<StackHeap*> stack_heap() const;
    [[nodiscard]] Result<PageChain*> page_chain() const;
    /// What the calling thread is to the lock of any heap on a file.
    [[nodiscard]] static HeapHolder this_thread();

    /// Where users begin to look; 0: nobody has said so. Offsets of a file count from 0, and the
    /// first block of a linear heap begins there: a root of it says nothing, nor need it, for where
    /// that one lies everybody knows.
    [[nodiscard]] HeapOffset root() const;
    /// One word; synced as other changes are.
    Result<void> set_root(HeapOffset offset);

    /// All that was written, by users too, is on the medium, while nobody is in a change. system;
    /// would_block.
    Result<void> sync();
    /// A part of it. system; invalid_argument: it does not lie there.
    ///   block   what a heap of the stack family has handed out, or a part of that;
    ///   config_mismatch:
    ///           the heap is of another kind
    ///   bytes   as they lie in memory() of this process
    ///   extent  counted from the beginning of memory(), and not as handles are, which count from
    ///           the beginning of the stack
    Result<void> sync(const StackHandle& block);
    Result<void> sync(std::span<const std::byte> bytes);
    Result<void> sync(const HeapExtent& extent);

    /// Reads everything. Empty: all is right.
    [[nodiscard]] Result<std::vector<HeapFinding>> audit();

private:
    struct Parts;
    explicit HeapFile(std::unique_ptr<Parts> parts);

    std::unique_ptr<Parts> parts_;
};

}  // namespace shmpool
