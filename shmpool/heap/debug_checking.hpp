// SPDX-License-Identifier: Apache-2.0
/// A stack allocator around another one that remembers, in this process, what it has handed out
/// and what was given back, and refuses what can not be right. What it knows nothing of, from
/// another process or an earlier session, may be given back too, but for one case: a place that was
/// given back here, and that somebody who is not seen here has been handed since. Its handle may be
/// the one of before, so nobody can tell the end of a second life from a double free, and it is
/// refused as that. Who gets a handle from elsewhere says so before he gives it back: `adopt`.
///
/// One mutex around the inner call and the record of it: so no other thread comes between what
/// the inner one has done and what is known of it. A call that fails is not recorded.
///
///   Violation      Error             Found
///   double_free    double_free       what is given back was given back before, or a part of it
///   partial        invalid_argument  a part of a block, or more than one, is given back
///   spanning       invalid_argument  several blocks are given back as one
///   overlapping    memory_overlap    the inner one has handed out what is live, or it is adopted
///
/// The record is lost when its process ends; there is nothing that a kill could leave half done.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "shmpool/heap/stack_heap.hpp"
#include "shmpool/heap/stack_ranges.hpp"

namespace shmpool {

struct StackViolation {
    enum class Kind : std::uint8_t { double_free, partial, spanning, overlapping };

    Kind kind;
    StackHandle range;  ///< What was given back or handed out, ...
    StackHandle other;  ///< ... and what stands against it.
};

/// Threads. Does not own the inner one, which nobody else uses meanwhile in this process.
template <StackAllocator Inner>
class DebugChecking {
public:
    /// Told of every violation, besides the error; with the mutex held.
    using Hook = std::function<void(const StackViolation&)>;

    explicit DebugChecking(Inner& inner, Hook hook = {}) : inner_(&inner), hook_(std::move(hook)) {}
    /// As an earlier session has left it.
    [[nodiscard]] static DebugChecking with_state(Inner& inner,
                                                  std::span<const StackHandle> allocated,
                                                  std::span<const StackHandle> freed,
                                                  Hook hook = {}) {
        return DebugChecking(inner, StackRanges(allocated), StackRanges(freed), std::move(hook));
    }

    [[nodiscard]] Inner& inner() const { return *inner_; }
    /// What it knew is forgotten.
    [[nodiscard]] Inner& into_inner() {
        const std::scoped_lock lock(mutex_);
        live_ = {};
        freed_ = {};
        return *inner_;
    }
    [[nodiscard]] std::size_t allocated_count() const { return counted(live_); }
    [[nodiscard]] std::size_t freed_count() const { return counted(freed_); }
    /// For people.
    [[nodiscard]] std::string describe() const {
        std::string inner = "an allocator";
        if constexpr (requires { inner_->kind(); }) inner = name_of(inner_->kind());
        return "DebugChecking{" + inner + ", allocated: " + std::to_string(allocated_count()) +
               ", freed: " + std::to_string(freed_count()) + "}";
    }

    [[nodiscard]] Outcome<StackHandle> alloc(HeapHolder holder, std::uint64_t len) {
        const std::scoped_lock lock(mutex_);
        const auto handle = inner_->alloc(holder, len);
        if (!handle) return handle;
        if (const auto known = record(*handle); !known) return tl::unexpected(known.error());
        return handle;
    }

    [[nodiscard]] Outcome<StackHandle> realloc(HeapHolder holder, const StackHandle& old,
                                               std::uint64_t len) {
        const std::scoped_lock lock(mutex_);
        if (const auto good = check_free(old, freed_); !good) return tl::unexpected(good.error());
        const auto handle = inner_->realloc(holder, old, len);
        if (!handle) return handle;
        live_.erase(old);
        const auto known = record(*handle);
        if (!known) {
            live_.insert(old);
            return tl::unexpected(known.error());
        }
        StackRanges given_back(std::span(&old, 1));
        given_back.cut_out(*handle);
        for (const StackHandle& one : given_back.overlapping(old)) freed_.insert(one);
        return handle;
    }

