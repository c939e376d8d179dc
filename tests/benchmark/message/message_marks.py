# SPDX-License-Identifier: Apache-2.0
"""What one run of `scripts/bench latency`, `throughput` or `fanout` says: what each contestant's
programs printed in, tables and marks out.

A run has many short slices. The kind of a slice is how far its two cores were from each other, by
the probes before and after it. Kinds are found, not known: probes that differ by less than half
belong together. A slice whose own two probes are of two kinds belongs to none. Nor does one count
in which somebody else took a core from a process that only polls: two that must run at once measure
how busy the machine is then. Of one kind, all slices of a run together make its figures; the median
of the runs is compared.
"""

import collections
import statistics
from dataclasses import dataclass, field

from marks import Mark, median, ratio, spread, table, table_of_marks

KINDS_APART = 1.5  # Probes of two kinds differ by that, with none in between.
STEADY = 1.2  # Probes beside a slice differ by less, unless the cores moved during one of them.
SLICES_AT_LEAST = 3  # Of a kind, for figures of a run.

RING, UNICAST = "bare ring", "shmpool, unicast"
LEASED, TWO_LEASED = "shmpool, one leased reader", "shmpool, two leased readers"
TAKE, EPOLL = "shmpool, sleeping in take", "shmpool, sleeping in epoll"
FUTEX, EVENTFD = "bare futex", "bare eventfd, epoll"
MAY_SLEEP, ICEORYX = "shmpool, may sleep, polls", "iceoryx 2.0, polling"
POLL, SLEEP, ONE_CORE = "both poll", "both sleep", "both sleep, on one core"
STREAM, SLEEPING_STREAM = "the reader polls", "the reader may sleep"
FANOUT = "sleeping readers on one core, writers on the other"


@dataclass
class Entrant:
    name: str
    target: str
    how: str
    amount: int
    packages: tuple[str, ...] = ()
    polls: bool = False  # Never sleeps: who takes its core away disturbs it.


@dataclass
class Row:
    entrant: Entrant
    runs: list[dict] = field(default_factory=list)
    why_none: str = ""


@dataclass(frozen=True)
class Kind:
    """Cores that are so many nanoseconds apart; 0 is one core."""
    least: float
    most: float

    def has(self, one_slice: dict) -> bool:
        return all(self.least <= probe <= self.most for probe in one_slice["probes"])


@dataclass
class Table:
    title: str
    workload: str
    rows: list[Row]
    two_cores: bool = True

    def values(self, name: str, figure: str, kind: Kind) -> list[float]:
        return [figures[figure] for row in self.rows if row.entrant.name == name
                for figures in figures_of(row, kind)]


def figures_of_slices(slices: list[dict]) -> dict[str, float]:
    if "histogram" not in slices[0]:
        return {name: statistics.median(one[name] for one in slices)
                for name in slices[0] if name != "probes"}
    seen = collections.Counter()
    for one in slices:
        seen.update(dict(map(tuple, one["histogram"])))
    return {name: quantile(seen, share)
            for name, share in [("p50", 0.5), ("p99", 0.99), ("p99_9", 0.999), ("max", 1)]}


def quantile(seen: dict[int, int], share: float) -> float:
    """The least value that so many of them do not exceed."""
    wanted = share * sum(seen.values())
    so_far = 0
    for value in sorted(seen):
        so_far += seen[value]
        if so_far >= wanted:
            break
    return value


def is_disturbed(row: Row, one_slice: dict) -> bool:
    return row.entrant.polls and one_slice.get("preempted", 0) > 0


def figures_of(row: Row, kind: Kind | None) -> list[dict[str, float]]:
    """Of each run that has something of that kind."""
    of_kind = [[one for one in run["slices"]
                if kind and kind.has(one) and not is_disturbed(row, one)] for run in row.runs]
    return [figures_of_slices(slices) for slices in of_kind if len(slices) >= SLICES_AT_LEAST]


ONE_CORE_KIND = Kind(0, 0)


def cast(writers: int, readers: int) -> str:
    return (f"{writers} writer{'s' if writers > 1 else ''}, "
            f"{readers} reader{'s' if readers > 1 else ''}")


@dataclass
class Wanted:
    text: str
    figure: str
    ours: tuple[str, str]  # Table and name.
    theirs: tuple[str, str]
    wanted: float
    at_least: bool = False


WANTED = [
    *[Wanted(f"{text}, {figure}, beside the bare ring's", figure, (POLL, name), (POLL, RING), most)
      for text, name, most in [("unicast", UNICAST, 1.2), ("one leased reader", LEASED, 1.2),
                               ("two leased readers", TWO_LEASED, 1.4)]
      for figure in ["p50", "p99"]],
    Wanted("asleep in take, p50, beside a bare futex", "p50", (SLEEP, TAKE), (SLEEP, FUTEX), 1.1),
    Wanted("asleep in take, on one core", "p50", (ONE_CORE, TAKE), (ONE_CORE, FUTEX), 1.15),
    Wanted("asleep in epoll, p50, beside a bare eventfd", "p50", (SLEEP, EPOLL), (SLEEP, EVENTFD),
           1.1),
    Wanted("asleep in epoll, on one core", "p50", (ONE_CORE, EPOLL), (ONE_CORE, EVENTFD), 1.15),
]
WANTED_STREAM = [
    Wanted(text, "million_per_s", (place, name), (STREAM, other), least, at_least=True)
    for text, place, name, other, least in [
        ("unicast to a polling reader, beside the bare ring", STREAM, UNICAST, RING, 0.9),
        ("to a reader that may sleep", SLEEPING_STREAM, MAY_SLEEP, RING, 0.75),
        ("to one leased reader", STREAM, LEASED, RING, 0.8),
        ("unicast, beside iceoryx", STREAM, UNICAST, ICEORYX, 10)]
]
WANTED_FANOUT = [
    *[Wanted(f"1 writer, {readers} readers: processor time for each, beside one reader",
             "processor_ns", (FANOUT, cast(1, readers)), (FANOUT, cast(1, 1)), 1.5)
      for readers in (2, 4, 8, 16)],
    # Not slower by more than a third.
    Wanted("4 writers, 1 reader: wall time for a message, beside one writer", "wall_ns",
           (FANOUT, cast(4, 1)), (FANOUT, cast(1, 1)), 1.5),
]
WANTED_OF = {"latency": WANTED, "throughput": WANTED_STREAM, "fanout": WANTED_FANOUT}


