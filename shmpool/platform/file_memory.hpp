// SPDX-License-Identifier: Apache-2.0
/// A file that is mapped as memory, for one process at a time. Half made, it can not be opened: a
/// new one has no name, or another one, until it is `publish`ed; and all of its blocks are taken
/// when it is made and looked for when it is opened, so that a full disk is an error here, and no
/// SIGBUS later. Who has it open holds a lock that the kernel forgets when he dies.
///
/// Not to be prevented: somebody who truncates the file while it is open makes a touch of what is
/// gone a SIGBUS; and a child of fork() that lives longer than its parent, without another program,
/// holds the lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "shmpool/platform/descriptor.hpp"
#include "shmpool/platform/result.hpp"
#include "shmpool/platform/shared_mapping.hpp"

namespace shmpool {

/// Movable; the memory stays where it is. Every error names the path and what to do.
class FileMemory {
public:
    /// Zeros, which only this process sees. name_taken (there is something of that name),
    /// out_of_memory (the file system has no room), no_permission, invalid_argument, system.
    [[nodiscard]] static Result<FileMemory> create(const std::string& path, std::uint64_t bytes);
    /// What was created is on its medium, and from now on can be opened. name_taken.
    [[nodiscard]] Result<void> publish();

    /// All of it. no_heap (there is no such file), heap_in_use (somebody has it open),
    /// invalid_argument (a symbolic link, a directory, no file at all), no_permission,
    /// out_of_memory (it has holes, and the file system no room for them), system.
    [[nodiscard]] static Result<FileMemory> open(const std::string& path);

    FileMemory(FileMemory&& other) noexcept;
    FileMemory& operator=(FileMemory&& other) noexcept;
    ~FileMemory();

    [[nodiscard]] std::span<std::byte> memory() const { return mapping_.span(); }
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    FileMemory(std::string path, Descriptor file)
        : path_(std::move(path)), file_(std::move(file)) {}

    [[nodiscard]] Result<void> lock();
    [[nodiscard]] Result<void> map(std::uint64_t bytes);
    void forget_hidden_name();

    std::string path_;
    std::string hidden_name_;  ///< Until it is published, where files can not be without a name.
    Descriptor file_;
    Descriptor lock_;
    SharedMapping mapping_;
};

/// What was written there is on its medium: the pages that hold the bytes, of a mapped file. 0, or
/// the errno of what went wrong; then nobody knows what is on the medium.
[[nodiscard]] int sync_to_file(std::span<const std::byte> bytes) noexcept;

}  // namespace shmpool
