#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What it costs a size class to grow by 64 MiB, beside the kernel's own fallocate of as much, in
turns in one run: alone, and while messages flow through the class that grows.

Never fails because of a number: what could not be measured is said, and left out.
"""

import argparse
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import machine  # noqa: E402
from growth_marks import BUSY, QUIET, report  # noqa: E402

PROGRAM = machine.BUILD / "tests/benchmark/growth/growth_step"
STEPS = 6


def measure(name: str, rounds: dict[str, list[dict]]):
    done = machine.run(PROGRAM, STEPS, int(name == BUSY), timeout=120)
    try:
        rounds[name].append(machine.last_line_as_json(done))
    except ValueError as error:
        print(f"bench: growth while {name} was not measured: {error}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=15, help="default 15")
    parser.add_argument("--quick", action="store_true", help="five rounds")
    parser.add_argument("--json", type=pathlib.Path, help="write all figures into this file")
    options = parser.parse_args()
    machine.build([PROGRAM.name])
    rounds: dict[str, list[dict]] = {QUIET: [], BUSY: []}
    for _ in range(5 if options.quick else options.rounds):
        for name in rounds:
            measure(name, rounds)
    print(f"{STEPS} steps a round; {machine.name()}\n")
    print(report(rounds))
    machine.write_json(options.json, rounds)


if __name__ == "__main__":
    main()
