#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a slot costs, beside the fastest pools and mallocs, in one run: rounds are interleaved, each
contestant is a program of its own on one core, and medians are compared.

A contestant whose package can not be installed is left out with a word. Never fails because of a
number. `null` in the JSON file: that contestant can not do it.
"""

import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys
from dataclasses import dataclass, field

sys.dont_write_bytecode = True
from alloc_marks import Contestant, report  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROGRAMS = ROOT / "build/release/tests/benchmark/alloc"
LIBRARIES = pathlib.Path("/usr/lib/x86_64-linux-gnu")


@dataclass
class Entrant:
    name: str
    target: str
    argument: str = ""
    package: str = ""
    preload: str = ""
    times: list[dict] = field(default_factory=list)
    why_none: str = ""


def entrants() -> list[Entrant]:
    return [
        Entrant("shmpool", "alloc_ours", "handles"),
        Entrant("shmpool, raw", "alloc_ours", "raw"),
        Entrant("shmpool, direct", "alloc_ours", "direct"),
        Entrant("the seed's VarSlotPool", "alloc_seed"),
        Entrant("DPDK mempool, cached", "alloc_dpdk", "cached", "libdpdk-dev"),
        Entrant("DPDK mempool", "alloc_dpdk", "plain", "libdpdk-dev"),
        Entrant("Boost managed_shared_memory", "alloc_boost"),
        Entrant("malloc of glibc", "alloc_malloc"),
        Entrant("malloc of jemalloc", "alloc_malloc", package="libjemalloc2",
                preload="libjemalloc.so.2"),
        Entrant("malloc of mimalloc", "alloc_malloc", package="libmimalloc2.0",
                preload="libmimalloc.so.2.0"),
    ]


def run(*command, **more) -> subprocess.CompletedProcess:
    return subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, **more)


def bring(package: str) -> str:
    """Why it is not there, in the end; empty if it is."""
    if "ok installed" in run("dpkg-query", "--show", "--showformat=${Status}", package).stdout:
        return ""
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    done = run(*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes",
               "--no-install-recommends", package)
    return "" if done.returncode == 0 else f"{package} can not be installed"


def build(all_of_them: list[Entrant]):
    for package in sorted({one.package for one in all_of_them if one.package}):
        why = bring(package)
        for one in all_of_them:
            if one.package == package:
                one.why_none = why
    targets = sorted({one.target for one in all_of_them if not one.why_none})
    done = run("scripts/build", "release", *targets)
    if done.returncode != 0:
        sys.exit(f"bench: the contest can not be built: {(done.stdout + done.stderr)[-2000:]}")


def one_round(entrant: Entrant, core: int):
    environment = dict(os.environ)
    if entrant.preload:
        environment["LD_PRELOAD"] = str(LIBRARIES / entrant.preload)
    done = run(PROGRAMS / entrant.target, *filter(None, [entrant.argument]), env=environment,
               timeout=120, preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    try:
        entrant.times.append(json.loads(done.stdout.splitlines()[-1]))
    except (IndexError, ValueError):
        entrant.why_none = f"it ended with {done.returncode}: {done.stderr.strip()[-100:]}"


def processor() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="default 7")
    parser.add_argument("--quick", action="store_true", help="three rounds")
    parser.add_argument("--json", type=pathlib.Path, help="write all times into this file")
    options = parser.parse_args()
    all_of_them = entrants()
    build(all_of_them)
    core = max(os.sched_getaffinity(0))
    for _ in range(3 if options.quick else options.rounds):
        for entrant in all_of_them:
            if not entrant.why_none:
                one_round(entrant, core)
    print(f"1 KiB, one process on one core; {processor()}, Linux {platform.release()}; release "
          "build for x86-64-v2\n")
    print(report([Contestant(one.name, one.times if not one.why_none else [], one.why_none)
                  for one in all_of_them]))
    if options.json:
        text = json.dumps({one.name: one.times for one in all_of_them}, indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
