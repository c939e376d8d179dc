// SPDX-License-Identifier: Apache-2.0
/// Everything that a program needs to use shmpool: attach to a pool, publish, subscribe, raw slots.
/// The pool alone, over memory of one's own and without a host: `shmpool/pool/var_slot_pool.hpp`.
#pragma once

#include "peer/peer.hpp"
