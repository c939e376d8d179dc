// SPDX-License-Identifier: Apache-2.0
/// A heap of a test, in memory of its own that may be mapped more than once.
#pragma once

#include <gmock/gmock.h>
#include <sys/mman.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "shmpool/heap/byte_heap.hpp"

namespace shmpool::test {

/// Shared with children, and with every further mapping of it.
class HeapMemory {
public:
    explicit HeapMemory(std::size_t bytes)
        : file_(::memfd_create("heap", MFD_CLOEXEC)), bytes_(bytes) {
        if (::ftruncate(file_, static_cast<off_t>(bytes)) != 0) std::abort();
        view_ = map();
    }
    ~HeapMemory() {
        for (const auto& one : maps_) ::munmap(one.data(), one.size());
        ::close(file_);
    }
    HeapMemory(const HeapMemory&) = delete;
    HeapMemory& operator=(const HeapMemory&) = delete;

    [[nodiscard]] std::span<std::byte> view() const { return view_; }
    /// The same memory at another address.
    [[nodiscard]] std::span<std::byte> map() {
        void* const address = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
        if (address == MAP_FAILED) std::abort();
        return maps_.emplace_back(static_cast<std::byte*>(address), bytes_);
    }

private:
    int file_;
    std::size_t bytes_;
    std::span<std::byte> view_;
    std::vector<std::span<std::byte>> maps_;
};

/// What the audit finds, as text; empty: nothing.
[[nodiscard]] inline std::string broken(ByteHeap& heap, HeapHolder holder) {
    const auto findings = heap.audit(holder);
    if (!findings) return std::string(explain(findings.error()));
    std::string text;
    for (const HeapFinding& one : *findings)
        text += std::to_string(one.at) + ": " + one.text + "; ";
    return text;
}

}  // namespace shmpool::test
