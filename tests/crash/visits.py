# SPDX-License-Identifier: Apache-2.0
"""What the verbs sweep and stops have in common: the program behind them visits points of
operations, and their table has a row for each operation."""

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


def add_options(parser, every: int):
    parser.add_argument("--operations", action="append", metavar="GLOB",
                        help="only operations of this name, like 'publish/*'; may be repeated")
    parser.add_argument("--every", type=int, default=every, metavar="N",
                        help=f"only each n-th point; default {every}, 1: all of them")
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


class Table:
    """Of one verb. Columns: titles of the table, and keys of the program's rows."""

    def __init__(self, verb: str, columns: dict[str, str], footnote: str = ""):
        self.verb = verb
        self.footnote = footnote
        self.columns = columns | {sin: sin for sin in SINS}

    def head(self) -> str:
        titles = ["instr.", *self.columns, "seconds"]
        return f"{'operation':34}" + "".join(f"{title:>9}" for title in titles)

    def text_of(self, row: dict, seconds: float) -> str:
        long = "*" if row["long"] else " "
        numbers = "".join(f"{row[key]:9}" for key in self.columns.values())
        lines = [f"{row['name']:34}{row['instructions']:8}{long}{numbers}{seconds:9.1f}"]
        for finding in row["findings"]:
            lines += [f"  point {finding['point']}, {finding['visit']}: {finding['text']}",
                      f"    it stood before {finding['module']}+{finding['offset']:#x} "
                      f"{place_of(finding['offset'])}",
                      f"    again: scripts/crash {self.verb} --operations {row['name']} "
                      f"--point {finding['point']}"]
        if row["wrong_path"]:
            lines.append(f"  not visited as it should be: {row['wrong_path']}")
        return "\n".join(lines)

    def total(self, rows: list[dict]) -> str:
        sums = [f"{sum(row[key] for row in rows)} {title}"
                for title, key in self.columns.items()]
        return f"{len(rows)} operations, {', '.join(sums)}"

    def fill(self, names: list[str], options, more: list[str]) -> list[dict]:
        """Prints a row as soon as it is there."""
        command = [PROGRAM, *names, "--every", str(options.every), *more]
        if options.point is not None:
            command += ["--point", str(options.point)]
        rows = []
        begin = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
            for line in program.stdout:
                rows.append(json.loads(line))
                print(self.text_of(rows[-1], time.monotonic() - begin), flush=True)
                begin = time.monotonic()
        if program.returncode != 0 or len(rows) != len(names):
            raise SystemExit(f"it did not come to its end: exit code {program.returncode}")
        return rows


def is_clean(row: dict) -> bool:
    return row["visits"] > 0 and not row["wrong_path"] and not any(row[sin] for sin in SINS)


def run(table: Table, options, more: list[str]) -> list[dict]:
    """The rows; none if only the names were wanted."""
    build()
    names = choose(known_operations(), options.operations)
    if options.list:
        print("\n".join(names))
        return []
    begin = time.monotonic()
    print(table.head(), flush=True)
    rows = table.fill(names, options, more)
    print(f"{table.total(rows)}; {time.monotonic() - begin:.0f} s", table.footnote, sep="\n")
    return rows
