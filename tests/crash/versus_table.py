# SPDX-License-Identifier: Apache-2.0
"""What one run of `scripts/crash versus` says: results of the contests in, a table and a verdict
out. A result is what a program of tests/crash/versus prints, or None and why there is none."""

from dataclasses import dataclass

HEAD = ["system", "kills", "lost for good", "a reader's slots handed out", "survivors stopped",
        "time to notice"]


@dataclass
class Row:
    name: str
    result: dict | None = None
    why_none: str = ""


def cells(row: Row) -> list[str]:
    result = row.result
    if result is None:
        return [row.name, f"not run: {row.why_none}", "", "", "", ""]
    return [f"{result['system']} {result['version']}", str(result["kills"]), lost(result),
            handed_out(result), stopped(result), notice(result)]


def lost(result: dict) -> str:
    """In those kills only after which the survivor went on; nothing can be counted after others."""
    counted = result["kills"] - result["survivors_hung"] - result["survivors_failed"]
    if counted == 0:
        return "nobody left to count"
    share = 100 * result["kills_with_loss"] / counted
    slots = "1 slot" if result["slots_lost"] == 1 else f"{result['slots_lost']} slots"
    text = f"{slots}, in {share:.0f} % of kills"
    return text if counted == result["kills"] else f"{text} ({counted} countable)"


def handed_out(result: dict) -> str:
    if result["overwritten"] is None:
        return "does not apply: no readers"
    return f"{result['overwritten']} of {result['slots_read']}"


def stopped(result: dict) -> str:
    ends = [("survivors_hung", "hung"), ("survivors_failed", "ended by an error")]
    return ", ".join(f"{result[key]} {how}" for key, how in ends if result[key]) or "0"


def notice(result: dict) -> str:
    if not result["notices_deaths"]:
        return "never by itself"
    times = sorted(result["notice_us"])
    words = [f"{readable(times[len(times) // 2])}, at most {readable(times[-1])}"] if times else []
    if result["unnoticed"]:
        words.append(f"{result['unnoticed']} not noticed")
    return ", ".join(words)


def readable(microseconds: float) -> str:
    if microseconds < 1e3:
        return f"{microseconds:.0f} us"
    if microseconds < 1e6:
        return f"{microseconds / 1e3:.1f} ms"
    return f"{microseconds / 1e6:.2f} s"


def table(rows: list[Row]) -> str:
    lines = [HEAD, *(cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines if line is HEAD or column != 1 or
                  not line[1].startswith("not run")) for column in range(len(HEAD))]
    lines.insert(1, ["-" * width for width in widths])
    padded = [[text.ljust(width) for text, width in zip(line, widths)] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def broken_promises(row: Row) -> list[str]:
    """Of shmpool: everything that must not be. Empty is good."""
    result = row.result
    if result is None:
        return [f"it was not run: {row.why_none}"]
    broken = [f"{key} is {result[key]}"
              for key in ("kills_with_loss", "slots_lost", "overwritten", "survivors_hung",
                          "survivors_failed", "unnoticed") if result[key] != 0]
    if result["kills"] == 0:
        broken.append("nobody was killed")
    return broken
