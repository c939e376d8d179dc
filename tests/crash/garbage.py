# SPDX-License-Identifier: Apache-2.0
"""A peer that writes random and structured garbage into every word it can reach, while the host and
honest peers work.

Built with the address and undefined behaviour sanitizers unless told otherwise. Episode by episode:
the vandal writes its words; `shmpool doctor` and its sisters look at what is left; `shmpool
rebuild` brings the pool back, and every honest peer has to attach again. Exit code 1 if a process
crashed, an operation hung, or somebody did not come back; each finding names the seed that repeats
the writes.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SANITIZERS = "handle_abort=1:detect_leaks=0:log_path="


def positive(text: str) -> int:
    number = int(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text} is none; give 1 or more")
    return number


def add_options(parser):
    parser.add_argument("--words", type=positive, default=1_000_000,
                        help="how many, of all episodes together; default 1000000")
    parser.add_argument("--words-per-episode", type=positive, default=20_000,
                        help="then the pool is made anew; default 20000")
    parser.add_argument("--seed", type=int, help="of the first episode; default a new one")
    parser.add_argument("--preset", choices=["asan", "release", "debug"], default="asan",
                        help="how the programs are built; default asan")


def run(options) -> int:
    seed = options.seed
    if seed is None:
        seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}, {options.preset}", flush=True)
    if subprocess.run(["scripts/build", options.preset, "garbage"], cwd=ROOT,
                      stdout=subprocess.DEVNULL).returncode != 0:
        print("it can not be built; see scripts/build " + options.preset + " garbage")
        return 1
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="shmpool-garbage-") as folder:
        logs = pathlib.Path(folder) / "sanitizer"
        environment = {**os.environ, "ASAN_OPTIONS": f"{SANITIZERS}{logs}",
                       "UBSAN_OPTIONS": f"print_stacktrace=1:log_path={logs}"}
        done = subprocess.run(
            [ROOT / "build" / options.preset / "tests/crash/garbage/garbage",
             "--words", str(options.words), "--seed", str(seed),
             "--words-per-episode", str(options.words_per_episode)],
            env=environment, stdout=subprocess.PIPE, text=True)
        reports = [path.read_text(errors="replace") for path in
                   sorted(pathlib.Path(folder).iterdir())]
    try:
        tally = json.loads(done.stdout)
    except json.JSONDecodeError:
        print(f"the run ended with {done.returncode}: {done.stdout}")
        return 1
    print_tally(tally, time.monotonic() - begin)
    for report in reports:
        print(report)
    return 1 if tally["findings"] or reports else 0


def print_tally(tally: dict, seconds: float):
    for name, value in tally.items():
        if name != "findings":
            print(f"{name.replace('_', ' '):24}{value:>12}")
    print(f"{'seconds':24}{seconds:>12.0f}")
    print(f"{'findings':24}{len(tally['findings']):>12}")
    for finding in tally["findings"]:
        print(f"\nseed {finding['seed']}: {finding['what']}")
        for word in finding["last_words"]:
            print(f"  {word}")
