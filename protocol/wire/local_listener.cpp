// SPDX-License-Identifier: Apache-2.0
/// LocalListener, see local_socket.hpp. Order of bind, all under flock of the directory:
///   1  connect to what is there: accepted -> somebody lives, leave it; refused -> stale
///   2  bind, under another name of the same directory: the file is born closed to all others; then
///      its owner, then its mode. Nobody can connect in between, because nobody listens
///   3  listen
///   4  rename, over the stale file if there is one
/// So a stale file, which is all that tells a next host that peers may have a segment, is there
/// until a living one is: a kill between any two steps, or an error, leaves one of the two. A dead
/// host's file refuses connections whatever else it left, so nothing else needs a look; flock ends
/// with its process; and what a kill has left under the other name is removed by the next host.
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>

#include "protocol/wire/local_socket.hpp"
#include "protocol/wire/socket_address.hpp"

namespace shmpool {
namespace {

/// Decisions take microseconds: whoever holds the lock longer is no host of ours.
constexpr std::chrono::seconds lock_patience{5};
constexpr int lock_retry_ms = 2;

bool means_permission(int error_number) {
    return error_number == EACCES || error_number == EPERM || error_number == EROFS;
}

tl::unexpected<Error> path_error(const std::string& what, int error_number) {
    if (means_permission(error_number)) {
        return fail_errno(Errc::no_permission, what, error_number);
    }
    const bool limit = error_number == EMFILE || error_number == ENFILE;
    return fail_errno(limit ? Errc::descriptor_limit : Errc::system, what, error_number);
}

std::string directory_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

Result<void> check_own(int directory, const std::string& name) {
    struct stat status {};
    if (::fstat(directory, &status) != 0) return path_error("look at " + name, errno);
    if (status.st_uid == ::geteuid() && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0) return {};
    return fail(Errc::no_permission,
                "the directory " + name + " belongs to user " + std::to_string(status.st_uid) +
                    " or is writable by others, so anybody could pose as the host; remove it, or "
                    "set SHMPOOL_RUNTIME_DIR");
}

Result<Descriptor> open_directory(const std::string& path, SocketDirectory rule) {
    const std::string name = directory_of(path);
    bool made = false;
    const mode_t mode = ::geteuid() == 0 ? 0755 : 0700;  // Peers of root's hosts are anybody.
    if (rule != SocketDirectory::must_exist) {
        made = ::mkdir(name.c_str(), mode) == 0;
        if (!made && errno != EEXIST) return path_error("make the directory " + name, errno);
    }
    const int link_rule = rule == SocketDirectory::created_and_own ? O_NOFOLLOW : 0;
    Descriptor directory(::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | link_rule));
    if (!directory) {
        const int error_number = errno;
        if (error_number == ENOENT || error_number == ENOTDIR || error_number == ELOOP) {
            return fail_errno(Errc::invalid_argument,
                              "the directory " + name + " of the socket " + path +
                                  " must exist; make it, or choose another path",
                              error_number);
        }
        return path_error("open the directory " + name, error_number);
    }
    if (made && ::fchmod(directory.get(), mode) != 0) {
        return path_error("set the mode of " + name, errno);
    }
    if (rule == SocketDirectory::created_and_own) {
        if (const auto own = check_own(directory.get(), name); !own) {
            return tl::unexpected(own.error());
        }
    }
    return directory;
}

/// Holds flock on a directory. Unlocks by name, for a child forked meanwhile shares the lock.
class DirectoryLock {
public:
    explicit DirectoryLock(int directory) : directory_(directory) {}
    DirectoryLock(const DirectoryLock&) = delete;
    DirectoryLock& operator=(const DirectoryLock&) = delete;
    ~DirectoryLock() {
        if (held_) ::flock(directory_, LOCK_UN);
    }

