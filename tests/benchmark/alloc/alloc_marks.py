# SPDX-License-Identifier: Apache-2.0
"""What one run of `scripts/bench alloc` says: nanoseconds of each contestant in each workload and
round in, a table and the marks out."""

from dataclasses import dataclass

from marks import Mark, median, ratio, spread, table, table_of_marks

WORKLOADS = {"pair": "take, give", "burst_64": "bursts of 64", "burst_512": "bursts of 512",
             "burst_4096": "bursts of 4096"}
OF_TWO = {"two": "each for itself", "two_later": "after 10^7 random steps",
          "handed_over": "taken here, given there"}
PROBE = {"probe": "cache line, ns before", "probe_later": "and after"}
OURS, RAW, DIRECT = "shmpool", "shmpool, raw", "shmpool, direct"
SEED, DPDK, GLIBC = "the seed's VarSlotPool", "DPDK mempool, cached", "malloc of glibc"

# What, in which workload, of whom beside whom: at most so much of their time.
WANTED = [
    ("take and give, beside DPDK's cached mempool", "pair", OURS, DPDK, 0.70),
    ("the same, beside the seed's algorithm", "pair", OURS, SEED, 1 / 9),
    ("the same, beside glibc's malloc", "pair", OURS, GLIBC, 0.5),
    ("raw free with its exact check, beside the seed", "pair", RAW, SEED, 1 / 2.5),
    ("direct path, beside the seed", "pair", DIRECT, SEED, 1.4),
    ("bursts of 64, beside DPDK's cached mempool", "burst_64", OURS, DPDK, 1.7),
    ("bursts of 512", "burst_512", OURS, DPDK, 1.7),
    ("bursts of 4096", "burst_4096", OURS, DPDK, 1.7),
]

# Taken here, given there: beside whom, at least so many times as many.
HANDED_OVER = [
    ("taken here, given there, beside DPDK's cached mempool", OURS, DPDK, 2),
    ("the same, beside the seed's algorithm", OURS, SEED, 12),
    ("the same by raw names, beside the seed", RAW, SEED, 3),
]


@dataclass
class Contestant:
    name: str
    rounds: list[dict]  # Nanoseconds for each block by workload, None where it can not do it.
    why_none: str = ""

    def times(self, workload: str) -> list[float]:
        return [one[workload] for one in self.rounds if one.get(workload) is not None]


def rows_of(contestants: list[Contestant], head: str, columns: dict[str, str]) -> list[list[str]]:
    rows = [[head, *columns.values()]]
    for one in contestants:
        if not one.rounds:
            rows.append([one.name, f"not run: {one.why_none}", *[""] * (len(columns) - 1)])
            continue
        rows.append([one.name, *[spread(one.times(workload)) for workload in columns]])
    return rows


def marks_of(contestants: list[Contestant]) -> list[Mark]:
    def time(name: str, workload: str) -> float | None:
        return median([at for one in contestants if one.name == name
                       for at in one.times(workload)])

    def more_than_one(workload: str) -> float | None:
        pair = time(OURS, "pair")
        return ratio(time(OURS, workload), 1000 / pair if pair else None)

    return [*[Mark(text, ratio(time(ours, workload), time(theirs, workload)), most)
              for text, workload, ours, theirs, most in WANTED],
            Mark("two processes at once, beside one", more_than_one("two"), 1.8, at_least=True),
            Mark("the same after 10^7 random steps", more_than_one("two_later"), 1.8,
                 at_least=True),
            *[Mark(text, ratio(time(ours, "handed_over"), time(theirs, "handed_over")), least,
                   at_least=True) for text, ours, theirs, least in HANDED_OVER]]


def report(contestants: list[Contestant]) -> str:
    alone = rows_of(contestants, "ns for each block, median (least to most)", WORKLOADS)
    two = rows_of(contestants, "two at once, million blocks a second", OF_TWO | PROBE)
    return "\n\n".join([table(alone), table(two), table_of_marks(marks_of(contestants))])
