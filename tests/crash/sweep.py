# SPDX-License-Identifier: Apache-2.0
"""Kills a process at every instruction of every public operation, and counts what is left.

The release binary is stepped through each operation with ptrace and killed with -9: at every
instruction if it has at most 2,000 of them, else before and after every store into the segment and
every system call. Every point is killed twice: once with rivals that rest until the victim is
there, once with rivals that work on the same classes and channels from the beginning. After each
kill a real host takes back what the victim held, the rivals work beside it until it has done, and
everything is counted: each slot can be had once, nothing names the dead, no payload of a living one
has changed, nobody is stuck. Exit code 1 if a single number is not 0.

lost     slots that nobody gets any more
doubled  slots handed out twice, or payloads of the living with the bytes of somebody else
stuck    the living wait, or the host never comes to an end with the dead
broken   findings of the audits, and messages of the living that did not arrive
"""

import fnmatch
import json
import os
import pathlib
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/release"
PROGRAM = BUILD / "tests/crash/sweep/sweep"
SINS = ["lost", "doubled", "stuck", "broken"]


def add_options(parser):
    parser.add_argument("--operations", action="append", metavar="GLOB",
                        help="only operations of this name, like 'publish/*'; may be repeated")
    parser.add_argument("--every", type=int, default=1, metavar="N",
                        help="only each n-th point; default 1, all of them")
    parser.add_argument("--point", type=int, metavar="N",
                        help="only this point, as a finding names it")
    parser.add_argument("--list", action="store_true", help="only name the operations")


def build():
    jobs = os.environ.get("SHMPOOL_JOBS", str(os.cpu_count()))
    for command in (["cmake", "--preset", "release"],
                    ["cmake", "--build", "--preset", "release", "--parallel", jobs,
                     "--target", "crash_sweep_program", "shmpoold"]):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(done.stdout + done.stderr)


def known_operations() -> list[str]:
    listed = subprocess.run([PROGRAM, "--list"], check=True, capture_output=True, text=True)
    return listed.stdout.split()


def choose(names: list[str], globs: list[str] | None) -> list[str]:
    if not globs:
        return names
    for glob in globs:
        if not fnmatch.filter(names, glob):
            raise SystemExit(f"no operation is called {glob}; --list names them")
    return [name for name in names if any(fnmatch.fnmatch(name, glob) for glob in globs)]


def place_of(offset: int) -> str:
    """Where an instruction of the program stands in the source, if a tool is there to tell."""
    try:
        found = subprocess.run(["addr2line", "-Cfspe", PROGRAM, hex(offset)],
                               capture_output=True, text=True)
    except OSError:
        return ""
    return found.stdout.strip()


def head() -> str:
    columns = "".join(f"{title:>9}" for title in ["instr.", "points", "kills", *SINS, "seconds"])
    return f"{'operation':34}{columns}"


def text_of(row: dict, seconds: float) -> str:
    long = "*" if row["long"] else " "
    numbers = "".join(f"{row[key]:9}" for key in ["points", "kills", *SINS])
    lines = [f"{row['name']:34}{row['instructions']:8}{long}{numbers}{seconds:9.1f}"]
    for finding in row["findings"]:
        lines += [f"  point {finding['point']}, rivals {finding['rivals']}: {finding['text']}",
                  f"    killed before {finding['module']}+{finding['offset']:#x} "
                  f"{place_of(finding['offset'])}",
                  f"    again: scripts/crash sweep --operations {row['name']} "
                  f"--point {finding['point']}"]
    if row["wrong_path"]:
        lines.append(f"  not swept as it should be: {row['wrong_path']}")
    return "\n".join(lines)


def is_clean(row: dict) -> bool:
    return row["kills"] > 0 and not row["wrong_path"] and not any(row[sin] for sin in SINS)


def sweep(names: list[str], options) -> list[dict]:
    command = [PROGRAM, *names, "--every", str(options.every)]
    if options.point is not None:
        command += ["--point", str(options.point)]
    rows = []
    begin = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        for line in program.stdout:
            rows.append(json.loads(line))
            print(text_of(rows[-1], time.monotonic() - begin), flush=True)
            begin = time.monotonic()
    if program.returncode != 0 or len(rows) != len(names):
        raise SystemExit(f"the sweep did not come to its end: exit code {program.returncode}")
    return rows


def run(options) -> int:
    build()
    names = choose(known_operations(), options.operations)
    if options.list:
        print("\n".join(names))
        return 0
    begin = time.monotonic()
    print(head(), flush=True)
    rows = sweep(names, options)
    kills = sum(row["kills"] for row in rows)
    points = sum(row["points"] for row in rows)
    found = ", ".join(f"{sum(row[sin] for row in rows)} {sin}" for sin in SINS)
    print(f"{len(rows)} operations, {points} points, {kills} kills: {found}; "
          f"{time.monotonic() - begin:.0f} s")
    print("* longer than 2,000 instructions: before and after each store and system call")
    return 0 if all(is_clean(row) for row in rows) else 1
