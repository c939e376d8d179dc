// SPDX-License-Identifier: Apache-2.0
/// A table of heaps whose works a test does piece by piece.
#pragma once

#include <gmock/gmock.h>

#include <map>

#include "heap_directory_rig.hpp"
#include "shmpool/heap/byte_heap.hpp"

namespace shmpool::testing_protocol {

class HeapWorks : public HeapDirectoryTest {
protected:
    /// Some pieces of whatever is under way.
    void do_pieces(int count) {
        for (int i = 0; i < count; ++i) note(heaps.do_a_piece());
    }
    void do_all() {
        for (int pieces = 0; heaps.has_work(); ++pieces) {
            ASSERT_LT(pieces, 100'000) << "works have an end";
            note(heaps.do_a_piece());
        }
    }
    [[nodiscard]] bool is_over(HeapWorkId work) const { return over.contains(work); }
    /// timed_out: it is not over; internal_fault: there was no error.
    [[nodiscard]] Errc error_of_work(HeapWorkId work) const {
        const auto found = over.find(work);
        if (found == over.end()) return Errc::timed_out;
        return found->second ? Errc::internal_fault : found->second.error().code;
    }
    /// It has 102,400 bytes, and may have 901,120.
    HeapId create_growing() {
        HeapRequest request = asked("growing", 100'000);
        request.max_bytes = 900'000;
        return create(request).value();
    }
    [[nodiscard]] std::uint64_t has_bytes(HeapId heap) {
        return read_heap(host.view(), heap.index)->committed_bytes;
    }
    [[nodiscard]] HeapLock lock_of(HeapId heap) {
        const auto its = heap_memory(memory, host.view().heaps.at(heap.index));
        return HeapLock(reinterpret_cast<HeapHeader*>(its.data())->lock);
    }
    /// Piece by piece to its end; none takes or gives back more than a piece has. How many.
    unsigned do_by_pieces(HeapWorkId work) {
        unsigned pieces = 0;
        for (std::uint64_t before = taken_bytes(); !is_over(work); before = taken_bytes()) {
            do_pieces(1);
            ++pieces;
            EXPECT_LE(taken_bytes(), before + small_pieces().bytes);
            EXPECT_LE(before, taken_bytes() + small_pieces().bytes);
        }
        return pieces;
    }
    /// As if nobody had asked for anything.
    void expect_nothing_taken() {
        do_all();
        EXPECT_THAT(read_heaps(host.view()), ::testing::IsEmpty());
        EXPECT_EQ(committed_bytes(), without_heaps_bytes);
        EXPECT_EQ(taken_bytes(), taken_at_first);
        EXPECT_TRUE(create(asked("all", room_bytes))) << "no room is lost";
    }

    std::map<HeapWorkId, Result<HeapId>> over;
    std::uint64_t taken_at_first = taken_bytes();

private:
    void note(const std::vector<HeapDone>& done) {
        for (const HeapDone& one : done) {
            EXPECT_TRUE(over.emplace(one.work, one.result).second) << "it was over already";
        }
    }
};

}  // namespace shmpool::testing_protocol
