// SPDX-License-Identifier: Apache-2.0
/// The hooks of a program.
#include "shmpool/heap/private_slab_hooks.hpp"

SHMPOOL_SLAB_HOOKS(shmpool::LibrarySlabHooks)
