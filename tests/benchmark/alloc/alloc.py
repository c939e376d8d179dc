#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a slot costs, beside the fastest pools and mallocs, in one run: rounds are interleaved, each
contestant is a program of its own, alone on one core and then with a second actor on another, and
medians are compared.

A contestant whose package can not be installed is left out with a word. Never fails because of a
number. `null` in the JSON file: that contestant can not do it.
"""

import argparse
import os
import pathlib
import sys
from dataclasses import dataclass, field

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import machine  # noqa: E402
from alloc_marks import Contestant, report  # noqa: E402

PROGRAMS = machine.BUILD / "tests/benchmark/alloc"
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


def build(all_of_them: list[Entrant]):
    for package in sorted({one.package for one in all_of_them if one.package}):
        why = machine.bring(package)
        for one in all_of_them:
            if one.package == package:
                one.why_none = why
    machine.build(sorted({one.target for one in all_of_them if not one.why_none}))


def one_round(entrant: Entrant):
    environment = dict(os.environ)
    if entrant.preload:
        environment["LD_PRELOAD"] = str(LIBRARIES / entrant.preload)
    done = machine.run(PROGRAMS / entrant.target, *filter(None, [entrant.argument]),
                       env=environment, timeout=120)
    try:
        entrant.times.append(machine.last_line_as_json(done))
    except ValueError as error:
        entrant.why_none = str(error)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="default 7")
    parser.add_argument("--quick", action="store_true", help="three rounds")
    parser.add_argument("--json", type=pathlib.Path, help="write all times into this file")
    options = parser.parse_args()
    all_of_them = entrants()
    build(all_of_them)
    for _ in range(3 if options.quick else options.rounds):
        for entrant in all_of_them:
            if not entrant.why_none:
                one_round(entrant)
    print(f"1 KiB; {machine.name()}\n")
    print(report([Contestant(one.name, one.times if not one.why_none else [], one.why_none)
                  for one in all_of_them]))
    machine.write_json(options.json, {one.name: one.times for one in all_of_them})


if __name__ == "__main__":
    main()
