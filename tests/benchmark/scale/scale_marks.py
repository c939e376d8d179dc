# SPDX-License-Identifier: Apache-2.0
"""What one run of `scripts/bench scale` says: the figures of each contestant and round in, tables
and the marks out."""

from marks import Mark, median, ratio, spread, table, table_of_marks

# Contestants: what is measured, and how large.
FEW, FEW_IN_MANY = "1,000 slots, one class", "1,000 slots, 16 classes"
MANY = "1,000,000, 16 classes"
SMALL, SPARSE, COMMITTED = "1 MiB", "64 GiB, sparse", "256 MiB, committed"
TWO, TWO_HUNDRED = "2 idle peers", "200 idle peers"

# A table each: its heading, its contestants, and its columns: figure, text, digits.
TABLES = [
    ("ns for a slot, median (least to most)", [FEW, FEW_IN_MANY, MANY],
     [("pair", "take, give, one size", 1), ("sizes", "of all sizes", 1),
      ("among", "400 are out", 1), ("half", "half of all are out", 1)]),
    ("a segment of", [SMALL, SPARSE, COMMITTED],
     [("ready_ms", "host forked to READY, ms", 1), ("attach_ms", "attach, ms", 2),
      ("attach_with_thread_ms", "with a control thread, ms", 2)]),
    ("beside", [TWO, TWO_HUNDRED],
     [("slot_ns", "a slot, ns", 1), ("message_ns", "a message, ns", 1),
      ("request_us", "a request, us", 1), ("host_percent", "host, % of a processor", 3),
      ("host_wakes", "wakes of the host, 1/s", 1)]),
]

# What, which figure, of whom beside whom: at most so many times theirs.
RATIOS = [
    ("1,000,000 slots in 16 classes beside 1,000 in one: of one size", "pair", MANY, FEW, 1.2),
    ("the same, of all sizes", "sizes", MANY, FEW, 1.2),
    ("1,000,000 slots beside 1,000, both in 16 classes: of one size", "pair", MANY, FEW_IN_MANY,
     1.2),
    ("the same, of all sizes", "sizes", MANY, FEW_IN_MANY, 1.2),
    ("200 idle peers beside 2: a slot", "slot_ns", TWO_HUNDRED, TWO, 1.1),
    ("the same, a message", "message_ns", TWO_HUNDRED, TWO, 1.1),
    ("attach to 64 GiB beside 1 MiB", "attach_ms", SPARSE, SMALL, 1.1),
]

# What, which figure, of whom: at most so much.
LIMITS = [
    ("attach, single-threaded, p50", "attach_ms", SMALL, 1.0, " ms"),
    ("the same, 64 GiB, sparse", "attach_ms", SPARSE, 1.0, " ms"),
    ("a segment of 64 GiB, sparse, is ready", "ready_ms", SPARSE, 50.0, " ms"),
    ("the host beside 200 idle peers", "host_percent", TWO_HUNDRED, 0.1, " %"),
]

Rounds = dict[str, list[dict]]  # Figures by contestant.


def values(rounds: Rounds, name: str, figure: str) -> list[float]:
    return [one[figure] for one in rounds.get(name, []) if figure in one]


def table_of(rounds: Rounds, heading: str, names: list[str], columns: list[tuple]) -> str:
    return table([[heading, *[text for _, text, _ in columns]],
                  *[[name, *[spread(values(rounds, name, figure), digits)
                             for figure, _, digits in columns]] for name in names]])


def marks_of(rounds: Rounds) -> list[Mark]:
    def middle(name: str, figure: str) -> float | None:
        return median(values(rounds, name, figure))

    return [*[Mark(text, ratio(middle(ours, figure), middle(theirs, figure)), most)
              for text, figure, ours, theirs, most in RATIOS],
            *[Mark(text, middle(name, figure), most, unit=unit)
              for text, figure, name, most, unit in LIMITS]]


def report(rounds: Rounds) -> str:
    tables = [table_of(rounds, *one) for one in TABLES]
    return "\n\n".join([*tables, table_of_marks(marks_of(rounds))])
