// SPDX-License-Identifier: Apache-2.0
/// See memory_object.hpp. fallocate(2) works under a GROW seal, because it does not change the
/// size, and undoes itself when it fails half-way. A memfd has no limit of its own, so that the
/// kernel would end processes rather than return ENOSPC; therefore `commit` compares first.
#include "shmpool/platform/memory_object.hpp"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include "shmpool/platform/available_memory.hpp"

namespace shmpool {
namespace {

constexpr int wanted_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
constexpr unsigned noexec_seal = 0x0008U;  // MFD_NOEXEC_SEAL, Linux 6.3; older headers lack it.
constexpr std::uint64_t bytes_max = std::numeric_limits<off_t>::max();

std::string range_text(std::uint64_t offset, std::uint64_t bytes) {
    return std::to_string(bytes) + " bytes at offset " + std::to_string(offset);
}

tl::unexpected<Error> fail_commit(std::uint64_t offset, std::uint64_t bytes) {
    return fail(Errc::out_of_memory,
                "commit " + range_text(offset, bytes) + ": there is not enough memory, about " +
                    std::to_string(available_memory_bytes()) +
                    " bytes are available; ask for less, or free memory or raise the limit of the "
                    "control group");
}

/// How much of the range has no memory yet.
std::uint64_t missing_bytes(int object, std::uint64_t offset, std::uint64_t bytes) {
    const auto end = static_cast<off_t>(offset + bytes);
    std::uint64_t missing = 0;
    for (auto at = static_cast<off_t>(offset); at < end;) {
        const off_t data = std::min(::lseek(object, at, SEEK_DATA), end);
        if (data < 0) return missing + static_cast<std::uint64_t>(end - at);  // ENXIO: all hole.
        missing += static_cast<std::uint64_t>(std::max(data - at, off_t{0}));
        const off_t hole = ::lseek(object, std::max(data, at), SEEK_HOLE);
        if (data >= end || hole < 0) break;
        at = std::max(hole, at + 1);
    }
    return missing;
}

int allocate(int object, int mode, std::uint64_t offset, std::uint64_t bytes) {
    for (;;) {
        const int result =
            ::fallocate(object, mode, static_cast<off_t>(offset), static_cast<off_t>(bytes));
        if (result == 0) return 0;
        if (errno != EINTR) return errno;
    }
}

Result<void> check_range(const Descriptor& object, std::uint64_t offset, std::uint64_t bytes) {
    const auto size = size_of(object);
    if (!size) return tl::unexpected(size.error());
    if (bytes == 0 || offset > *size || bytes > *size - offset) {
        return fail(Errc::invalid_argument, range_text(offset, bytes) +
                                                " do not lie in a memory object of " +
                                                std::to_string(*size) + " bytes");
    }
    return {};
}

}  // namespace

Result<Descriptor> create_memory_object(const std::string& name, std::uint64_t bytes) {
    if (bytes == 0 || bytes > bytes_max) {
        return fail(Errc::invalid_argument, "memory object " + name + " of " +
                                                std::to_string(bytes) +
                                                " bytes: must be more than 0 and less than 2^63");
    }
    constexpr unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    Descriptor object(::memfd_create(name.c_str(), flags | noexec_seal));
    if (!object && errno == EINVAL) object = Descriptor(::memfd_create(name.c_str(), flags));
    if (!object) {
        const Errc code =
            errno == EMFILE || errno == ENFILE ? Errc::descriptor_limit : Errc::system;
        return fail_errno(code, "create memory object " + name, errno);
    }
    if (::ftruncate(object.get(), static_cast<off_t>(bytes)) != 0) {
        const std::string what =
            "size memory object " + name + " to " + std::to_string(bytes) + " bytes";
        if (errno == EFBIG) {
            return fail(Errc::invalid_argument,
                        what +
                            ": larger than a file of this process may be; raise its limit of "
                            "file sizes (ulimit -f)");
        }
        return fail_errno(errno == EINVAL ? Errc::invalid_argument : Errc::system, what, errno);
    }
    if (::fcntl(object.get(), F_ADD_SEALS, wanted_seals) != 0) {
        return fail_errno(Errc::system, "seal memory object " + name, errno);
    }
    return object;
}

Result<void> check_memory_for(const Descriptor& object, std::uint64_t offset, std::uint64_t bytes) {
    if (auto lies_inside = check_range(object, offset, bytes); !lies_inside) return lies_inside;
    if (missing_bytes(object.get(), offset, bytes) <= available_memory_bytes()) return {};
    return fail_commit(offset, bytes);
}

Result<void> commit(const Descriptor& object, std::uint64_t offset, std::uint64_t bytes) {
    if (auto enough = check_memory_for(object, offset, bytes); !enough) return enough;
    return commit_checked(object, offset, bytes);
}

Result<void> commit_checked(const Descriptor& object, std::uint64_t offset, std::uint64_t bytes) {
    if (auto lies_inside = check_range(object, offset, bytes); !lies_inside) return lies_inside;
    const int error_number = allocate(object.get(), 0, offset, bytes);
    if (error_number == ENOSPC || error_number == ENOMEM) return fail_commit(offset, bytes);
    if (error_number != 0) {
        return fail_errno(Errc::system, "commit " + range_text(offset, bytes), error_number);
    }
    return {};
}

Result<void> punch(const Descriptor& object, std::uint64_t offset, std::uint64_t bytes) {
    if (auto lies_inside = check_range(object, offset, bytes); !lies_inside) return lies_inside;
    const int error_number =
        allocate(object.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes);
    if (error_number != 0) {
        return fail_errno(Errc::system, "give back " + range_text(offset, bytes), error_number);
    }
    return {};
}

std::uint64_t backed_bytes(const Descriptor& object) noexcept {
    constexpr std::uint64_t block_bytes = 512;  // Whatever the file system has.
    struct stat status {};
    if (::fstat(object.get(), &status) != 0) return 0;
    return static_cast<std::uint64_t>(status.st_blocks) * block_bytes;
}

Result<std::uint64_t> size_of(const Descriptor& object) {
    struct stat status {};
    if (::fstat(object.get(), &status) != 0) {
        return fail_errno(Errc::system, "look at descriptor " + std::to_string(object.get()),
                          errno);
    }
    return static_cast<std::uint64_t>(status.st_size);
}

Result<void> check_seals(const Descriptor& object) {
    const int seals = ::fcntl(object.get(), F_GET_SEALS);
    if (seals < 0 || (seals & wanted_seals) != wanted_seals) {
        return fail(Errc::refused, "descriptor " + std::to_string(object.get()) +
                                       " is no memory sealed against a change of its size; the "
                                       "other side must create it with seals SHRINK, GROW, SEAL");
    }
    return {};
}

Result<Descriptor> open_again_for_reading(const Descriptor& object) {
    const std::string path = "/proc/self/fd/" + std::to_string(object.get());
    Descriptor result(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (result) return result;
    const bool full = errno == EMFILE || errno == ENFILE;
    return fail_errno(full ? Errc::descriptor_limit : Errc::system,
                      "open memory for reading through " + path, errno);
}

bool is_open_for_writing(const Descriptor& object) noexcept {
    const int flags = ::fcntl(object.get(), F_GETFL);
    return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

Result<Descriptor> lock_object(const Descriptor& object) {
    auto lock = open_again_for_reading(object);
    if (!lock) return lock;
    // flock, because it asks for no right to write and belongs to this one open file.
    if (::flock(lock->get(), LOCK_EX | LOCK_NB) == 0) return lock;
    if (errno == EWOULDBLOCK) return fail(Errc::name_taken, "another process has this memory");
    return fail_errno(Errc::system, "lock memory", errno);
}

bool is_same_object(const Descriptor& one, const Descriptor& other) noexcept {
    // A file system may take its time over fstat; what has seals is memory, which does not.
    if (::fcntl(one.get(), F_GET_SEALS) < 0 || ::fcntl(other.get(), F_GET_SEALS) < 0) return false;
    struct stat first {};
    struct stat second {};
    return ::fstat(one.get(), &first) == 0 && ::fstat(other.get(), &second) == 0 &&
           first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

}  // namespace shmpool
