// SPDX-License-Identifier: Apache-2.0
/// A service manager with its file descriptor store: hears what a daemon notifies, and receives the
/// descriptors that it is to keep.
#pragma once

#include <string>
#include <vector>

#include "shmpool/platform/descriptor.hpp"

namespace shmpool::test {

class DescriptorStore {
public:
    struct Notice {
        std::string text;
        std::vector<Descriptor> descriptors;
    };

    explicit DescriptorStore(const std::string& path);

    /// Passes over what does not begin with `word`=; an empty notice if none comes.
    [[nodiscard]] Notice next_about(const std::string& word) const;

private:
    [[nodiscard]] Notice next() const;

    Descriptor socket_;
};

}  // namespace shmpool::test
