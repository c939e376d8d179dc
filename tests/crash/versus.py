# SPDX-License-Identifier: Apache-2.0
"""What others do when a process is killed with -9 in a tight loop, beside shmpool, in one table.

A victim takes slots and gives them back as fast as it can, and is killed at a random moment; a
survivor does the same beside it. Then the system may do all that it does about a death, and the
survivor takes every slot that can be had. At the end a sender is killed while a reader has 100 of
its slots. Time to notice: until the survivor, a writer, knows that the dead reader is gone.
Exit code 1 if shmpool loses a slot, hands out one that is read, or stops a survivor.
"""

import contextlib
import json
import os
import pathlib
import platform
import random
import shutil
import subprocess
import time
from dataclasses import dataclass

import versus_table

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/release"
UNPACKED = BUILD / "versus-packages"
LOGS = BUILD / "versus-logs"
OURS = "shmpool"


@dataclass
class Entrant:
    name: str
    target: str
    installed: tuple[str, ...] = ()  # Packages that must be installed.
    unpacked: str = ""  # A package of headers, which need not be installed and may not be able to.


ENTRANTS = [
    Entrant("seed", "versus_seed"),
    Entrant("iceoryx", "versus_iceoryx",
            installed=("iceoryx", "libiceoryx-posh-dev", "libiceoryx-hoofs-dev")),
    Entrant("interprocess-1.74", "versus_interprocess_1.74", unpacked="libboost1.74-dev"),
    Entrant("interprocess-1.81", "versus_interprocess_1.81", unpacked="libboost1.81-dev"),
    Entrant("lockfree", "versus_lockfree_1.81", unpacked="libboost1.81-dev"),
    Entrant(OURS, "versus_ours"),
]


class CanNot(Exception):
    """Why there is no result."""


def add_options(parser):
    parser.add_argument("--kills", type=int, default=100, help="of each system; default 100")
    parser.add_argument("--seed", type=int, help="of the moments of the kills; default a new one")
    parser.add_argument("--only", action="append", choices=[one.name for one in ENTRANTS],
                        help="this one alone; may be given several times")


def as_root(*command: str) -> list[str]:
    return [*([] if os.geteuid() == 0 else ["sudo"]), "env", "DEBIAN_FRONTEND=noninteractive",
            *command]


def do(command: list, what: str, folder: pathlib.Path = ROOT):
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    except OSError as error:
        raise CanNot(f"{what}: {error}") from None
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise CanNot(f"{what} failed" + (f": {said[-1][:120]}" if said else ""))


def is_installed(package: str) -> bool:
    state = subprocess.run(["dpkg-query", "--show", "--showformat=${db:Status-Status}", package],
                           capture_output=True, text=True)
    return state.stdout == "installed"


class Packages:
    """Of Debian. What fails here costs one row of the table, not the run."""

    def __init__(self):
        self.lists_are_fresh = False

    def bring(self, entrant: Entrant):
        missing = [one for one in entrant.installed if not is_installed(one)]
        if missing:
            self.refresh_lists()
            do(as_root("apt-get", "install", "--yes", "--no-install-recommends", "--no-remove",
                       *missing), "apt-get install " + " ".join(missing))
        if entrant.unpacked and not (UNPACKED / entrant.unpacked).is_dir():
            self.refresh_lists()
            self.unpack(entrant.unpacked)

    def refresh_lists(self):
        if self.lists_are_fresh:
            return
        self.lists_are_fresh = True  # Or as fresh as they get: what is missing then is told below.
        with contextlib.suppress(CanNot):
            do(as_root("apt-get", "update"), "apt-get update")

    @staticmethod
    def unpack(package: str):
        folder = UNPACKED / f"{package}.part"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        do(["apt-get", "download", package], f"apt-get download {package}", folder)
        for archive in folder.glob("*.deb"):
            do(["dpkg-deb", "--extract", archive, folder], f"dpkg-deb {archive.name}")
            archive.unlink()
        folder.rename(UNPACKED / package)


def build(target: str):
    do(["cmake", "--preset", "release", "-DSHMPOOL_VERSUS=ON"], "cmake")
    do(["cmake", "--build", "--preset", "release", "--parallel",
        os.environ.get("SHMPOOL_JOBS", str(os.cpu_count())), "--target", target],
       f"building {target}")


def hold(entrant: Entrant, kills: int, seed: int) -> dict:
    """The contest's result. Its complaints, one for each survivor that ended, are in a log."""
    program = BUILD / "tests/crash/versus" / entrant.target
    LOGS.mkdir(exist_ok=True)
    log = LOGS / f"{entrant.name}.log"
    seconds = 120 + 10 * kills  # Only turns a hang of the harness itself into a row.
    with open(log, "w", encoding="utf-8") as complaints:
        try:
            done = subprocess.run([program, "--kills", str(kills), "--seed", str(seed)],
                                  stdout=subprocess.PIPE, stderr=complaints, text=True,
                                  timeout=seconds)
        except subprocess.TimeoutExpired:
            raise CanNot(f"not done after {seconds} s") from None
    if done.returncode != 0:
        said = log.read_text(encoding="utf-8").strip().splitlines()
        raise CanNot(said[-1] if said else f"exit code {done.returncode}")
    return json.loads(done.stdout)


def try_entrant(entrant: Entrant, packages: Packages, options) -> versus_table.Row:
    begin = time.monotonic()
    print(f"{entrant.name}: ", end="", flush=True)
    try:
        packages.bring(entrant)
        build(entrant.target)
        row = versus_table.Row(entrant.name, hold(entrant, options.kills, options.seed))
        print(f"{options.kills} kills, {time.monotonic() - begin:.0f} s", flush=True)
    except CanNot as why:
        row = versus_table.Row(entrant.name, None, str(why))
        print(why, flush=True)
    return row


def describe_machine() -> str:
    models = [line.partition(":")[2].strip()
              for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
              if line.startswith("model name")]
    return (f"{len(os.sched_getaffinity(0))} cores, {models[0] if models else platform.machine()}, "
            f"Linux {platform.release()}")


def run(options) -> int:
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    chosen = [one for one in ENTRANTS if not options.only or one.name in options.only]
    print(f"seed {options.seed}; {describe_machine()}", flush=True)
    try:
        do(["scripts/install-dependencies"], "scripts/install-dependencies")
    except CanNot as why:
        print(why)
        return 1
    packages = Packages()
    rows = [try_entrant(one, packages, options) for one in chosen]
    print("\n" + versus_table.table(rows))
    broken = [sin for row in rows if row.name == OURS for sin in versus_table.broken_promises(row)]
    for sin in broken:
        print(f"shmpool BROKE ITS PROMISE: {sin}")
    return 1 if broken else 0
