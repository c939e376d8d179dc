// SPDX-License-Identifier: Apache-2.0
/// See heap_options.hpp. An option that has its default value was not given.
#include "shmpool/heap/heap_options.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace shmpool {
namespace {

struct Option {
    const char* name;
    std::uint64_t HeapOptions::*value;
    std::array<HeapKind, 3> kinds;  ///< That have it.

    [[nodiscard]] constexpr bool is_of(HeapKind kind) const {
        return std::ranges::find(kinds, kind) != kinds.end();
    }
    [[nodiscard]] std::string says(const HeapOptions& options) const {
        return std::string(name) + " is " + std::to_string(options.*value);
    }
};

constexpr Option page_size{"page_size (bytes_per_page)",
                           &HeapOptions::bytes_per_page,
                           {HeapKind::bitmap_pages, HeapKind::page_chain, HeapKind::slab_cache}};
constexpr Option block_size{"block_size (block_bytes)",
                            &HeapOptions::block_bytes,
                            {HeapKind::slab_stack, HeapKind::checked_slab, HeapKind::slab_cache}};
constexpr Option first_id{"first_id", &HeapOptions::first_id, {HeapKind::ids}};
constexpr Option ids{"ids (id_count)", &HeapOptions::id_count, {HeapKind::ids}};
constexpr Option ids_max{"ids_max (id_capacity)", &HeapOptions::id_capacity, {HeapKind::ids}};

std::string names_of(const std::array<HeapKind, 3>& kinds) {
    std::string names;
    for (const HeapKind kind : kinds) {
        if (kind != HeapKind::none) {
            names += (names.empty() ? "" : ", ") + std::string(name_of(kind));
        }
    }
    return names;
}

Result<void> check_is_of_kind(HeapKind kind, const Option& option, const HeapOptions& options) {
    if (option.is_of(kind) || options.*option.value == HeapOptions{}.*option.value) return {};
    return fail(Errc::invalid_argument,
                option.says(options) + ", which a heap of kind " + std::string(name_of(kind)) +
                    " does not have; leave it out, or choose a kind that has it: " +
                    names_of(option.kinds));
}

Result<void> check_ids(const HeapOptions& options) {
    if (options.id_count == 0) {
        return fail(Errc::invalid_argument,
                    ids.says(options) + "; say how many ids the heap has, one or more");
    }
    if (options.id_capacity != 0 && options.id_capacity < options.id_count) {
        return fail(Errc::invalid_argument, ids_max.says(options) + ", but " + ids.says(options) +
                                                "; make it as many or more, or leave it out");
    }
    return {};
}

}  // namespace

Result<void> check_options(HeapKind kind, std::uint64_t memory_bytes, const HeapOptions& options) {
    for (const Option& option : {page_size, block_size, first_id, ids, ids_max}) {
        if (auto sound = check_is_of_kind(kind, option, options); !sound) return sound;
    }
    if (kind == HeapKind::ids) return check_ids(options);
    for (const Option& option : {page_size, block_size}) {
        if (!option.is_of(kind) || options.*option.value <= memory_bytes) continue;
        return fail(Errc::invalid_argument,
                    option.says(options) + ", and the heap has " + std::to_string(memory_bytes) +
                        " bytes, so none would fit; make it smaller, or size larger");
    }
    return {};
}

}  // namespace shmpool
