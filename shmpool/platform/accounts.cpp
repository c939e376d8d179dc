// SPDX-License-Identifier: Apache-2.0
/// See accounts.hpp. The calls that end in _r, because those without share one buffer.
#include "shmpool/platform/accounts.hpp"

#include <errno.h>
#include <grp.h>
#include <pwd.h>

namespace shmpool {
namespace {

constexpr std::size_t first_room_bytes = 1024;
constexpr std::size_t last_room_bytes = std::size_t{1} << 20;  // A group may have many members.

/// `look(room, found)` is one of the two calls: an error number, and null in `found` if none is.
template <typename Entry, typename Look>
Result<Entry> look_up(const char* kind, const std::string& name, Look look) {
    std::vector<char> room(first_room_bytes);
    Entry entry{};
    Entry* found = nullptr;
    int error_number = look(entry, room, found);
    while (error_number == ERANGE && room.size() < last_room_bytes) {
        room.resize(2 * room.size());
        error_number = look(entry, room, found);
    }
    if (found != nullptr) return entry;
    // What "not found" is, differs between the modules that look: see getpwnam(3).
    const bool absent = error_number == 0 || error_number == ENOENT || error_number == ESRCH ||
                        error_number == EBADF || error_number == EPERM;
    const std::string what = std::string(kind) + " \"" + name + "\"";
    if (absent) return fail(Errc::invalid_argument, "there is no " + what + " on this machine");
    return fail_errno(Errc::system, "look for " + what, error_number);
}

}  // namespace

Result<uid_t> user_id_of(const std::string& name) {
    const auto look = [&](passwd& entry, std::vector<char>& room, passwd*& found) {
        return ::getpwnam_r(name.c_str(), &entry, room.data(), room.size(), &found);
    };
    return look_up<passwd>("user", name, look).map([](const passwd& entry) {
        return entry.pw_uid;
    });
}

Result<gid_t> group_id_of(const std::string& name) {
    const auto look = [&](group& entry, std::vector<char>& room, group*& found) {
        return ::getgrnam_r(name.c_str(), &entry, room.data(), room.size(), &found);
    };
    return look_up<group>("group", name, look).map([](const group& entry) { return entry.gr_gid; });
}

std::vector<std::string> listed_users() {
    std::vector<std::string> names;
    ::setpwent();
    while (const passwd* const entry = ::getpwent()) names.emplace_back(entry->pw_name);
    ::endpwent();
    return names;
}

std::vector<std::string> listed_groups() {
    std::vector<std::string> names;
    ::setgrent();
    while (const group* const entry = ::getgrent()) names.emplace_back(entry->gr_name);
    ::endgrent();
    return names;
}

}  // namespace shmpool
