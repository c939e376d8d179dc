// SPDX-License-Identifier: Apache-2.0
/// The real pool as a depot for the kill harness: a class without magazines, one with, and one that
/// is nearly always exhausted, so that allocation falls through.
#pragma once

#include <optional>
#include <random>

#include "tests/shmpool/pool/own_pool.hpp"

namespace shmpool::test {

class PoolDepot {
public:
    struct Piece {
        std::uint32_t number = 0;
        Atomic<std::uint64_t>* payload = nullptr;
        std::size_t words = 0;
        VarSlotPool::Loaned loaned;
        bool raw = false;
    };

    class Worker {
    public:
        Worker(PoolDepot& depot, std::uint32_t lane)
            : pool_(depot.pool_), lane_(pool_.view(), lane) {}

        template <typename Random>
        std::optional<Piece> take(Random& random) {
            constexpr std::uint64_t sizes[] = {64, 64, 200, 200, 200, 1000};
            const std::uint64_t size = sizes[random() % 6];
            Piece piece;
            piece.raw = random() % 2 == 0;
            if (piece.raw) {
                const auto ref = pool_->allocate(lane_, size);
                if (!ref) return std::nullopt;
                piece.loaned = {ref->class_index, *pool_->view().key_of(*ref)};
            } else {
                const auto loaned = pool_->loan(lane_, size);
                if (!loaned) return std::nullopt;
                piece.loaned = *loaned;
            }
            const ClassView& view = pool_.view().classes[piece.loaned.class_index];
            const std::uint32_t slot = position_of(piece.loaned.key);
            piece.number = piece.loaned.class_index * 1024 + slot;
            piece.payload = reinterpret_cast<Atomic<std::uint64_t>*>(view.data(slot));
            piece.words = view.slot_bytes / 8;
            return piece;
        }
        void give(const Piece& piece) {
            const bool ended =
                piece.raw ? pool_
                                ->free(lane_, pool_->view().ref_of(piece.loaned.class_index,
                                                                   piece.loaned.key))
                                .has_value()
                          : pool_->end_loan(lane_, piece.loaned).has_value();
            if (!ended) ::_exit(3);
        }
        void finish() { pool_->flush(lane_); }

    private:
        OwnPool& pool_;
        Lane lane_;
    };

    std::uint32_t claim() {
        ++owner_;
        return claim_lane(pool_.view(), owner_, static_cast<std::uint32_t>(owner_));
    }
    void reclaim(std::uint32_t lane) { pool_.reclaim(lane); }
    std::string verdict() { return broken_or_not_all_free(pool_.view()); }
    OwnPool& pool() { return pool_; }

private:
    OwnPool pool_{Configs{{64, 24}, {200, 256}, {1000, 12}}, 8, Pages::Kind::shared};
    std::uint64_t owner_ = 0;
};

}  // namespace shmpool::test
