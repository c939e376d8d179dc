// SPDX-License-Identifier: Apache-2.0
/// Memory without a name in the file system (memfd): it lives as long as a descriptor or a mapping
/// of it, so nothing is left behind whoever dies. Created at its maximum size, sparse, and sealed
/// against any change of size: a mapping of it can not be cut off under its reader. What is used is
/// committed first, so that lack of memory is an error here and not a SIGBUS in a peer.
#pragma once

#include <cstdint>
#include <string>

#include "shmpool/platform/descriptor.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool {

/// A sparse, zeroed object of `bytes`, close-on-exec, sealed SHRINK|GROW|SEAL. `name` is seen in
/// /proc only. Pre: bytes > 0. Errc::descriptor_limit, invalid_argument, system.
[[nodiscard]] Result<Descriptor> create_memory_object(const std::string& name, std::uint64_t bytes);

/// Backs [offset, offset + bytes) with memory; what is backed already stays as it is. All or
/// nothing. Errc::out_of_memory names what was asked and what is available; invalid_argument if the
/// range does not lie in the object.
[[nodiscard]] Result<void> commit(const Descriptor& object, std::uint64_t offset,
                                  std::uint64_t bytes);

/// The two halves of `commit`, for who commits in pieces: to ask whether there is enough takes a
/// quarter as long as to take a piece. Errors as of `commit`.
[[nodiscard]] Result<void> check_memory_for(const Descriptor& object, std::uint64_t offset,
                                            std::uint64_t bytes);
[[nodiscard]] Result<void> commit_checked(const Descriptor& object, std::uint64_t offset,
                                          std::uint64_t bytes);

/// Gives the memory of the range back; it reads as zero from then on and must be committed again
/// before it is used. Whole pages only.
[[nodiscard]] Result<void> punch(const Descriptor& object, std::uint64_t offset,
                                 std::uint64_t bytes);

/// How much of it has memory; 0 if the kernel does not say.
[[nodiscard]] std::uint64_t backed_bytes(const Descriptor& object) noexcept;

[[nodiscard]] Result<std::uint64_t> size_of(const Descriptor& object);

/// Whether what came from elsewhere is memory that can no longer change its size. Errc::refused if
/// not. To be asked before anything else: it never waits, whatever file that is.
[[nodiscard]] Result<void> check_seals(const Descriptor& object);

/// A second open file of the same object, for reading only: with locks and rights of its own.
[[nodiscard]] Result<Descriptor> open_again_for_reading(const Descriptor& object);

/// Whether this open file allows to write: what its receiver can do, by the kernel's word.
[[nodiscard]] bool is_open_for_writing(const Descriptor& object) noexcept;

/// Locks an object against everybody else who locks it so, as long as the returned open file is
/// open: to this process's end at the latest, if it is not passed on. Errc::name_taken: another
/// process has the lock.
[[nodiscard]] Result<Descriptor> lock_object(const Descriptor& object);

/// Whether both are open files of one object. Never waits, whatever file one of them is.
[[nodiscard]] bool is_same_object(const Descriptor& one, const Descriptor& other) noexcept;

}  // namespace shmpool
