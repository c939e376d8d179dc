// SPDX-License-Identifier: Apache-2.0
/// Channels of one C++ type. The type is checked by name, size and alignment when an endpoint is
/// opened, so both sides read the same bytes in the same way.
#pragma once

#include <concepts>
#include <string_view>
#include <type_traits>

#include "peer/publisher.hpp"
#include "peer/subscriber.hpp"

namespace shmpool {

/// What may cross processes: bytes that mean the same at every address. Pointers and references
/// inside cannot be detected here and must not be there.
template <typename T>
concept ShmCompatible =
    std::is_trivially_copyable_v<T> && std::is_standard_layout_v<T> && !std::is_pointer_v<T> &&
    !std::is_reference_v<T> && alignof(T) <= 4096;

/// The name under which T is checked: T::shm_type_name if there is one, else the compiler's
/// spelling.
template <typename T>
[[nodiscard]] constexpr std::string_view type_name() {
    if constexpr (requires {
                      { T::shm_type_name } -> std::convertible_to<std::string_view>;
                  }) {
        return T::shm_type_name;
    } else {
        constexpr std::string_view whole = __PRETTY_FUNCTION__;
        constexpr std::size_t begin = whole.find("T = ") + 4;
        constexpr std::size_t end = whole.find_first_of(";]", begin);
        return whole.substr(begin, end - begin);
    }
}

template <ShmCompatible T>
class TypedLoan {
public:
    TypedLoan() noexcept {}  ///< Empty.
    explicit TypedLoan(Loan&& loan) : loan_(std::move(loan)) {}
    [[nodiscard]] T& operator*() const { return *reinterpret_cast<T*>(loan_.data()); }
    [[nodiscard]] T* operator->() const { return &**this; }
    [[nodiscard]] Loan& untyped() { return loan_; }

private:
    Loan loan_;
};

template <ShmCompatible T>
class TypedSample {
public:
    TypedSample() noexcept {}  ///< Empty.
    explicit TypedSample(Sample&& sample) : sample_(std::move(sample)) {}
    [[nodiscard]] const T& operator*() const { return *reinterpret_cast<const T*>(sample_.data()); }
    [[nodiscard]] const T* operator->() const { return &**this; }
    [[nodiscard]] Sample& untyped() { return sample_; }
    [[nodiscard]] const Sample& untyped() const { return sample_; }

private:
    Sample sample_;
};

template <ShmCompatible T>
class TypedPublisher {
public:
    explicit TypedPublisher(Publisher&& publisher) : publisher_(std::move(publisher)) {}

    /// A slot with a value-initialised T in it.
    [[nodiscard]] Outcome<TypedLoan<T>> loan(std::chrono::nanoseconds timeout = {}) {
        Outcome<TypedLoan<T>> loan(tl::in_place);
        const Errc error = publisher_.loan_into(loan->untyped(), sizeof(T), timeout,
                                                alignof(T) < 64 ? 64 : alignof(T));
        if (error == Errc{}) {
            new (loan->untyped().data()) T{};
        } else {
            loan = fail(error);
        }
        return loan;
    }
    Outcome<std::uint32_t> publish(TypedLoan<T>&& loan,
                                   std::chrono::nanoseconds timeout = forever) {
        return publisher_.publish(std::move(loan.untyped()), timeout);
    }
    /// loan, copy, publish.
    Outcome<std::uint32_t> send(const T& value, std::chrono::nanoseconds timeout = forever) {
        auto slot = loan(timeout);
        if (!slot) return tl::unexpected(slot.error());
        **slot = value;
        return publish(std::move(*slot), timeout);
    }
    [[nodiscard]] std::uint32_t reader_count() { return publisher_.reader_count(); }
    Outcome<void> wait_for_readers(std::uint32_t count, std::chrono::nanoseconds timeout) {
        return publisher_.wait_for_readers(count, timeout);
    }
    [[nodiscard]] Publisher& untyped() { return publisher_; }

private:
    Publisher publisher_;
};

template <ShmCompatible T>
class TypedSubscriber {
public:
    explicit TypedSubscriber(Subscriber&& subscriber) : subscriber_(std::move(subscriber)) {}

    [[nodiscard]] Outcome<TypedSample<T>> take() {
        Outcome<TypedSample<T>> sample(tl::in_place);
        const Errc error = subscriber_.take_into(sample->untyped());
        if (error != Errc{}) {
            sample = fail(error);
        } else if (sample->untyped().size() != sizeof(T)) {
            sample = fail(Errc::peer_fault);
        }
        return sample;
    }
    [[nodiscard]] Outcome<TypedSample<T>> take(std::chrono::nanoseconds timeout) {
        return typed(subscriber_.take(timeout));
    }
    [[nodiscard]] Subscriber& untyped() { return subscriber_; }

private:
    [[nodiscard]] static Outcome<TypedSample<T>> typed(Outcome<Sample>&& sample) {
        if (!sample) return tl::unexpected(sample.error());
        // The channel's type agrees; the length was written by another process.
        if (sample->size() != sizeof(T)) return fail(Errc::peer_fault);
        return Outcome<TypedSample<T>>(tl::in_place, std::move(*sample));
    }

    Subscriber subscriber_;
};

}  // namespace shmpool
