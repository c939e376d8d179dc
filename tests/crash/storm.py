# SPDX-License-Identifier: Apache-2.0
"""A host and nineteen peers at work, and random SIGKILLs and stops of any of them.

Writers, readers and churners are programs of their own: block, drop_newest and drop_oldest, raw
slots, threads that come and go, forks, programs that replace themselves. Who is killed is replaced
at once, the host too. Every payload is checked when it is taken and again before it is given back;
a writer and a reader that live through it all must agree on every message. Two peers work in heaps,
two create heaps, let them grow and destroy them, and let size classes grow and shrink, while the
host that does so is killed; in the end as much memory is taken as at first. The pool is audited
each second and counted at the end. Exit code 1 at the first violation of anything.
"""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build/release/tests/crash/storm/storm"


def add_options(parser):
    parser.add_argument("--seconds", type=float, default=60, help="default 60")
    parser.add_argument("--kills-per-second", type=float, default=80, help="default 80")
    parser.add_argument("--seed", type=int, help="of the blows; default a new one")


def run(options) -> int:
    for command in (["scripts/install-dependencies"], ["scripts/build", "release", "storm"]):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode != 0:
            print(" ".join(command), "failed:", (done.stdout + done.stderr)[-2000:])
            return 1
    words = ["--seconds", options.seconds, "--kills-per-second", options.kills_per_second]
    if options.seed is not None:
        words += ["--seed", options.seed]
    return subprocess.run([PROGRAM, *map(str, words)]).returncode
