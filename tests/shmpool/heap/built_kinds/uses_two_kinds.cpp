// SPDX-License-Identifier: Apache-2.0
/// Linked with a build that has tlsf and ids only; see build_two_kinds. Exit code 0: it is so.
#include <sys/mman.h>

#include <cstdio>
#include <cstring>

#include "shmpool/heap/byte_heap.hpp"
#include "shmpool/heap/heap_format.hpp"
#include "shmpool/heap/page_heap.hpp"

using namespace shmpool;

namespace {

constexpr std::size_t bytes = 1 << 20;

int failed(const char* what) {
    std::fprintf(stderr, "%s\n", what);
    return 1;
}

}  // namespace

int main() {
    void* const memory =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return failed("no memory");
    const std::span<std::byte> view(static_cast<std::byte*>(memory), bytes);
    if (!format_heap(view, HeapKind::tlsf)) return failed("tlsf is not there");
    if (!open_byte_heap(view).value()->allocate(1, 100, 8)) return failed("tlsf does not work");
    for (const HeapKind kind : heap_kinds) {
        if (kind == HeapKind::tlsf || kind == HeapKind::ids) continue;
        const auto made = format_heap(view, kind);
        if (made || made.error().code != Errc::unsupported) return failed("a kind is not refused");
        if (made.error().message.find(name_of(kind)) == std::string::npos) {
            return failed("a kind is not refused by its name");
        }
    }
    // As a program with other kinds would have made it.
    reinterpret_cast<HeapHeader*>(view.data())->kind =
        static_cast<std::uint32_t>(HeapKind::bitmap_pages);
    const auto opened = open_page_heap(view);
    if (opened || opened.error().code != Errc::unsupported) return failed("it can be opened");
    return 0;
}
