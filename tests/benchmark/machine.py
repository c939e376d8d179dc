# SPDX-License-Identifier: Apache-2.0
"""What every contest needs of this machine: its name, its packages, the programs built."""

import json
import os
import pathlib
import platform
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/release"


def run(*command, **more) -> subprocess.CompletedProcess:
    return subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, **more)


def bring(package: str) -> str:
    """Installs it. Why it is not there, in the end; empty if it is."""
    if "ok installed" in run("dpkg-query", "--show", "--showformat=${Status}", package).stdout:
        return ""
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    done = run(*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes",
               "--no-install-recommends", package)
    return "" if done.returncode == 0 else f"{package} can not be installed"


def build(targets: list[str]):
    done = run("scripts/build", "release", *targets)
    if done.returncode != 0:
        sys.exit(f"bench: the contest can not be built: {(done.stdout + done.stderr)[-2000:]}")


def cores() -> list[int]:
    return sorted(os.sched_getaffinity(0))


def processor() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def name() -> str:
    return (f"{processor()}, {len(cores())} cores, Linux {platform.release()}; release build for "
            "x86-64-v2")


def last_line_as_json(done: subprocess.CompletedProcess) -> dict | list:
    """ValueError, with what it said instead, when a program has not ended with figures."""
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise ValueError(f"it ended with {done.returncode}: {done.stderr.strip()[-100:]}") from None


def write_json(file: pathlib.Path | None, what: dict):
    if file:
        file.write_text(json.dumps(what, indent=1) + "\n", encoding="utf-8")
