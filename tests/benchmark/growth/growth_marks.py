# SPDX-License-Identifier: Apache-2.0
"""What one run of `scripts/bench growth` says: the figures of each round in, tables and the marks
out."""

from marks import Mark, median, ratio, spread, table, table_of_marks

QUIET, BUSY = "nobody else", "messages flow"
BEYOND_MS_MOST = 1.0

Rounds = dict[str, list[dict]]  # Figures by what goes on meanwhile.


def steps(rounds: Rounds, name: str, figure: str) -> list[float]:
    return [step for one in rounds.get(name, []) for step in one[figure]]


def beyond(rounds: Rounds, name: str) -> list[float]:
    """How much longer a step took than the fallocate beside it."""
    return [step - beside for one in rounds.get(name, [])
            for step, beside in zip(one["grow_ms"], one["fallocate_ms"])]


def total(rounds: Rounds, name: str, figure: str) -> float | None:
    return sum(one[figure] for one in rounds[name]) if rounds.get(name) else None


def payload(rounds: Rounds, when: int) -> float | None:
    """0: before the steps, 1: with them, 2: after the class has shrunk again."""
    return median([one["payload_mib"][when] for of_one in rounds.values() for one in of_one])


def table_of(rounds: Rounds) -> str:
    head = ["ms for 64 MiB, median (least to most), while", "a step", "fallocate beside it",
            "in pieces of 1 MiB, as the host", "a step beyond fallocate", "messages"]
    rows = [[name, spread(steps(rounds, name, "grow_ms")),
             spread(steps(rounds, name, "fallocate_ms")),
             spread(steps(rounds, name, "pieces_ms")), spread(beyond(rounds, name), 2),
             str(total(rounds, name, "sent"))] for name in (QUIET, BUSY)]
    return table([head, *rows])


def marks_of(rounds: Rounds) -> list[Mark]:
    return [
        Mark("a step of 64 MiB while messages flow, beyond fallocate",
             median(beyond(rounds, BUSY)), BEYOND_MS_MOST, unit=" ms"),
        Mark("the same while nobody else works", median(beyond(rounds, QUIET)), BEYOND_MS_MOST,
             unit=" ms"),
        Mark("messages lost", total(rounds, BUSY, "lost"), 0),
        Mark("payload after shrinking, beside before",
             ratio(payload(rounds, 2), payload(rounds, 0)), 1),
    ]


def report(rounds: Rounds) -> str:
    return table_of(rounds) + "\n\n" + table_of_marks(marks_of(rounds))
