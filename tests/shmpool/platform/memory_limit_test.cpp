// SPDX-License-Identifier: Apache-2.0
/// The kernel's own ENOSPC, from a small tmpfs in a mount namespace of the test's child.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "shmpool/platform/atomics.hpp"
#include "shmpool/platform/memory_object.hpp"
#include "tests/shmpool/platform/forked_child.hpp"

namespace shmpool {
namespace {

constexpr int no_right = 77;

int commit_on_a_full_file_system() {
    if (::unshare(CLONE_NEWNS) != 0) return no_right;
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return no_right;
    if (::mount("tmpfs", "/tmp", "tmpfs", 0, "size=64k") != 0) return no_right;
    const Descriptor file(::open("/tmp/memory", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (::ftruncate(file.get(), 128 * page_bytes) != 0) return 1;
    const auto fits = commit(file, 0, 8 * page_bytes);
    if (!fits) return 2;
    const auto too_much = commit(file, 0, 128 * page_bytes);
    if (too_much || too_much.error().code != Errc::out_of_memory) return 3;
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) return 4;
    return status.st_blocks * 512 == 8 * page_bytes ? 0 : 5;  // All or nothing.
}

TEST(Commit, TurnsNoSpaceLeftIntoOutOfMemoryAndUndoesItsPart) {
    const int exit_code = test::ForkedChild(commit_on_a_full_file_system).wait();
    if (exit_code == no_right) GTEST_SKIP() << "needs the right to mount";
    EXPECT_EQ(exit_code, 0);
}

}  // namespace
}  // namespace shmpool
