// SPDX-License-Identifier: Apache-2.0
#include "shmpool/heap/heap_plan.hpp"

#include <algorithm>
#include <bit>

#include "shmpool/heap/built_kinds.hpp"

namespace shmpool {
namespace {

Result<void> check_alignment(std::span<const std::byte> memory, std::uint64_t map_alignment) {
    if (!std::has_single_bit(map_alignment) || map_alignment < page_bytes) {
        return fail(Errc::invalid_argument, "alignment (map_alignment) is " +
                                                std::to_string(map_alignment) +
                                                "; it must be a power of two, and " +
                                                std::to_string(page_bytes) + " or more");
    }
    const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
    if (address % map_alignment == 0) return {};
    return fail(Errc::misaligned_base, "the memory of the heap is not aligned to " +
                                           std::to_string(map_alignment) +
                                           " bytes, as it is to be for everybody who opens it");
}

}  // namespace

Result<HeapExtent> begin_heap(std::span<std::byte> memory, const HeapPlan& plan,
                              const HeapOptions& options) {
    if (auto good = check_alignment(memory, options.map_alignment); !good) {
        return tl::unexpected(good.error());
    }
    const HeapOffset first_free = plan.first_free();
    const std::uint64_t backed = options.backed_bytes != 0
                                     ? std::min<std::uint64_t>(options.backed_bytes, memory.size())
                                     : memory.size();
    HeapExtent region = options.first_region;
    if (region.bytes == 0) region = {first_free, backed - std::min(backed, first_free)};
    if (backed < first_free || region.offset < first_free) {
        return fail(Errc::region_too_small, "a heap of this kind and size keeps the first " +
                                                std::to_string(first_free) + " bytes for itself; " +
                                                std::to_string(backed) +
                                                " are there; make its size larger");
    }
    std::ranges::fill(memory.first(first_free), std::byte{0});
    auto& header = *reinterpret_cast<HeapHeader*>(memory.data());
    header.layout_version = heap_layout_version;
    header.kind = static_cast<std::uint32_t>(plan.kind);
    header.memory_bytes = memory.size();
    header.journal_offset = HeapPlan::journal_offset;
    header.journal_limit = plan.journal_limit;
    header.engine_offset = plan.engine_offset();
    header.map_alignment = options.map_alignment;
    header.owned = options.owned ? 1 : 0;
    std::ranges::copy(plan.settings, header.settings);
    return region;
}

Error why_not_begun(const HeapPlan& plan, std::span<const std::byte> memory, Errc code) {
    if (code != Errc::region_too_small) return to_error(code);
    return {code, "a heap of kind " + std::string(name_of(plan.kind)) + " keeps the first " +
                      std::to_string(plan.first_free()) + " of its " +
                      std::to_string(memory.size()) +
                      " bytes for itself, and has no room behind them for what it hands out; "
                      "make its size larger"};
}

void publish_heap(std::span<std::byte> memory) {
    auto& header = *reinterpret_cast<HeapHeader*>(memory.data());
    header.magic.store(heap_magic, std::memory_order_release);  // [R-heap-format]
}

Result<void> check_page_bytes(std::uint64_t bytes_per_page, std::uint64_t least,
                              std::uint64_t map_alignment) {
    if (std::has_single_bit(bytes_per_page) && bytes_per_page >= least &&
        bytes_per_page <= map_alignment) {
        return {};
    }
    return fail(Errc::invalid_argument,
                "page_size (bytes_per_page) is " + std::to_string(bytes_per_page) +
                    "; it must be a power of two, " + std::to_string(least) +
                    " or more, and no more than the alignment (map_alignment), which is " +
                    std::to_string(map_alignment));
}

Result<HeapKind> kind_of_heap(std::span<const std::byte> memory) {
    if (memory.size() < sizeof(HeapHeader)) {
        return fail(Errc::region_too_small,
                    "no heap lies in " + std::to_string(memory.size()) + " bytes");
    }
    if (auto good = check_alignment(memory, page_bytes); !good) {
        return tl::unexpected(good.error());
    }
    const auto& header = *reinterpret_cast<const HeapHeader*>(memory.data());
    if (header.magic.load(std::memory_order_acquire) != heap_magic) {  // [A-heap-format]
        return fail(Errc::wrong_magic, "no heap begins there");
    }
    if (header.layout_version != heap_layout_version) {
        return fail(Errc::wrong_layout_version,
                    "the heap has layout version " + std::to_string(header.layout_version) +
                        ", this build knows " + std::to_string(heap_layout_version));
    }
    const std::uint32_t kind = header.kind;
    const bool is_known = name_of(HeapKind{kind}) != name_of(HeapKind::none);
    if (is_known && !is_built(HeapKind{kind})) return not_built(HeapKind{kind});
    if (is_known) return HeapKind{kind};
    return fail(Errc::unsupported,
                "this build knows no heap of kind number " + std::to_string(kind));
}

tl::unexpected<Error> wrong_kind(HeapKind found, const std::string& wanted) {
    return fail(Errc::config_mismatch, "the heap is of kind " + std::string(name_of(found)) +
                                           ", but " + wanted +
                                           " was wanted; open it as what it is");
}

Result<void> check_header(std::span<const std::byte> memory, const HeapPlan& plan) {
    const auto& header = *reinterpret_cast<const HeapHeader*>(memory.data());
    if (header.memory_bytes != memory.size() || header.journal_offset != HeapPlan::journal_offset ||
        header.journal_limit != plan.journal_limit ||
        header.engine_offset != plan.engine_offset() || memory.size() < plan.first_free()) {
        return fail(Errc::damaged_header, "the header of the heap does not describe the " +
                                              std::to_string(memory.size()) +
                                              " bytes that it lies in");
    }
    return check_alignment(memory, header.map_alignment);
}

}  // namespace shmpool
