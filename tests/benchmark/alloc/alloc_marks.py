# SPDX-License-Identifier: Apache-2.0
"""What one run of `scripts/bench alloc` says: nanoseconds of each contestant in each workload and
round in, a table and the marks out."""

from dataclasses import dataclass

from marks import Mark, median, ratio, spread, table, table_of_marks

WORKLOADS = {"pair": "take, give", "burst_64": "bursts of 64", "burst_512": "bursts of 512",
             "burst_4096": "bursts of 4096"}
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


@dataclass
class Contestant:
    name: str
    rounds: list[dict]  # Nanoseconds for each block by workload, None where it can not do it.
    why_none: str = ""

    def times(self, workload: str) -> list[float]:
        return [one[workload] for one in self.rounds if one[workload] is not None]


def rows_of(contestants: list[Contestant]) -> list[list[str]]:
    rows = [["ns for each block, median (least to most)", *WORKLOADS.values()]]
    for one in contestants:
        if not one.rounds:
            rows.append([one.name, f"not run: {one.why_none}", *[""] * (len(WORKLOADS) - 1)])
            continue
        rows.append([one.name, *[spread(one.times(workload)) for workload in WORKLOADS]])
    return rows


def marks_of(contestants: list[Contestant]) -> list[Mark]:
    def time(name: str, workload: str) -> float | None:
        return median([at for one in contestants if one.name == name
                       for at in one.times(workload)])

    return [Mark(text, ratio(time(ours, workload), time(theirs, workload)), most)
            for text, workload, ours, theirs, most in WANTED]


def report(contestants: list[Contestant]) -> str:
    return table(rows_of(contestants)) + "\n\n" + table_of_marks(marks_of(contestants))
