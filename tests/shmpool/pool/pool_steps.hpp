// SPDX-License-Identifier: Apache-2.0
/// Steps that can be done to a pool, as values: played against the real pool and, beside it, a
/// naive model (a map from slot to who has it). A failing sequence is shortened and printed as a
/// line of C++ that replays it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include "tests/shmpool/pool/own_pool.hpp"

namespace shmpool::test {

struct Allocate {
    std::uint32_t lane;
    std::uint64_t size;
};
struct TakeLoan {
    std::uint32_t lane;
    std::uint64_t size;
};
struct Free {
    std::uint32_t lane;
    std::uint32_t which;
};  ///< Of all raw slots.
struct FreeAgain {
    std::uint32_t lane;
    std::uint32_t which;
};  ///< Of all names that have ended.
struct FreeALoan {
    std::uint32_t lane;
    std::uint32_t which;
};  ///< Must be refused.
struct Cancel {
    std::uint32_t lane;
    std::uint32_t which;
};
struct EndLoan {
    std::uint32_t lane;
    std::uint32_t which;
};  ///< Of all loans, by any lane.
struct EndARaw {
    std::uint32_t lane;
    std::uint32_t which;
};  ///< Must be refused.
struct Flush {
    std::uint32_t lane;
};
struct Die {
    std::uint32_t lane;
};  ///< Its process has ended; the host takes back; a new one comes.

using PoolStep = std::variant<Allocate, TakeLoan, Free, FreeAgain, FreeALoan, Cancel, EndLoan,
                              EndARaw, Flush, Die>;

inline std::string code_of(const PoolStep& step) {
    constexpr const char* names[] = {"Allocate", "TakeLoan", "Free",    "FreeAgain", "FreeALoan",
                                     "Cancel",   "EndLoan",  "EndARaw", "Flush",     "Die"};
    std::ostringstream text;
    text << names[step.index()];
    std::visit(
        [&]<typename Step>(const Step& one) {
            text << '{' << one.lane;
            if constexpr (requires { one.size; }) text << ", " << one.size;
            if constexpr (requires { one.which; }) text << ", " << one.which;
            text << '}';
        },
        step);
    return text.str();
}

/// What the real pool is made to do wrong, to show that the model notices.
enum class Sabotage { none, forgets_an_end, frees_for_others, hands_out_twice };

class PoolAndModel {
public:
    static constexpr std::uint32_t lane_count = 3;

    PoolAndModel(const Configs& configs, Sabotage sabotage)
        : pool_(configs, lane_count), sabotage_(sabotage) {
        for (std::uint32_t i = 0; i < lane_count; ++i) lanes_.push_back(pool_.lane(i + 1));
    }

    /// What went wrong in this step; empty if nothing.
    std::string play(const PoolStep& step) {
        std::string wrong = std::visit([&](const auto& one) { return on(one); }, step);
        if (wrong.empty() && ++steps_ % 16 == 0) wrong = compare();
        return wrong;
    }
    std::string compare() {
        std::string wrong = broken(pool_.view());
        const auto statistics = read_statistics(pool_.view());
        for (std::uint32_t i = 0; i < statistics.size(); ++i) {
            std::uint32_t held = 0;
            for (const auto& [place, holder] : held_) held += place.first == i ? 1 : 0;
            if (statistics[i].loaned != held) {
                wrong += "class " + std::to_string(i) + " has " +
                         std::to_string(statistics[i].loaned) + " slots on loan, the model " +
                         std::to_string(held) + "\n";
            }
            if (statistics[i].cached > statistics[i].slot_count / 4) wrong += "too many cached\n";
        }
        return wrong;
    }

private:
    using Place = std::pair<std::uint32_t, std::uint32_t>;
    struct Holder {
        SlotRef ref;
        std::uint32_t lane;
        bool raw;
    };

    std::string took(std::uint32_t lane, std::uint64_t size, bool raw, std::optional<SlotRef> ref,
                     Errc error) {
        const std::uint32_t first = smallest_class(size);
        if (!ref) {
            if (first == pool_->class_count())
                return error == Errc::too_large ? "" : "not too_large";
            if (error != Errc::exhausted) return "neither a slot nor exhausted";
            return reachable(lane, first) == 0 ? "" : "exhausted although slots are free";
        }
        if (first == pool_->class_count()) return "a slot for what is too large";
        const Place place{ref->class_index, ref->slot_index};
        if (ref->class_index < first) return "the slot is too small";
        for (std::uint32_t skipped = first; skipped < ref->class_index; ++skipped) {
            if (reachable(lane, skipped, 1) != 0) return "a smaller class had a slot";
        }
        if (held_.contains(place)) return "handed out twice";
        if (ref->generation <= generations_[place]) return "the generation did not grow";
        generations_[place] = ref->generation;
        held_[place] = {*ref, lane, raw};
        return "";
    }
    /// Slots that the lane could have had: in the list, or in its own magazine.
    std::uint32_t reachable(std::uint32_t lane, std::uint32_t first, std::uint32_t classes = 64) {
        std::uint32_t count = 0;
        for (std::uint32_t i = first; i < pool_->class_count() && i - first < classes; ++i) {
            count += pool_.statistics(i).free;
            count += lanes_[lane]->magazine(i).cached();
        }
        return count;
    }
    std::uint32_t smallest_class(std::uint64_t size) {
        const auto classes = pool_->classes();
        std::uint32_t index = 0;
        while (index < classes.size() && classes[index].slot_size < size) ++index;
        return index;
    }
    /// The n-th holder of a kind, if there is any.
    const Holder* pick(bool raw, std::uint32_t which) const {
        std::vector<const Holder*> of_kind;
        for (const auto& [place, holder] : held_) {
            if (holder.raw == raw) of_kind.push_back(&holder);
        }
        return of_kind.empty() ? nullptr : of_kind[which % of_kind.size()];
    }
    void end(const SlotRef& ref) {
        ended_.push_back(ref);
        held_.erase({ref.class_index, ref.slot_index});
    }
    static std::string expect(const Outcome<void>& outcome, std::optional<Errc> error) {
        if (outcome.has_value() == error.has_value()) return error ? "not refused" : "refused";
        return outcome || outcome.error() == *error ? "" : "refused with another code";
    }

