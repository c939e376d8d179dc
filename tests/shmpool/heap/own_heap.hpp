// SPDX-License-Identifier: Apache-2.0
/// A heap of a test, in memory of its own that may be mapped more than once.
#pragma once

#include <gmock/gmock.h>
#include <sys/mman.h>

#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "shmpool/heap/byte_heap.hpp"
#include "shmpool/platform/descriptor.hpp"

namespace shmpool::test {

/// Shared with children, and with every further mapping of it.
class HeapMemory {
public:
    /// `alignment`: of every mapping's address. Memory that nobody writes takes no room.
    explicit HeapMemory(std::size_t bytes, std::size_t alignment = page_bytes)
        : file_(::memfd_create("heap", MFD_CLOEXEC)), bytes_(bytes), alignment_(alignment) {
        if (::ftruncate(file_.get(), static_cast<off_t>(bytes)) != 0) std::abort();
        view_ = map();
    }
    ~HeapMemory() {
        for (const auto& one : maps_) ::munmap(one.data(), one.size());
    }
    HeapMemory(const HeapMemory&) = delete;
    HeapMemory& operator=(const HeapMemory&) = delete;

    [[nodiscard]] std::span<std::byte> view() const { return view_; }
    [[nodiscard]] const Descriptor& object() const { return file_; }
    /// The same memory at another address.
    [[nodiscard]] std::span<std::byte> map() {
        const std::span<std::byte> room = reserve(bytes_ + alignment_);
        const auto begin = reinterpret_cast<std::uintptr_t>(room.data());
        std::byte* const aligned = room.data() + ((0 - begin) & (alignment_ - 1));
        void* const address =
            ::mmap(aligned, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file_.get(), 0);
        if (address == MAP_FAILED) std::abort();
        return {aligned, bytes_};
    }

private:
    [[nodiscard]] std::span<std::byte> reserve(std::size_t bytes) {
        void* const address =
            ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (address == MAP_FAILED) std::abort();
        return maps_.emplace_back(static_cast<std::byte*>(address), bytes);
    }

    Descriptor file_;
    std::size_t bytes_;
    std::size_t alignment_;
    std::span<std::byte> view_;
    std::vector<std::span<std::byte>> maps_;
};

/// What the audit finds, as text; empty: nothing.
template <typename Heap>
[[nodiscard]] std::string broken(Heap& heap, HeapHolder holder) {
    const auto findings = heap.audit(holder);
    if (!findings) return std::string(explain(findings.error()));
    std::string text;
    for (const HeapFinding& one : *findings)
        text += std::to_string(one.at) + ": " + one.text + "; ";
    return text;
}

}  // namespace shmpool::test
