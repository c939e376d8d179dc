// SPDX-License-Identifier: Apache-2.0
/// Who is asked before slots leave a free list for a lane, and told when they have left. The pool
/// knows no peers and no quotas; who knows them sits here. Never asked by a slot that comes out of
/// a magazine, so it costs the hot path nothing.
#pragma once

#include <cstdint>

namespace shmpool {

/// One per lane, used by the lane's thread.
class DrawGate {
public:
    DrawGate() = default;
    DrawGate(const DrawGate&) = delete;
    DrawGate& operator=(const DrawGate&) = delete;
    virtual ~DrawGate() = default;

    /// How many of `wanted` slots of the class may be drawn now; 0: quota_exceeded.
    [[nodiscard]] virtual std::uint32_t may_draw(std::uint32_t class_index,
                                                 std::uint32_t wanted) = 0;
    /// So many have been drawn, and their words name the lane.
    virtual void drawn(std::uint32_t class_index, std::uint32_t count) = 0;
};

}  // namespace shmpool
