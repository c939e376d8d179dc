// SPDX-License-Identifier: Apache-2.0
/// Who touches which word beside whom, learned while exploring. Two steps whose words are not
/// shared commute, so their order need not be tried both ways; and a death before a store that
/// nobody else ever looks at is the same as a death after it. What was skipped for such a reason
/// was right only if nothing new has been learned since: the explorer then begins again
/// (explorer.cpp), until a whole run teaches nothing new.
///
/// "Beside" means: while the other was not dead. What the host does with a dead lane's cell is no
/// reason to interleave that lane with it: the death comes first in every order.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "arena.hpp"

namespace shmpool::model {

using ActorSet = std::uint8_t;  ///< Bit i: actor i; bit `nobody`: the audit at the end.
[[nodiscard]] constexpr ActorSet only(unsigned actor) {
    return static_cast<ActorSet>(1U << actor);
}

class Sharing {
public:
    /// `actor` touches the word at `address` while all but the `living` are dead.
    void learn(unsigned actor, const void* address, bool changes, ActorSet living) {
        Word& word = words_[index(address)];
        add(word.touched_by, only(actor));
        if (actor == nobody) return;
        add(word.read_beside[actor], living);
        if (changes) add(word.changed_beside[actor], living);
    }

    /// Whether one of `others` may touch the word beside `actor` so that the order matters.
    [[nodiscard]] bool order_matters(unsigned actor, const void* address, bool changes,
                                     ActorSet others) const {
        const Word& word = words_[index(address)];
        for (unsigned other = 0; other < actors_max; ++other) {
            if (other == actor || (others & only(other)) == 0) continue;
            const ActorSet beside = static_cast<ActorSet>(word.changed_beside[other] |
                                                          (changes ? word.read_beside[other] : 0));
            if ((beside & only(actor)) != 0) return true;
        }
        return false;
    }

    /// Whether anybody else ever looks at the word, the audit included.
    [[nodiscard]] bool anybody_else_looks(unsigned actor, const void* address) const {
        return (words_[index(address)].touched_by & ~only(actor)) != 0;
    }

    /// How often something new was learned.
    [[nodiscard]] std::uint64_t lessons() const { return lessons_; }

private:
    struct Word {
        ActorSet touched_by = 0;
        std::array<ActorSet, actors_max> read_beside{};     ///< By actor i: who lived then.
        std::array<ActorSet, actors_max> changed_beside{};  ///< By actor i: who lived then.
    };
    static constexpr std::size_t grain =
        4;  ///< The smallest word; a larger one counts by its begin.

    [[nodiscard]] static std::size_t index(const void* address) {
        return static_cast<std::size_t>(static_cast<const std::byte*>(address) - shared_base()) /
               grain;
    }
    void add(ActorSet& set, ActorSet more) {
        if ((set | more) == set) return;
        set = static_cast<ActorSet>(set | more);
        ++lessons_;
    }

    std::vector<Word> words_ = std::vector<Word>(shared_bytes / grain);
    std::uint64_t lessons_ = 0;
};

}  // namespace shmpool::model
