// SPDX-License-Identifier: Apache-2.0
/// See descriptor.hpp. close(2) is never repeated: Linux frees the number even when it reports
/// EINTR.
#include "shmpool/platform/descriptor.hpp"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <string>

namespace shmpool {

Result<Descriptor> Descriptor::duplicate(const Descriptor& original) {
    const int number = ::fcntl(original.get(), F_DUPFD_CLOEXEC, 0);
    if (number < 0) {
        const Errc code =
            errno == EMFILE || errno == ENFILE ? Errc::descriptor_limit : Errc::system;
        return fail_errno(code, "duplicate descriptor " + std::to_string(original.get()), errno);
    }
    return Descriptor(number);
}

void Descriptor::close() noexcept {
    if (number_ >= 0) ::close(std::exchange(number_, -1));
}

}  // namespace shmpool