    [[nodiscard]] Result<void> take(const std::string& path) {
        const Deadline deadline = Deadline::after(lock_patience);
        while (::flock(directory_, LOCK_EX | LOCK_NB) != 0) {
            if (errno != EWOULDBLOCK && errno != EINTR) {
                return path_error("lock the directory of " + path, errno);
            }
            if (deadline.expired()) {
                return fail(Errc::timed_out,
                            "another process has held the lock on the directory of " + path +
                                " for " + std::to_string(lock_patience.count()) +
                                " s; end it (see /proc/locks), or choose another directory");
            }
            ::poll(nullptr, 0, lock_retry_ms);
        }
        held_ = true;
        return {};
    }

private:
    int directory_;
    bool held_ = false;
};

/// Of the process that listens; a host outside our pid namespace has none.
std::string spell_pid(const Descriptor& connected) {
    const auto credentials = credentials_of_socket_peer(connected);
    if (!credentials || credentials->pid <= 0) return "of unknown pid";
    return "with pid " + std::to_string(credentials->pid);
}

/// `name` is for people, `path` leads there. True: a dead listener's file; false: nothing is there.
Result<bool> is_stale(const std::string& path, const std::string& name) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) return false;
        return path_error("look at " + name, errno);
    }
    if (!S_ISSOCK(status.st_mode)) {
        return fail(Errc::invalid_argument,
                    name + " exists and is not a socket; it is left alone, choose another path");
    }
    auto probe = new_socket(SOCK_NONBLOCK);
    if (!probe) return tl::unexpected(probe.error());
    switch (const int answer = connect_once(probe->get(), path)) {
        case 0:
            return fail(Errc::name_taken, "a host " + spell_pid(*probe) + " already listens on " +
                                              name + "; stop it, or choose another pool name");
        case EAGAIN:
            return fail(Errc::name_taken, "a host already listens on " + name +
                                              " (its queue is full, so its pid is not known)");
        case EPROTOTYPE:
            return fail(Errc::name_taken, "another program already listens on " + name);
        case ECONNREFUSED: return true;
        case ENOENT: return false;
        default: return path_error("look whether a host listens on " + name, answer);
    }
}

/// The name under which the socket of a host is born, one for each user in a directory: only who
/// has the lock uses it. The way by the descriptor fits sun_path however long the directory's is.
class BirthName {
public:
    BirthName(int directory, const std::string& socket_path) {
        const std::string name = ".shmpool-" + std::to_string(::geteuid()) + ".new";
        path_ = "/proc/self/fd/" + std::to_string(directory) + "/" + name;
        name_ = directory_of(socket_path) + "/" + name;
    }
    BirthName(const BirthName&) = delete;
    BirthName& operator=(const BirthName&) = delete;
    ~BirthName() {
        if (used_) ::unlink(path_.c_str());
    }

    /// Removes what a host has left that was killed.
    [[nodiscard]] Result<void> clear() {
        const auto stale = is_stale(path_, name_);
        if (!stale) return tl::unexpected(stale.error());
        if (*stale && ::unlink(path_.c_str()) != 0 && errno != ENOENT) {
            return path_error("remove " + name_ + ", which a dead host has left", errno);
        }
        return {};
    }

    /// Of the file that is born here.
    [[nodiscard]] Result<Descriptor> bind() {
        auto socket = new_socket(SOCK_NONBLOCK);
        if (!socket) return tl::unexpected(socket.error());
        // Open to us: a next host must be able to find out that nobody listens on what we left.
        if (::fchmod(socket->get(), S_IRUSR | S_IWUSR) != 0) {
            return path_error("set the mode of a socket", errno);
        }
        const sockaddr_un address = socket_address(path_);
        const auto* generic = reinterpret_cast<const sockaddr*>(&address);
        if (::bind(socket->get(), generic, sizeof(address)) != 0) {
            return path_error("make the socket " + name_ + " (is /proc mounted?)", errno);
        }
        used_ = true;
        return socket;
    }

    [[nodiscard]] Result<void> rename(const std::string& path, bool replaces_stale) {
        int error_number = rename_unless(path, replaces_stale ? 0 : RENAME_NOREPLACE);
        if (error_number == EINVAL) error_number = rename_unless(path, 0);  // A file system's no.
        if (error_number == EEXIST) {
            return fail(Errc::name_taken, "another program has just taken " + path);
        }
        if (error_number != 0) return path_error("put the socket at " + path, error_number);
        used_ = false;
        return {};
    }

    [[nodiscard]] const std::string& path() const { return path_; }

private:
    [[nodiscard]] int rename_unless(const std::string& path, unsigned rule) const {
        const int done = ::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, path.c_str(), rule);
        return done == 0 ? 0 : errno;
    }

    std::string path_;
    std::string name_;  ///< For people.
    bool used_ = false;
};

/// The owner first: else the mode would be for one who does not own it yet.
Result<void> open_to_the_entitled(const std::string& file, const std::string& path,
                                  const ListenOptions& options) {
    constexpr auto unchanged = static_cast<uid_t>(-1);
    const uid_t user = options.user.value_or(unchanged);
    const gid_t group = options.group.value_or(unchanged);
    if ((options.user || options.group) && ::lchown(file.c_str(), user, group) != 0) {
        return path_error("give the socket " + path + " to another user or group", errno);
    }
    if (::chmod(file.c_str(), options.mode) != 0) {
        return path_error("set the mode of the socket " + path, errno);
    }
    return {};
}

struct Listening {
    Descriptor socket;
    struct stat file {};
};