    std::string on(const Allocate& step) {
        const auto ref = pool_->allocate(*lanes_[step.lane], step.size);
        std::optional<SlotRef> got = ref ? std::optional(*ref) : std::nullopt;
        if (got && sabotage_ == Sabotage::hands_out_twice && !held_.empty()) {
            got = held_.begin()->second.ref;
        }
        return took(step.lane, step.size, true, got, ref ? Errc{} : ref.error());
    }
    std::string on(const TakeLoan& step) {
        const auto loaned = pool_->loan(*lanes_[step.lane], step.size);
        return took(step.lane, step.size, false,
                    loaned ? std::optional(pool_->view().ref_of(loaned->class_index, loaned->key))
                           : std::nullopt,
                    loaned ? Errc{} : loaned.error());
    }
    std::string on(const Free& step) {
        const Holder* const holder = pick(true, step.which);
        if (holder == nullptr) return "";
        const SlotRef ref = holder->ref;
        const std::string wrong = expect(pool_->free(*lanes_[step.lane], ref), std::nullopt);
        end(ref);
        return wrong;
    }
    std::string on(const FreeAgain& step) {
        if (ended_.empty()) return "";
        const SlotRef ref = ended_[step.which % ended_.size()];
        const bool reused = held_.contains({ref.class_index, ref.slot_index});
        if (pool_->slot_data(ref)) return "data of an ended life";
        if (reused && pool_->is_slot_free(ref)) return "free although in use";
        return expect(pool_->free(*lanes_[step.lane], ref), Errc::double_free);
    }
    std::string on(const FreeALoan& step) {
        const Holder* const holder = pick(false, step.which);
        if (holder == nullptr) return "";
        return expect(pool_->free(*lanes_[step.lane], holder->ref), Errc::handle_owned);
    }
    std::string on(const Cancel& step) {
        const Holder* const holder = pick(true, step.which);
        if (holder == nullptr) return "";
        const SlotRef ref = holder->ref;
        const bool own = holder->lane == step.lane || sabotage_ == Sabotage::frees_for_others;
        const std::string wrong = expect(pool_->cancel(*lanes_[step.lane], ref),
                                         own ? std::nullopt : std::optional(Errc::raw_owned));
        if (own) end(ref);
        return wrong;
    }
    std::string on(const EndLoan& step) {
        const Holder* const holder = pick(false, step.which);
        if (holder == nullptr) return "";
        const SlotRef ref = holder->ref;
        end(ref);
        if (sabotage_ == Sabotage::forgets_an_end) return "";
        return expect(
            pool_->end_loan(*lanes_[step.lane], {ref.class_index, *pool_->view().key_of(ref)}),
            std::nullopt);
    }
    std::string on(const EndARaw& step) {
        const Holder* const holder = pick(true, step.which);
        if (holder == nullptr) return "";
        return expect(pool_->end_loan(*lanes_[step.lane], {holder->ref.class_index,
                                                           *pool_->view().key_of(holder->ref)}),
                      Errc::raw_owned);
    }
    std::string on(const Flush& step) {
        pool_->flush(*lanes_[step.lane]);
        return "";
    }
    std::string on(const Die& step) {
        const std::uint32_t index = lanes_[step.lane]->index();
        lanes_[step.lane].reset();
        pool_.reclaim(index);
        for (auto at = held_.begin(); at != held_.end();) {
            if (at->second.lane != step.lane) {
                ++at;
                continue;
            }
            ended_.push_back(at->second.ref);
            at = held_.erase(at);
        }
        lanes_[step.lane] = pool_.lane(step.lane + 1);
        return "";
    }

    OwnPool pool_;
    Sabotage sabotage_;
    std::vector<std::unique_ptr<Lane>> lanes_;
    std::map<Place, Holder> held_;
    std::map<Place, std::uint32_t> generations_;
    std::vector<SlotRef> ended_;
    std::uint64_t steps_ = 0;
};

}  // namespace shmpool::test
