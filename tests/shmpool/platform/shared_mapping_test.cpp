// SPDX-License-Identifier: Apache-2.0
/// What the kernel says of our mappings (/proc/self/smaps), and what it lets through them.
#include "shmpool/platform/shared_mapping.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <utility>

#include "shmpool/platform/atomics.hpp"
#include "shmpool/platform/memory_object.hpp"

namespace shmpool {
namespace {

Descriptor object_of_two_pages() {
    return std::move(*create_memory_object("shmpool-test", 2 * page_bytes));
}

SharedMapping mapping_of(const Descriptor& object, Access access = Access::read_write) {
    return std::move(*SharedMapping::map(object, 2 * page_bytes, access));
}

bool is_mapped(const void* address) {
    unsigned char resident = 0;
    return ::mincore(const_cast<void*>(address), page_bytes, &resident) == 0;
}

/// The VmFlags of the mapping that begins at `base`.
std::string flags_of(const void* base) {
    char start[32];
    std::snprintf(start, sizeof(start), "%lx-", reinterpret_cast<unsigned long>(base));
    std::ifstream file("/proc/self/smaps");
    bool found = false;
    for (std::string line; std::getline(file, line);) {
        found = found || line.starts_with(start);
        if (found && line.starts_with("VmFlags:")) return line + " ";
    }
    return {};
}

/// Lets the kernel write one byte there; it says no where we would get a signal.
bool is_writable(std::byte* address) {
    return ::syscall(SYS_getrandom, address, 1, 0) == 1;
}

TEST(SharedMapping, ShowsWhatAnotherMappingOfTheObjectWrites) {
    const Descriptor object = object_of_two_pages();
    const SharedMapping writer = mapping_of(object);
    const SharedMapping reader = mapping_of(object, Access::read_only);
    writer.base()[page_bytes] = std::byte{42};
    EXPECT_EQ(reader.base()[page_bytes], std::byte{42});
    EXPECT_EQ(reader.bytes(), 2 * page_bytes);
    EXPECT_EQ(reader.span().size(), 2 * page_bytes);
}

TEST(SharedMapping, IsWritableOnlyWhenAskedFor) {
    const Descriptor object = object_of_two_pages();
    EXPECT_TRUE(is_writable(mapping_of(object, Access::read_write).base()));
    EXPECT_FALSE(is_writable(mapping_of(object, Access::read_only).base()));
}

TEST(SharedMapping, IsLeftOutOfChildrenAndCoreDumps) {
    const SharedMapping mapping = mapping_of(object_of_two_pages());
    const std::string flags = flags_of(mapping.base());
    EXPECT_NE(flags.find(" dc "), std::string::npos) << "do not copy on fork: " << flags;
    EXPECT_NE(flags.find(" dd "), std::string::npos) << "do not dump: " << flags;
}

TEST(SharedMapping, OutlivesTheDescriptor) {
    const SharedMapping mapping = mapping_of(object_of_two_pages());
    mapping.base()[0] = std::byte{1};
    EXPECT_EQ(mapping.base()[0], std::byte{1});
}

TEST(SharedMapping, IsUnmappedAtItsEnd) {
    const std::byte* base = nullptr;
    {
        const SharedMapping mapping = mapping_of(object_of_two_pages());
        base = mapping.base();
        ASSERT_TRUE(is_mapped(base));
    }
    EXPECT_FALSE(is_mapped(base));
}

TEST(SharedMapping, KeepsItsAddressWhenItIsMoved) {
    SharedMapping from = mapping_of(object_of_two_pages());
    std::byte* const base = from.base();
    SharedMapping to;
    to = std::move(from);
    EXPECT_EQ(to.base(), base);
    EXPECT_TRUE(is_mapped(base));
    EXPECT_EQ(from.base(), nullptr);  // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(from.bytes(), 0U);
}

TEST(SharedMapping, RefusesMoreBytesThanTheObjectHas) {
    const Descriptor object = object_of_two_pages();
    for (const std::uint64_t bytes : {std::uint64_t{0}, std::uint64_t{2 * page_bytes + 1}}) {
        const auto mapping = SharedMapping::map(object, bytes, Access::read_only);
        ASSERT_FALSE(mapping.has_value());
        EXPECT_EQ(mapping.error().code, Errc::invalid_argument);
    }
}

}  // namespace
}  // namespace shmpool
