# SPDX-License-Identifier: Apache-2.0
"""What one run of `scripts/bench alloc` says: nanoseconds of each contestant in each workload and
round in, a table and the marks out."""

import statistics
from dataclasses import dataclass

WORKLOADS = {"pair": "take, give", "burst_64": "bursts of 64", "burst_512": "bursts of 512",
             "burst_4096": "bursts of 4096"}


@dataclass
class Contestant:
    name: str
    rounds: list[dict]  # Nanoseconds for each block by workload, None where it can not do it.
    why_none: str = ""

    def times(self, workload: str) -> list[float]:
        return [one[workload] for one in self.rounds if one[workload] is not None]

    def median(self, workload: str) -> float | None:
        times = self.times(workload)
        return statistics.median(times) if times else None


@dataclass
class Mark:
    text: str
    workload: str
    of: str  # Our contestant,
    beside: str  # and whom it is compared with.
    most: float  # Of our time, as a share of theirs.


MARKS = [
    Mark("take and give, beside DPDK's cached mempool", "pair", "shmpool", "DPDK mempool, cached",
         0.70),
    Mark("the same, beside the seed's algorithm", "pair", "shmpool", "the seed's VarSlotPool",
         1 / 9),
    Mark("the same, beside glibc's malloc", "pair", "shmpool", "malloc of glibc", 0.5),
    Mark("raw free with its exact check, beside the seed", "pair", "shmpool, raw",
         "the seed's VarSlotPool", 1 / 2.5),
    Mark("direct path, beside the seed", "pair", "shmpool, direct", "the seed's VarSlotPool", 1.4),
    Mark("bursts of 64, beside DPDK's cached mempool", "burst_64", "shmpool",
         "DPDK mempool, cached", 1.7),
    Mark("bursts of 512", "burst_512", "shmpool", "DPDK mempool, cached", 1.7),
    Mark("bursts of 4096", "burst_4096", "shmpool", "DPDK mempool, cached", 1.7),
]


def rows_of(contestants: list[Contestant]) -> list[list[str]]:
    rows = [["ns for each block, median (least to most)", *WORKLOADS.values()]]
    for one in contestants:
        if not one.rounds:
            rows.append([one.name, f"not run: {one.why_none}", *[""] * (len(WORKLOADS) - 1)])
            continue
        rows.append([one.name, *[cell(one.times(workload)) for workload in WORKLOADS]])
    return rows


def cell(times: list[float]) -> str:
    if not times:
        return "-"
    return f"{statistics.median(times):.1f} ({min(times):.1f} to {max(times):.1f})"


def judged(contestants: list[Contestant], mark: Mark) -> list[str]:
    """Ratio of medians; the rounds are interleaved, so a slow moment is everybody's."""
    by_name = {one.name: one for one in contestants}
    ours = by_name[mark.of].median(mark.workload) if mark.of in by_name else None
    theirs = by_name[mark.beside].median(mark.workload) if mark.beside in by_name else None
    if ours is None or theirs is None:
        return [mark.text, "-", f"{mark.most:.2f}", "not measured"]
    ratio = ours / theirs
    verdict = "met" if ratio <= mark.most else "not met"
    return [mark.text, f"{ratio:.2f}", f"{mark.most:.2f}", verdict]


def text_of(rows: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(text.ljust(width) for text, width in zip(row, widths)) + " |"
             for row in rows]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


def report(contestants: list[Contestant]) -> str:
    marks = [["our time / theirs", "ratio", "at most", ""],
             *[judged(contestants, mark) for mark in MARKS]]
    return text_of(rows_of(contestants)) + "\n\n" + text_of(marks)