def slices_of(tables: list[Table]) -> list[dict]:
    return [one for each in tables if each.two_cores for row in each.rows
            for run in row.runs for one in run["slices"]]


def kinds_of(tables: list[Table]) -> list[Kind]:
    """Those with the most slices first."""
    slices = slices_of(tables)
    groups: list[list[float]] = []
    steady = [one["probes"] for one in slices if max(one["probes"]) < STEADY * min(one["probes"])]
    for probe in sorted(probe for both in steady for probe in both):
        if groups and probe < KINDS_APART * groups[-1][-1]:
            groups[-1].append(probe)
        else:
            groups.append([probe])
    count = {kind: sum(map(kind.has, slices))
             for kind in (Kind(group[0], group[-1]) for group in groups)}
    return sorted((kind for kind in count if count[kind]), key=lambda kind: -count[kind])


def main_kind(tables: list[Table]) -> Kind | None:
    return next(iter(kinds_of(tables)), None)


COLUMNS = {"latency": {"p50": "p50, ns (least to most)", "p99": "p99", "p99_9": "p99.9",
                       "max": "max"},
           "throughput": {"million_per_s": "million messages/s (least to most)"},
           "fanout": {"processor_ns": "processor time for each reader and message, ns "
                                      "(least to most)",
                      "wall_ns": "wall time for each message, ns"}}


def rows_of(one: Table, kind: Kind, *, with_missing: bool) -> list[list[str]]:
    columns = COLUMNS[one.workload]
    rows = [[one.title, *columns.values(), "runs"]]
    digits = 2 if one.workload == "throughput" else 0
    for row in one.rows:
        counted = figures_of(row, kind)
        first, *rest = columns
        if counted:
            rows.append([row.entrant.name, spread([run[first] for run in counted], digits),
                         *[f"{statistics.median(run[name] for run in counted):.{digits}f}"
                           for name in rest], str(len(counted))])
        elif with_missing:
            why = f"not run: {row.why_none}" if row.why_none else "-"
            rows.append([row.entrant.name, why, *[""] * len(columns)])
    return rows


def marks_of(subject: str, tables: list[Table], kind: Kind) -> list[Mark]:
    on_one_core = {one.title for one in tables if not one.two_cores}

    def reached(place: tuple[str, str], figure: str) -> float | None:
        return median([value for one in tables if one.title == place[0]
                       for value in one.values(place[1], figure, kind)])

    return [Mark(one.text, ratio(reached(one.ours, one.figure), reached(one.theirs, one.figure)),
                 one.wanted, one.at_least)
            for one in WANTED_OF[subject]
            if (one.ours[0] in on_one_core) == (kind == ONE_CORE_KIND)]


def tables_of(tables: list[Table], kind: Kind, *, with_missing: bool) -> list[str]:
    of_kind = [rows_of(one, kind, with_missing=with_missing) for one in tables
               if one.two_cores == (kind != ONE_CORE_KIND)]
    return [table(rows) for rows in of_kind if len(rows) > 1]


def report(subject: str, tables: list[Table]) -> str:
    """All of one core, and of the kind that was there most; of the others what there is."""
    kinds = kinds_of(tables)
    slices = slices_of(tables)
    parts = []
    for kind in [ONE_CORE_KIND, *kinds]:
        is_whole = kind in (ONE_CORE_KIND, kinds[0] if kinds else None)
        inside = tables_of(tables, kind, with_missing=is_whole)
        marks = [mark for mark in marks_of(subject, tables, kind)
                 if is_whole or mark.reached is not None]
        if inside and kind != ONE_CORE_KIND:
            parts.append(f"Cores {kind.least:.0f} to {kind.most:.0f} ns apart (a cache line, one "
                         "way, before and after each slice):")
        parts += inside
        parts += [table_of_marks(marks)] if inside and marks else []
    moved = sum(not any(kind.has(one) for kind in kinds) for one in slices)
    if moved:
        parts.append(f"{moved} of {len(slices)} slices, during which the cores moved, are not "
                     "counted.")
    disturbed = sum(is_disturbed(row, one) for each in tables for row in each.rows
                    for run in row.runs for one in run["slices"])
    if disturbed:
        parts.append(f"{disturbed} slices, in which somebody else took a core from a process that "
                     "polls, are not counted.")
    return "\n\n".join(parts)


def as_json(tables: list[Table]) -> dict:
    return {one.title: {row.entrant.name: row.runs for row in one.rows} for one in tables}