/// Nothing can fail behind the rename.
Result<Listening> listen_at(const std::string& path, int directory, const ListenOptions& options,
                            bool replaces_stale) {
    BirthName birth(directory, path);
    if (auto cleared = birth.clear(); !cleared) return tl::unexpected(cleared.error());
    auto socket = birth.bind();
    if (!socket) return tl::unexpected(socket.error());
    if (auto opened = open_to_the_entitled(birth.path(), path, options); !opened) {
        return tl::unexpected(opened.error());
    }
    if (::listen(socket->get(), options.backlog) != 0)
        return path_error("listen on " + path, errno);
    Listening listening{*std::move(socket)};
    if (::lstat(birth.path().c_str(), &listening.file) != 0) {
        return path_error("look at the socket of " + path, errno);
    }
    if (auto renamed = birth.rename(path, replaces_stale); !renamed) {
        return tl::unexpected(renamed.error());
    }
    return listening;
}

}  // namespace

Result<LocalListener> LocalListener::bind(const std::string& path, const ListenOptions& options) {
    if (const auto checked = check_socket_path(path); !checked) {
        return tl::unexpected(checked.error());
    }
    auto directory = open_directory(path, options.directory);
    if (!directory) return tl::unexpected(directory.error());
    Descriptor reserve(::open("/", O_PATH | O_CLOEXEC));
    if (!reserve) return path_error("open a descriptor in reserve", errno);

    DirectoryLock lock(directory->get());
    if (const auto taken = lock.take(path); !taken) return tl::unexpected(taken.error());
    const auto stale = is_stale(path, path);
    if (!stale) return tl::unexpected(stale.error());
    auto listening = listen_at(path, directory->get(), options, *stale);
    if (!listening) return tl::unexpected(listening.error());

    LocalListener listener(std::move(listening->socket), *std::move(directory), std::move(reserve),
                           path);
    listener.device_ = listening->file.st_dev;
    listener.inode_ = listening->file.st_ino;
    listener.replaced_stale_ = *stale;
    listener.file_stays_ = *stale;
    return listener;
}

LocalListener::LocalListener(Descriptor socket, Descriptor directory, Descriptor reserve,
                             std::string path)
    : socket_(std::move(socket)),
      directory_(std::move(directory)),
      reserve_(std::move(reserve)),
      path_(std::move(path)),
      process_id_(::getpid()) {}

LocalListener& LocalListener::operator=(LocalListener&& other) noexcept {
    if (this == &other) return *this;
    stop_listening();
    socket_ = std::move(other.socket_);
    directory_ = std::move(other.directory_);
    reserve_ = std::move(other.reserve_);
    path_ = std::move(other.path_);
    device_ = other.device_;
    inode_ = other.inode_;
    process_id_ = other.process_id_;
    replaced_stale_ = other.replaced_stale_;
    file_stays_ = other.file_stays_;
    closer_ = std::move(other.closer_);
    return *this;
}

LocalListener::~LocalListener() {
    stop_listening();
}

/// Who still waits outside may have sent descriptors as well.
void LocalListener::stop_listening() noexcept {
    remove_file();
    if (socket_ && closer_) closer_->close_socket(std::move(socket_));
}

void LocalListener::remove_file() noexcept {
    if (!socket_ || file_stays_ || process_id_ != ::getpid()) return;
    // While we listen, nobody replaces the file; so it goes first, and the socket after it. The
    // look at the inode is for a user who removed the file by hand and started another host.
    const bool locked = ::flock(directory_.get(), LOCK_EX | LOCK_NB) == 0;
    struct stat status {};
    const bool ours =
        ::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_;
    if (ours) ::unlink(path_.c_str());
    if (locked) ::flock(directory_.get(), LOCK_UN);
}

Result<LocalConnection> LocalListener::accept(const Deadline& deadline) {
    for (;;) {
        keep_reserve();
        const int number = ::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC);
        if (number >= 0) return LocalConnection::adopt(Descriptor(number), closer_);
        if (errno == EMFILE || errno == ENFILE) return turn_one_away(errno);
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno != EAGAIN) return path_error("accept a connection on " + path_, errno);
        const auto ready = wait_ready(socket_.get(), POLLIN, deadline, "accept a connection");
        if (!ready) return tl::unexpected(ready.error());
    }
}

/// The closer may take a moment to close whom we have turned away: until then there is none.
void LocalListener::keep_reserve() noexcept {
    if (!reserve_) reserve_ = Descriptor(::open("/", O_PATH | O_CLOEXEC));
}

tl::unexpected<Error> LocalListener::turn_one_away(int error_number) {
    reserve_ = Descriptor();
    const int number = ::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    { const auto away = LocalConnection::adopt(Descriptor(number), closer_); }
    keep_reserve();
    return fail_errno(Errc::descriptor_limit,
                      "a connection on " + path_ +
                          " was turned away: no descriptor left; raise the limit (ulimit -n)",
                      error_number);
}

}  // namespace shmpool
