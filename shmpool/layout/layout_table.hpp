// SPDX-License-Identifier: Apache-2.0
/// The tables of the layout headers, made from offsetof and sizeof by the compiler, so that a
/// program can print them and a test can pin them: a changed byte shows as a changed line.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace shmpool {

struct FieldRow {
    std::string_view name;
    std::size_t offset = 0;
    std::size_t bytes = 0;
};

struct ImageTable {
    std::string_view name;
    std::size_t bytes = 0;
    std::vector<FieldRow> fields;  ///< Ascending.
};

/// Fields as they are named, `offset bytes name`, one line each; bytes of no field as "(unused)".
[[nodiscard]] std::string text_of(const ImageTable& table);

/// SlotRef and everything in the pool's and the segment's own images.
[[nodiscard]] std::vector<ImageTable> memory_tables();

}  // namespace shmpool

/// One row; standard layout, so that offsetof is defined.
#define SHMPOOL_FIELD_ROW(Image, field)                      \
    ::shmpool::FieldRow {                                    \
#field, offsetof(Image, field), sizeof(Image::field) \
    }
