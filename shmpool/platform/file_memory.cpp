// SPDX-License-Identifier: Apache-2.0
/// See file_memory.hpp.
#include "shmpool/platform/file_memory.hpp"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <atomic>
#include <limits>
#include <utility>

#include "shmpool/platform/atomics.hpp"
#include "shmpool/platform/memory_object.hpp"

namespace shmpool {
namespace {

constexpr mode_t for_its_owner = 0600;

Errc code_of(int error_number) {
    switch (error_number) {
        case EACCES:
        case EPERM:
        case EROFS: return Errc::no_permission;
        case ENOSPC:
        case EDQUOT:
        case EFBIG: return Errc::out_of_memory;
        case ENOENT: return Errc::no_heap;
        case EEXIST: return Errc::name_taken;
        default: return Errc::system;
    }
}

tl::unexpected<Error> fail_at(const std::string& path, const std::string& what, int error_number) {
    return fail_errno(code_of(error_number), what + " '" + path + "'", error_number);
}

std::string folder_of(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

/// Blocks for all of the file, its holes too.
Result<void> take_blocks(const std::string& path, int file, std::uint64_t bytes) {
    struct statvfs room {};
    struct stat now {};
    if (::fstatvfs(file, &room) != 0 || ::fstat(file, &now) != 0) {
        return fail_at(path, "look at", errno);
    }
    const std::uint64_t taken = static_cast<std::uint64_t>(now.st_blocks) * 512;
    const std::uint64_t missing = bytes > taken ? bytes - taken : 0;
    int error_number = ENOSPC;
    if (missing / room.f_frsize < room.f_bavail) {
        do error_number = ::posix_fallocate(file, 0, static_cast<off_t>(bytes));
        while (error_number == EINTR);
    }
    if (error_number == 0) return {};
    return fail_at(path,
                   "take " + std::to_string(missing) +
                       " bytes of the file system (make room there, or ask for less) for",
                   error_number);
}

Result<void> check_is_file(const std::string& path, mode_t mode) {
    if (S_ISREG(mode)) return {};
    const std::string found = S_ISLNK(mode)   ? "a symbolic link; name the file that it leads to"
                              : S_ISDIR(mode) ? "a directory; name a file in it"
                                              : "a device, a pipe or a socket; name a file";
    return fail(Errc::invalid_argument, "'" + path + "' is " + found);
}

/// It is the file's folder that knows its name.
Result<void> sync_folder_of(const std::string& path) {
    const Descriptor folder(::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder || ::fsync(folder.get()) != 0) return fail_at(path, "sync the folder of", errno);
    return {};
}

std::string make_hidden_name(const std::string& path) {
    static std::atomic<std::uint32_t> count{0};
    return path + ".new-" + std::to_string(::getpid()) + "-" +
           std::to_string(count.fetch_add(1, std::memory_order_relaxed));
}

}  // namespace

Result<FileMemory> FileMemory::create(const std::string& path, std::uint64_t bytes) {
    struct stat there {};
    if (::lstat(path.c_str(), &there) == 0) {
        return fail(Errc::name_taken, "'" + path + "' is there already; open it, or remove it");
    }
    if (bytes == 0 || bytes > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max())) {
        return fail(Errc::invalid_argument,
                    "'" + path + "' can not have " + std::to_string(bytes) + " bytes");
    }
    const std::string folder = folder_of(path);
    std::string hidden;
    int number = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, for_its_owner);
    if (number < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
        hidden = make_hidden_name(path);
        number = ::open(hidden.c_str(), O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR | O_CLOEXEC,
                        for_its_owner);
    }
    if (number < 0) return fail_at(path, "make in its folder the file", errno);
    FileMemory made(path, Descriptor(number));
    made.hidden_name_ = hidden;
    if (auto taken = take_blocks(path, number, bytes); !taken) {
        return tl::unexpected(taken.error());
    }
    if (auto locked = made.lock(); !locked) return tl::unexpected(locked.error());
    if (auto mapped = made.map(bytes); !mapped) return tl::unexpected(mapped.error());
    return made;
}