    /// What somebody else has been handed, another process or one that uses the inner one itself,
    /// and has given to this one: from now on it is as if it had been handed out here. The inner
    /// one is not asked. memory_overlap: of what is live here.
    Outcome<void> adopt(const StackHandle& handle) {
        const std::scoped_lock lock(mutex_);
        return record(handle);
    }

    Outcome<void> dealloc(HeapHolder holder, const StackHandle& handle) {
        const std::scoped_lock lock(mutex_);
        if (auto good = check_free(handle, freed_); !good) return good;
        if (auto done = inner_->dealloc(holder, handle); !done) return done;
        forget(handle);
        return {};
    }

    [[nodiscard]] Outcome<std::vector<StackHandle>> alloc_bulk(
        HeapHolder holder,
        std::span<const std::uint64_t> lengths) requires StackBulkAllocator<Inner> {
        const std::scoped_lock lock(mutex_);
        const auto handles = inner_->alloc_bulk(holder, lengths);
        if (!handles) return handles;
        for (const StackHandle& one : *handles) {
            if (const auto known = record(one); !known) return tl::unexpected(known.error());
        }
        return handles;
    }

    /// All are checked before the inner one is called, once.
    Outcome<void> dealloc_bulk(HeapHolder holder, std::span<const StackHandle> handles) requires
        StackBulkAllocator<Inner> {
        const std::scoped_lock lock(mutex_);
        StackRanges freed = freed_;
        for (const StackHandle& one : handles) {
            if (auto good = check_free(one, freed); !good) return good;
            freed.insert(one);
        }
        if (auto done = inner_->dealloc_bulk(holder, handles); !done) return done;
        for (const StackHandle& one : handles) forget(one);
        return {};
    }

    [[nodiscard]] Outcome<std::uint64_t> len(HeapHolder holder) { return inner_->len(holder); }
    [[nodiscard]] Outcome<bool> is_empty(HeapHolder holder) { return inner_->is_empty(holder); }
    [[nodiscard]] Outcome<std::span<std::byte>> stack() { return inner_->stack(); }

private:
    using Kind = StackViolation::Kind;

    DebugChecking(Inner& inner, StackRanges live, StackRanges freed, Hook hook)
        : inner_(&inner),
          hook_(std::move(hook)),
          live_(std::move(live)),
          freed_(std::move(freed)) {}

    [[nodiscard]] std::size_t counted(const StackRanges& ranges) const {
        const std::scoped_lock lock(mutex_);
        return ranges.count();
    }

    tl::unexpected<Errc> violated(Errc code, Kind kind, const StackHandle& range,
                                  const StackHandle& other) {
        if (hook_) hook_({kind, range, other});
        return fail(code);
    }

    Outcome<void> check_free(const StackHandle& handle, const StackRanges& freed) {
        if (const auto before = freed.overlapping(handle); !before.empty()) {
            return violated(Errc::double_free, Kind::double_free, handle, before.front());
        }
        const auto live = live_.overlapping(handle);
        if (live.empty() || (live.size() == 1 && live.front() == handle)) return {};
        const Kind kind = live.size() == 1 ? Kind::partial : Kind::spanning;
        return violated(Errc::invalid_argument, kind, handle, live.front());
    }

    Outcome<void> record(const StackHandle& handle) {
        if (const auto live = live_.overlapping(handle); !live.empty()) {
            return violated(Errc::memory_overlap, Kind::overlapping, handle, live.front());
        }
        freed_.cut_out(handle);
        live_.insert(handle);
        return {};
    }
    void forget(const StackHandle& handle) {
        live_.erase(handle);
        freed_.insert(handle);
    }

    Inner* inner_;
    Hook hook_;
    mutable std::mutex mutex_;
    StackRanges live_;
    StackRanges freed_;
};
static_assert(StackBulkAllocator<DebugChecking<StackHeap>>);

}  // namespace shmpool
