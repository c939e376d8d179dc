#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What many slots, many peers and a large segment cost, beside few and a small one: rounds are
interleaved, in each the large and the small take turns, and medians are compared.

Idle peers are processes of their own. Never fails because of a number: what could not be measured
is said, and left out.
"""

import argparse
import os
import pathlib
import sys
from dataclasses import dataclass

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import machine  # noqa: E402
from scale_marks import (COMMITTED, FEW, FEW_IN_MANY, MANY, SMALL, SPARSE, TWO,  # noqa: E402
                         TWO_HUNDRED, report)

PROGRAMS = machine.BUILD / "tests/benchmark/scale"


@dataclass
class Program:
    names: list[str]  # Of those whom it measures.
    target: str
    arguments: list[str]
    one_core: bool = False


def programs(watch_ms: int) -> list[Program]:
    """The host looks at its peers every 2.5 s: it is watched for a multiple of that."""
    return [
        Program([FEW, FEW_IN_MANY, MANY], "scale_slots", ["1:1000", "16:1000", "16:1000000"],
                one_core=True),
        Program([SMALL, SPARSE, COMMITTED], "scale_attach",
                ["4KiB:256", "4KiB:256:16777216", "4KiB:65536"]),
        Program([TWO, TWO_HUNDRED], "scale_idle", [str(watch_ms), "2", "200"]),
    ]


def measure(one: Program, rounds: dict[str, list[dict]]):
    cores = machine.cores()
    done = machine.run(PROGRAMS / one.target, *one.arguments, timeout=120,
                       preexec_fn=lambda: os.sched_setaffinity(
                           0, {cores[-1]} if one.one_core else cores))
    try:
        figures = machine.last_line_as_json(done)
    except ValueError as error:
        print(f"bench: {', '.join(one.names)} not measured: {error}", file=sys.stderr)
        return
    for name, of_one in zip(one.names, figures):
        rounds[name].append(of_one)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="default 7")
    parser.add_argument("--quick", action="store_true", help="five rounds, shorter looks")
    parser.add_argument("--json", type=pathlib.Path, help="write all figures into this file")
    options = parser.parse_args()
    all_of_them = programs(2_500 if options.quick else 10_000)
    machine.build(sorted({one.target for one in all_of_them}))
    rounds: dict[str, list[dict]] = {name: [] for one in all_of_them for name in one.names}
    for _ in range(5 if options.quick else options.rounds):
        for one in all_of_them:
            measure(one, rounds)
    print(f"{machine.name()}\n")
    print(report(rounds))
    machine.write_json(options.json, rounds)


if __name__ == "__main__":
    main()