Result<void> FileMemory::publish() {
    if (const int error_number = sync_to_file(memory()); error_number != 0) {
        return fail_at(path_, "sync", error_number);
    }
    if (::fsync(file_.get()) != 0) return fail_at(path_, "sync", errno);
    const std::string own = "/proc/self/fd/" + std::to_string(file_.get());
    const std::string& from = hidden_name_.empty() ? own : hidden_name_;
    if (::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW) != 0) {
        return fail_at(path_, "give its name to (remove what is there, if anything)", errno);
    }
    forget_hidden_name();
    return sync_folder_of(path_);
}

Result<FileMemory> FileMemory::open(const std::string& path) {
    struct stat found {};
    if (::lstat(path.c_str(), &found) != 0) return fail_at(path, "find", errno);
    if (auto is_file = check_is_file(path, found.st_mode); !is_file) {
        return tl::unexpected(is_file.error());
    }
    Descriptor file(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file) return fail_at(path, "open for reading and writing", errno);
    FileMemory opened(path, std::move(file));
    if (::fstat(opened.file_.get(), &found) != 0) return fail_at(path, "look at", errno);
    if (auto is_file = check_is_file(path, found.st_mode); !is_file) {  // Somebody was quick.
        return tl::unexpected(is_file.error());
    }
    if (auto locked = opened.lock(); !locked) return tl::unexpected(locked.error());
    if (::fstat(opened.file_.get(), &found) != 0) return fail_at(path, "look at", errno);
    const auto bytes = static_cast<std::uint64_t>(found.st_size);
    if (bytes == 0) return fail(Errc::region_too_small, "'" + path + "' is empty; remove it");
    if (auto taken = take_blocks(path, opened.file_.get(), bytes); !taken) {
        return tl::unexpected(taken.error());
    }
    if (auto mapped = opened.map(bytes); !mapped) return tl::unexpected(mapped.error());
    return opened;
}

Result<void> FileMemory::lock() {
    auto locked = lock_object(file_);
    if (locked) {
        lock_ = std::move(*locked);
        return {};
    }
    if (locked.error().code != Errc::name_taken) {
        return fail(locked.error().code, "lock '" + path_ + "': " + locked.error().message);
    }
    return fail(Errc::heap_in_use,
                "'" + path_ +
                    "' is open already, here or in another process; one at a time can "
                    "have it, let that one close it");
}

Result<void> FileMemory::map(std::uint64_t bytes) {
    auto mapped = SharedMapping::map(file_, bytes, Access::read_write, large_page_bytes);
    if (!mapped) return fail(mapped.error().code, "'" + path_ + "': " + mapped.error().message);
    mapping_ = std::move(*mapped);
    return {};
}

void FileMemory::forget_hidden_name() {
    if (!hidden_name_.empty()) ::unlink(hidden_name_.c_str());
    hidden_name_.clear();
}

FileMemory::FileMemory(FileMemory&& other) noexcept
    : path_(std::move(other.path_)),
      hidden_name_(std::exchange(other.hidden_name_, {})),
      file_(std::move(other.file_)),
      lock_(std::move(other.lock_)),
      mapping_(std::move(other.mapping_)) {}

FileMemory& FileMemory::operator=(FileMemory&& other) noexcept {
    if (this != &other) {
        forget_hidden_name();
        path_ = std::move(other.path_);
        hidden_name_ = std::exchange(other.hidden_name_, {});
        mapping_ = std::move(other.mapping_);
        lock_ = std::move(other.lock_);
        file_ = std::move(other.file_);
    }
    return *this;
}

FileMemory::~FileMemory() {
    forget_hidden_name();
}

int sync_to_file(std::span<const std::byte> bytes) noexcept {
    const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data());
    const std::uintptr_t page = begin & ~(page_bytes - 1);
    void* const address = reinterpret_cast<void*>(page);
    return ::msync(address, bytes.size() + (begin - page), MS_SYNC) == 0 ? 0 : errno;
}

}  // namespace shmpool
