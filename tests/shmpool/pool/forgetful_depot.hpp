// SPDX-License-Identifier: Apache-2.0
/// Depots that are known to be wrong, to show that the kill harness notices. `PlainStackDepot` is
/// the seed's algorithm: Treiber's stack with a tag, then stores of state and owner, and a reclaim
/// that scans the owners. It loses the slot that is between list and owner when its taker dies.
/// With `Fault::tears_owner` the owner is stored before the state and reclaim believes the owner
/// alone: a slot on its way back is listed twice. With `Fault::reclaims_the_living`, the name says
/// it.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <thread>

#include "tests/shmpool/platform/forked_child.hpp"

namespace shmpool::test {

enum class Fault { none, tears_owner, reclaims_the_living };

template <Fault fault = Fault::none>
class PlainStackDepot {
public:
    static constexpr std::uint32_t slot_count = 64;
    static constexpr std::uint32_t none = 0xFFFF'FFFF;

    struct Piece {
        std::uint32_t number = 0;
        Atomic<std::uint64_t>* payload = nullptr;
        std::size_t words = 8;
    };

    PlainStackDepot() {
        for (std::uint32_t i = 0; i < slot_count; ++i)
            image_->next[i] = i + 1 < slot_count ? i + 1 : none;
    }

    class Worker {
    public:
        Worker(PlainStackDepot& depot, std::uint32_t lane) : image_(*depot.image_), lane_(lane) {}

        template <typename Random>
        std::optional<Piece> take(Random&) {
            std::uint64_t head = image_.head.load();
            for (;;) {
                const auto top = static_cast<std::uint32_t>(head);
                if (top == none) return std::nullopt;
                const std::uint64_t after = ((head >> 32) + 1) << 32 | image_.next[top].load();
                if (!image_.head.compare_exchange_weak(head, after)) continue;
                if constexpr (fault == Fault::none) {
                    linger();  // A kill here: the slot is in no list and nobody has it.
                }
                image_.owner[top].store(lane_);
                return Piece{top, image_.payload[top]};
            }
        }
        void give(const Piece& piece) {
            if constexpr (fault != Fault::tears_owner) image_.owner[piece.number].store(0);
            push(image_, piece.number);
            if constexpr (fault == Fault::tears_owner) {
                linger();  // A kill here: the slot is in the list, and yet somebody has it.
                image_.owner[piece.number].store(0);
            }
        }
        void finish() {}

    private:
        /// Makes the window so wide that most of the kills fall into it, on any machine.
        static void linger() { std::this_thread::sleep_for(std::chrono::microseconds(20)); }

        decltype(*std::declval<PlainStackDepot&>().image_) image_;
        std::uint32_t lane_;
    };

    std::uint32_t claim() { return ++last_lane_; }
    void reclaim(std::uint32_t lane) {
        for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
            const std::uint32_t owner = image_->owner[slot].load();
            if (owner == 0) continue;
            if (owner != lane && fault != Fault::reclaims_the_living) continue;
            image_->owner[slot].store(0);
            push(*image_, slot);
        }
    }
    /// Nobody uses it any more: walks the list.
    std::string verdict() {
        std::uint32_t listed = 0;
        for (auto slot = static_cast<std::uint32_t>(image_->head.load()); slot != none;
             slot = image_->next[slot].load()) {
            if (++listed > slot_count) return "the list is a cycle\n";
        }
        return listed == slot_count ? ""
                                    : "lost " + std::to_string(slot_count - listed) + " slots\n";
    }

private:
    struct Image {
        Atomic<std::uint64_t> head{0};
        Atomic<std::uint32_t> next[slot_count]{};
        Atomic<std::uint32_t> owner[slot_count]{};
        Atomic<std::uint64_t> payload[slot_count][8]{};
    };

    static void push(Image& image, std::uint32_t slot) {
        std::uint64_t head = image.head.load();
        do {
            image.next[slot].store(static_cast<std::uint32_t>(head));
        } while (!image.head.compare_exchange_weak(head, ((head >> 32) + 1) << 32 | slot));
    }

    Shared<Image> image_;
    std::uint32_t last_lane_ = 0;
};

}  // namespace shmpool::test
