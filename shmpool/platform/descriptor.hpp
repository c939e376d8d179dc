// SPDX-License-Identifier: Apache-2.0
/// A file descriptor with one owner: closed exactly once, movable, never copied by accident.
#pragma once

#include <utility>

#include "shmpool/platform/result.hpp"

namespace shmpool {

class Descriptor {
public:
    Descriptor() noexcept = default;

    /// Takes over `number`; a negative number means none.
    explicit Descriptor(int number) noexcept : number_(number < 0 ? -1 : number) {}

    Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        if (this != &other) {
            close();
            number_ = other.release();
        }
        return *this;
    }
    ~Descriptor() { close(); }

    /// -1 when there is none. The number stays owned by this object.
    [[nodiscard]] int get() const noexcept { return number_; }

    /// Gives the number away without closing it.
    [[nodiscard]] int release() noexcept { return std::exchange(number_, -1); }

    [[nodiscard]] explicit operator bool() const noexcept { return number_ >= 0; }

    /// A second descriptor of the same open file, closed on exec. Errc::descriptor_limit when the
    /// process has no number left.
    [[nodiscard]] static Result<Descriptor> duplicate(const Descriptor& original);

private:
    void close() noexcept;

    int number_ = -1;
};

}  // namespace shmpool
