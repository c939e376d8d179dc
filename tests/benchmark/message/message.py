#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a message from one process to another costs, beside what nobody can beat and beside what
others offer, in one run: rounds are interleaved, each contestant is a program of its own whose two
processes stay on their cores, and medians are compared.

Every figure of two cores comes with a probe before and after it. Which cores a virtual machine has
may change while it runs: figures of cores that are near and of cores that are far never mix, and
what was measured while that changed is dropped. A contestant whose package can not be installed is
left out with a word. Never fails because of a number.
"""

import argparse
import contextlib
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import machine  # noqa: E402
import message_marks  # noqa: E402
from message_entrants import fanout_tables, latency_tables, throughput_tables  # noqa: E402
from roudi import RouDi  # noqa: E402

SUBJECTS = {"latency": latency_tables, "throughput": throughput_tables, "fanout": fanout_tables}
PROGRAMS = machine.BUILD / "tests/benchmark/message"
SECONDS_AT_MOST = 20  # Of one run: it only ends what hangs.


def build(tables: list[message_marks.Table]):
    rows = [row for one in tables for row in one.rows]
    for packages in sorted({row.entrant.packages for row in rows if row.entrant.packages}):
        why = next(filter(None, map(machine.bring, packages)), "")
        for row in rows:
            if row.entrant.packages == packages:
                row.why_none = why
    machine.build(sorted({row.entrant.target for row in rows if not row.why_none}))


def run_once(table: message_marks.Table, row: message_marks.Row, quick: bool):
    cores = machine.cores()
    front, back = (cores[0], cores[-1]) if table.two_cores else (cores[-1], cores[-1])
    amount = row.entrant.amount // (2 if quick else 1)
    try:
        done = machine.run(PROGRAMS / row.entrant.target, row.entrant.how, table.workload, front,
                           back, amount, timeout=SECONDS_AT_MOST)
        row.runs.append(machine.last_line_as_json(done))
    except ValueError as error:
        row.why_none = str(error)
    except machine.subprocess.TimeoutExpired:
        row.why_none = f"not done after {SECONDS_AT_MOST} s"


def hold(tables: list[message_marks.Table], rounds: int, quick: bool):
    """Where the cores moved, once more, but not for ever."""
    for number in range(rounds + rounds // 2 + 1):
        for table in tables:
            kind = message_marks.main_kind(tables)
            for row in table.rows:
                if row.why_none or (not table.two_cores and number >= rounds):
                    continue
                if number < rounds or len(message_marks.figures_of(row, kind)) < rounds:
                    run_once(table, row, quick)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("subject", choices=SUBJECTS)
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--quick", action="store_true", help="three short rounds")
    parser.add_argument("--json", type=pathlib.Path, help="write all figures into this file")
    options = parser.parse_args()
    if len(machine.cores()) < 2:
        sys.exit("bench: two processes need two cores")
    tables = SUBJECTS[options.subject]()
    build(tables)
    with_iceoryx = [row for table in tables for row in table.rows
                    if row.entrant.target == "message_iceoryx" and not row.why_none]
    with RouDi() if with_iceoryx else contextlib.nullcontext() as roudi:
        for row in with_iceoryx:
            row.why_none = roudi.why_none
        hold(tables, 3 if options.quick else options.rounds, options.quick)
    print(f"64-byte messages between two processes; {machine.name()}\n")
    print(message_marks.report(options.subject, tables))
    machine.write_json(options.json, message_marks.as_json(tables))


if __name__ == "__main__":
    main()
