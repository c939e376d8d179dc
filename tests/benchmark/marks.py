# SPDX-License-Identifier: Apache-2.0
"""What a contest says at its end: tables of medians with their spread, and each mark with what was
reached, what is wanted, and `met` or `not met`."""

import statistics
from dataclasses import dataclass

HEAD = ["mark", "reached", "wanted", ""]


@dataclass
class Mark:
    text: str
    reached: float | None  # None: it was not measured.
    wanted: float
    at_least: bool = False  # Else at most.
    unit: str = ""  # None for a ratio.

    def row(self) -> list[str]:
        wanted = f"{'at least' if self.at_least else 'at most'} {self.wanted:.2f}{self.unit}"
        if self.reached is None:
            return [self.text, "-", wanted, "not measured"]
        is_met = (self.reached >= self.wanted) if self.at_least else (self.reached <= self.wanted)
        return [self.text, f"{self.reached:.2f}{self.unit}", wanted, "met" if is_met else "not met"]


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """Of medians: rounds are interleaved, so a slow moment is everybody's."""
    return None if ours is None or not theirs else ours / theirs


def median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None


def spread(values: list[float], digits: int = 1) -> str:
    if not values:
        return "-"
    return (f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to "
            f"{max(values):.{digits}f})")


def table(rows: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(text.ljust(width) for text, width in zip(row, widths)) + " |"
             for row in rows]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


def table_of_marks(marks: list[Mark]) -> str:
    return table([HEAD, *[mark.row() for mark in marks]])
