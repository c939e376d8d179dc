// SPDX-License-Identifier: Apache-2.0
/// Work of a test in a child process that has become another user, with groups of its own. What it
/// found out comes back as text. Needs root.
#pragma once

#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <exception>
#include <functional>
#include <string>
#include <vector>

namespace shmpool::test {

struct OtherUser {
    uid_t uid = 65534;
    gid_t gid = 65534;
    std::vector<gid_t> groups;
};

/// No right of root is left; the kernel drops the capabilities with the last user number of root.
[[nodiscard]] inline bool become(const OtherUser& user) {
    return ::setgroups(user.groups.size(), user.groups.data()) == 0 &&
           ::setresgid(user.gid, user.gid, user.gid) == 0 &&
           ::setresuid(user.uid, user.uid, user.uid) == 0;
}

/// What `work` returns, or the text of what it threw. The child ends without the test's own ends.
[[nodiscard]] inline std::string as_user(const OtherUser& user,
                                         const std::function<std::string()>& work) {
    std::array<int, 2> pipe{};
    if (::pipe(pipe.data()) != 0) return "no pipe";
    const pid_t child = ::fork();
    if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        std::string text = "could not become another user";
        try {
            if (become(user)) text = work();
        } catch (const std::exception& problem) {
            text = problem.what();
        }
        ::_exit(::write(pipe[1], text.data(), text.size()) < 0 ? 1 : 0);
    }
    ::close(pipe[1]);
    std::string text;
    std::array<char, 4096> part{};
    for (ssize_t length = 0; (length = ::read(pipe[0], part.data(), part.size())) > 0;) {
        text.append(part.data(), static_cast<std::size_t>(length));
    }
    ::close(pipe[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? "killed by signal " + std::to_string(WTERMSIG(status)) : text;
}

}  // namespace shmpool::test
