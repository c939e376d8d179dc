// SPDX-License-Identifier: Apache-2.0
/// Goal: a slab cache does what a set of offsets would do, through random steps (T-AS-3). Method: a
/// round is a cache of some size and some thousand steps; a step that goes wrong is printed with
/// all that came before it in its round, as code that replays it. The seed of a round is its
/// number.
#include <map>
#include <random>

#include "tests/shmpool/heap/own_objects.hpp"

namespace shmpool {
namespace {

using test::broken;
using test::OwnObjects;
using test::OwnObjectsOptions;

enum class Verb { allocate, free, free_again, free_inside, ask, add_memory, reopen, audit };
constexpr const char* verbs[] = {"allocate", "free",       "free_again", "free_inside",
                                 "ask",      "add_memory", "reopen",     "audit"};

struct Step {
    Verb verb;
    std::uint64_t which = 0;
};
using Steps = std::vector<Step>;

std::string as_code(const OwnObjectsOptions& options, const Steps& steps) {
    std::string text = "replay({" + std::to_string(options.object_bytes) + ", " +
                       std::to_string(options.slab_bytes) + "}, {";
    for (const Step& one : steps) {
        text += std::string("{Verb::") + verbs[static_cast<int>(one.verb)] + ", " +
                std::to_string(one.which) + "}, ";
    }
    return text + "})";
}

/// The heap, and what must be true of it.
class Replay {
public:
    explicit Replay(const OwnObjectsOptions& options) : own_(options) {}

    /// Empty: it went as it must.
    std::string take(const Step& step) {
        switch (step.verb) {
            case Verb::allocate: return allocate();
            case Verb::free: return free(step.which);
            case Verb::free_again: return free_again(step.which);
            case Verb::free_inside: return free_inside(step.which);
            case Verb::ask: return ask(step.which);
            case Verb::add_memory: return add_memory();
            case Verb::reopen: own_.heap = *open_object_heap(own_.memory.view()); return "";
            case Verb::audit: break;
        }
        return broken(*own_.heap, me);
    }

private:
    static constexpr HeapHolder me = OwnObjects::me;

    std::string allocate() {
        const auto object = own_.heap->allocate(me);
        const bool is_full = live_.size() == own_.now().total_objects;
        if (!object) return is_full && object.error() == Errc::no_memory ? "" : "an error";
        if (is_full) return "there was nothing left";
        const std::uint64_t bytes = own_.shape.object_bytes;
        const auto after = live_.lower_bound(*object);
        if (after != live_.end() && after->first < *object + bytes) return "overlaps the next";
        if (after != live_.begin() && std::prev(after)->first + bytes > *object) {
            return "overlaps the one before";
        }
        if (*object % own_.shape.alignment() != 0) return "misaligned";
        const auto mark = static_cast<std::uint8_t>(++marks_);
        std::memset(at(*object), mark, bytes);
        live_.emplace(*object, mark);
        return "";
    }
    std::string free(std::uint64_t which) {
        if (live_.empty()) return "";
        const auto one =
            std::next(live_.begin(), static_cast<std::ptrdiff_t>(which % live_.size()));
        for (std::uint64_t i = 0; i < own_.shape.object_bytes; ++i) {
            if (at(one->first)[i] != one->second) return "somebody has written into it";
        }
        const HeapOffset object = one->first;
        live_.erase(one);
        freed_.push_back(object);
        if (!own_.heap->free(me, object)) return "not freed";
        return own_.now().used_objects == live_.size() ? "" : "miscounted";
    }
    std::string free_again(std::uint64_t which) {
        if (freed_.empty()) return "";
        const HeapOffset object = freed_[which % freed_.size()];
        if (live_.contains(object)) return "";
        const auto again = own_.heap->free(me, object);
        return !again && again.error() == Errc::not_allocated ? "" : "freed twice";
    }
    std::string free_inside(std::uint64_t which) {
        const HeapOffset object = which % own_.memory.view().size();
        if (live_.contains(object)) return "";
        const auto freed = own_.heap->free(me, object);
        return !freed && freed.error() == Errc::not_allocated ? "" : "freed what is no object";
    }
    std::string ask(std::uint64_t which) {
        const HeapOffset object = freed_.empty() || which % 2 == 0
                                      ? which % own_.memory.view().size()
                                      : freed_[which % freed_.size()];
        return own_.heap->is_live(me, object) == live_.contains(object) ? "" : "wrong answer";
    }
    std::string add_memory() {
        const HeapExtent part{part_, 2 * own_.shape.slab_bytes};
        if (part.offset + part.bytes > own_.memory.view().size() || ++parts_ > 15) return "";
        part_ += 3 * own_.shape.slab_bytes;
        return own_.heap->add_memory(me, part) ? "" : "not added";
    }
    [[nodiscard]] std::uint8_t* at(HeapOffset object) {
        return reinterpret_cast<std::uint8_t*>(own_.memory.view().data() + object);
    }

    OwnObjects own_;
    std::map<HeapOffset, std::uint8_t> live_;  ///< And what they are filled with.
    std::vector<HeapOffset> freed_;            ///< Some of them live again.
    std::uint64_t marks_ = 0;
    std::uint64_t part_ = 512 << 10;
    int parts_ = 0;
};

void replay(const OwnObjectsOptions& options, const Steps& steps) {
    Replay played(options);
    Steps taken;
    for (const Step& one : steps) {
        taken.push_back(one);
        const std::string wrong = played.take(one);
        ASSERT_EQ(wrong, "") << as_code(options, taken);
    }
}

/// Phases in which more is taken than given, and the other way round.
Steps random_steps(std::mt19937_64& random, int count) {
    Steps steps;
    std::uint64_t takes = 50;
    for (int i = 0; i < count; ++i) {
        if (random() % 200 == 0) takes = 20 + random() % 60;
        const std::uint64_t draw = random() % 100;
        const Verb rare[] = {Verb::free_again, Verb::free_inside, Verb::ask,
                             Verb::add_memory, Verb::reopen,      Verb::audit};
        const bool is_rare = random() % 8 == 0;
        const Verb verb = is_rare        ? rare[random() % (random() % 16 == 0 ? 6 : 3)]
                          : draw < takes ? Verb::allocate
                                         : Verb::free;
        steps.push_back({verb, random() >> 8});
    }
    return steps;
}

TEST(ObjectSteps, GoAsASetOfOffsetsWould) {
#ifdef NDEBUG
    constexpr unsigned rounds = 500;  // A million steps.
#else
    constexpr unsigned rounds = 20;
#endif
    constexpr std::pair<std::uint64_t, std::uint64_t> sizes[] = {
        {64, 4096}, {4, 512}, {100, 512}, {12, 1024}, {472, 512}, {2000, 8192}};
    for (unsigned seed = 1; seed <= rounds && !testing::Test::HasFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::mt19937_64 random(seed);
        OwnObjectsOptions options;
        std::tie(options.object_bytes, options.slab_bytes) = sizes[random() % std::size(sizes)];
        options.owned = random() % 2 == 0;
        options.region = {64 << 10, (1 + random() % 8) * options.slab_bytes};
        replay(options, random_steps(random, 2000));
    }
}

}  // namespace
}  // namespace shmpool
