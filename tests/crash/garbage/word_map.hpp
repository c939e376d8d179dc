// SPDX-License-Identifier: Apache-2.0
/// Every word of a segment by its name: where each image of the layout tables lies, how many of
/// them there are, and which field is which. Read once from a sound segment; the tables are those
/// that `shmpoold --print-layout` prints, so a new field is found by itself.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "protocol/protocol_view.hpp"
#include "shmpool/layout/layout_table.hpp"
#include "shmpool/pool/pool_view.hpp"

namespace shmpool::garbage {

/// One field of all items of one image.
struct Place {
    std::string image;
    std::string field;
    std::byte* first = nullptr;  ///< The field in the first item.
    std::uint64_t stride_bytes = 0;
    std::uint32_t count = 0;
    std::uint32_t field_bytes = 0;
    std::uint32_t word_bytes = 0;  ///< 4 or 8: how it is read.

    [[nodiscard]] std::byte* item(std::uint64_t index) const {
        return first + index * stride_bytes;
    }
    [[nodiscard]] std::string name() const { return image + "." + field; }
    [[nodiscard]] std::uint32_t words() const { return field_bytes / word_bytes; }
};

class WordMap {
public:
    WordMap(const PoolView& pool, const ProtocolView& view);

    [[nodiscard]] std::span<const Place> places() const { return places_; }

private:
    void add(const ImageTable& table, std::byte* first, std::uint64_t stride_bytes,
             std::uint32_t count);
    void add_named(const std::string& image, std::byte* first, std::uint64_t stride_bytes,
                   std::uint32_t count);

    std::vector<ImageTable> tables_;
    std::vector<Place> places_;
};

}  // namespace shmpool::garbage
