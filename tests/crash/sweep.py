# SPDX-License-Identifier: Apache-2.0
"""Kills a process at every instruction of every public operation, and counts what is left.

The release binary is stepped through each operation with ptrace and killed with -9: at every
instruction if it has at most 2,000 of them, else before and after every store into the segment and
every system call. Every point is killed twice: once with rivals that rest until the victim is
there, once with rivals that work on the same classes and channels from the beginning. After each
kill a real host takes back what the victim held, the rivals work beside it until it has done, and
everything is counted: each slot can be had once, nothing names the dead, no payload of a living one
has changed, nobody is stuck. Exit code 1 if a single number is not 0.

missed   victims that never came to their place: rivals had decided otherwise, and it was over
lost     slots that nobody gets any more
doubled  slots handed out twice, or payloads of the living with the bytes of somebody else
stuck    the living wait, or the host never comes to an end with the dead
broken   findings of the audits, and messages of the living that did not arrive
"""

import visits

TABLE = visits.Table(
    "sweep", {"points": "points", "kills": "visits", "missed": "missed"},
    "* longer than 2,000 instructions: before and after each store and system call")


def add_options(parser):
    visits.add_options(parser, every=1)


def run(options) -> int:
    rows = visits.run(TABLE, options, [])
    return 0 if all(visits.is_clean(row) for row in rows) else 1
