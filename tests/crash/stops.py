# SPDX-License-Identifier: Apache-2.0
"""Stops a process in the middle of every public operation, and lets it go on or has it killed.

The release binary is stepped through each operation with ptrace and stopped, with all its threads:
at every instruction if it has at most 2,000 of them, else before and after every store into the
segment and every system call. Each point has three stories. "wait": the host holds it for suspect
and waits for it. "host": the host is killed with -9 meanwhile, and the next one takes over. "kill":
the host kills it, for suspect_policy says so, and takes back what it held. Meanwhile rivals work on
the same classes and channels and write into every slot that they can get. Who goes on must end the
operation, find everything it has as it left it, work on as a peer and leave in order; and then
everything is counted. Exit code 1 if one of the last four columns is not 0, or somebody is missing.

suspect  those that the host held for suspect before they went on
killed   those that the host has killed
went on  those that came to an orderly end
missed   victims that never came to their place: rivals had decided otherwise, and it was over
lost     slots that nobody gets any more
doubled  slots handed out twice, or payloads of the living with the bytes of somebody else
stuck    the living wait, or somebody never comes to an end
broken   findings of the audits, messages of the living that did not arrive, who went on badly
"""

import visits

TABLE = visits.Table("stops", {"points": "points", "stops": "visits", "missed": "missed",
                               "suspect": "suspected", "killed": "killed", "went on": "went_on"},
                     "* longer than 2,000 instructions: before and after each store and system "
                     "call")


def add_options(parser):
    visits.add_options(parser, every=10)
    parser.add_argument("--seconds", type=float, default=0, metavar="S",
                        help="how long one that is to go on is stopped, once it is suspect; "
                        "default 0, which is 0.1 s in all")


def is_clean(row: dict) -> bool:
    return visits.is_clean(row) and row["killed"] + row["went_on"] == row["visits"] + row["missed"]


def run(options) -> int:
    more = ["--stop", "--stop-ms", str(round(1000 * options.seconds))]
    rows = visits.run(TABLE, options, more)
    return 0 if all(is_clean(row) for row in rows) else 1
