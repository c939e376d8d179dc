#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The story that `scripts/run` tells: one host, several writers and readers, two kills, two pauses.

Channel `film`: a writer streams a file of several hundred megabytes to three readers under `block`.
One reader is killed with -9 on the way, one is stopped for a while and goes on. Channel `doomed`:
a writer is killed with -9 in the middle; its reader must have a prefix without a gap. Channel
`lossy`: under `drop_oldest` a reader is stopped while the writer goes on; the counted drops must
explain every gap. At the end every surviving output is compared by sha256, every slot must be back,
and the same film is streamed once more as fast as it goes.
"""

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

POOL = "story"
CHUNK_BYTES = 64 * 1024
DEPTH = 4


class Story:
    def __init__(self, programs: Path, folder: Path, megabytes: int):
        self.programs = programs
        self.folder = folder
        self.bytes = megabytes * 1024 * 1024
        self.environment = dict(os.environ, SHMPOOL_RUNTIME_DIR=str(folder), SHMPOOL_POOL=POOL)
        self.started: list[subprocess.Popen] = []

    def start(self, program: str, *arguments: str) -> subprocess.Popen:
        log = open(self.folder / f"log-{len(self.started)}-{Path(program).name}", "wb")
        process = subprocess.Popen(
            [self.programs / program, *arguments], env=self.environment, stderr=log, stdout=log
        )
        self.started.append(process)
        return process

    def rate_for_seconds(self, seconds: int) -> str:
        """Messages per second that let the film last so long: time for the kills."""
        return str(max(20, self.bytes // CHUNK_BYTES // seconds))

    def host(self) -> subprocess.Popen:
        return self.start("host/shmpoold", "--name", POOL,
                          "--class", "4KiB:1024", "--class", "64KiB:256")

    def command(self, *arguments: str) -> subprocess.Popen:
        return self.start("peer/cli/shmpool", *arguments)

    def status(self) -> dict:
        shown = subprocess.run(
            [self.programs / "peer/cli/shmpool", "status", "--json"],
            env=self.environment, capture_output=True, check=True,
        )
        return json.loads(shown.stdout)

    def wait_until(self, what: str, condition, seconds: float = 30.0):
        """Polls a condition; the time limit only turns a hang into a message."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            value = condition()
            if value:
                return value
            time.sleep(0.01)
        raise SystemExit(f"not within {seconds:.0f} s: {what}; see the logs in {self.folder}")

    def status_or_none(self):
        try:
            return self.status()
        except subprocess.CalledProcessError:
            return None

    def stop_all(self):
        for process in reversed(self.started):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()


def make_film(path: Path, wanted: int):
    """Real content: the machine's own programs and libraries in one archive, cut to size."""
    with open(path, "wb") as film:
        archive = subprocess.Popen(
            ["tar", "-cf", "-", "-C", "/usr", "bin", "lib", "share"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        left = wanted
        while left > 0:
            block = archive.stdout.read(min(left, 1 << 20))
            if not block:
                block = os.urandom(min(left, 1 << 20))
            film.write(block)
            left -= len(block)
        archive.kill()
        archive.wait()


def sha256_of(path: Path, limit: int | None = None) -> str:
    digest = hashlib.sha256()
    left = path.stat().st_size if limit is None else limit
    with open(path, "rb") as content:
        while left > 0:
            block = content.read(min(left, 1 << 20))
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def kill_and_watch(story: Story, victim: subprocess.Popen, name: str) -> tuple[float, float]:
    """kill -9; microseconds until the host noticed, and until it had taken everything back."""
    before = story.status()["reclaims"]["peers_total"]
    killed_at_ns = time.monotonic_ns()
    victim.send_signal(signal.SIGKILL)
    reclaims = story.wait_until(
        f"{name} reclaimed",
        lambda: (r := story.status()["reclaims"])["peers_total"] > before and r,
    )
    victim.wait()
    return (
        (reclaims["last_notice_at_ns"] - killed_at_ns) / 1000,
        (reclaims["last_reclaim_at_ns"] - killed_at_ns) / 1000,
    )


def say_kill(whom: str, notice_us: float, reclaimed_us: float):
    print(f"kill -9 of a {whom}: noticed after {notice_us:.0f} us, "
          f"everything taken back after {reclaimed_us:.0f} us")


def progress(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def tell(story: Story) -> bool:
    folder = story.folder
    film = folder / "film"
    print(f"making a film of {story.bytes >> 20} MiB out of this machine's own files")
    make_film(film, story.bytes)
    want = sha256_of(film)

    host = story.host()
    story.wait_until("the host is ready", story.status_or_none)
    print(f"host {host.pid} is ready: pool '{POOL}', slots of 4 KiB and 64 KiB")

    depth = ["--depth", str(DEPTH), "--until-ended"]
    readers = {
        name: story.command("sub", "film", "--output", str(folder / name), *depth,
                            "--report", str(folder / f"{name}.json"))
        for name in ("reader-1", "reader-2", "reader-3")
    }
    lone = story.command("sub", "doomed", "--output", str(folder / "lone"), *depth,
                         "--report", str(folder / "lone.json"))
    writer = story.command("pub", "film", "--input", str(film), "--chunk", str(CHUNK_BYTES),
                           "--wait-subscribers", "3", "--rate", story.rate_for_seconds(4),
                           "--report", str(folder / "writer.json"))
    doomed = story.command("pub", "doomed", "--input", str(film), "--chunk", str(CHUNK_BYTES),
                           "--wait-subscribers", "1", "--rate", story.rate_for_seconds(6))

    story.wait_until("the stream flows", lambda: progress(folder / "reader-1") > story.bytes // 8)
    notice, reclaimed = kill_and_watch(story, readers["reader-3"], "the killed reader")
    say_kill("reader", notice, reclaimed)

    readers["reader-2"].send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    readers["reader-2"].send_signal(signal.SIGCONT)
    print("a reader was stopped for half a second (SIGSTOP, SIGCONT)")

    story.wait_until("the doomed stream flows",
                     lambda: progress(folder / "lone") > story.bytes // 8)
    notice, reclaimed = kill_and_watch(story, doomed, "the killed writer")
    say_kill("writer", notice, reclaimed)

    for process in (writer, readers["reader-1"], readers["reader-2"], lone):
        story.wait_until("the streams end", lambda p=process: p.poll() is not None, 60)
    return judge(story, want, film)


class Verdict:
    """Prints every check, and remembers whether one of them failed."""

    def __init__(self):
        self.good = True

    def check(self, what: str, holds: bool):
        self.good = self.good and holds
        print(f"  {'ok ' if holds else 'BAD'}  {what}")


def judge(story: Story, want: str, film: Path) -> bool:
    folder = story.folder
    verdict = Verdict()
    writer = json.loads((folder / "writer.json").read_text())
    lone = json.loads((folder / "lone.json").read_text())
    print(f"streamed {writer['messages']} messages, {writer['bytes']} bytes (paced, for the kills)")
    for name in ("reader-1", "reader-2"):
        verdict.check(f"{name}: sha256 equal to the film's", sha256_of(folder / name) == want)
    prefix = progress(folder / "lone")
    same = prefix > 0 and sha256_of(folder / "lone") == sha256_of(film, prefix)
    verdict.check(f"reader of the killed writer: {lone['messages']} messages, {prefix} bytes, "
                  "sha256 equal to that prefix of the film", same)
    verdict.check(f"it was told '{lone['ended']}'", lone["ended"] == "ended_by_death")
    lossy_story(story, verdict)
    judge_pool(story, verdict)
    fast_story(story, film, want, verdict)
    return verdict.good


def lossy_story(story: Story, verdict: Verdict):
    """drop_oldest: what came must be what was sent, less exactly the drops that were counted."""
    folder = story.folder
    sent = [number.to_bytes(8, "little") + os.urandom(4088) for number in range(8000)]
    (folder / "numbers").write_bytes(b"".join(sent))
    reader = story.command("sub", "lossy", "--output", str(folder / "lossy"), "--depth", "4",
                           "--policy", "drop_oldest", "--until-ended",
                           "--report", str(folder / "lossy.json"))
    writer = story.command("pub", "lossy", "--input", str(folder / "numbers"), "--chunk", "4096",
                           "--rate", "4000", "--policy", "drop_oldest", "--wait-subscribers", "1")
    story.wait_until("the lossy stream flows", lambda: progress(folder / "lossy") > 40_000)
    reader.send_signal(signal.SIGSTOP)
    time.sleep(0.2)
    reader.send_signal(signal.SIGCONT)
    for process in (writer, reader):
        story.wait_until("the lossy stream ends", lambda p=process: p.poll() is not None, 60)
    report = json.loads((folder / "lossy.json").read_text())
    content = (folder / "lossy").read_bytes()
    came = [content[at:at + 4096] for at in range(0, len(content), 4096)]
    numbers = [int.from_bytes(one[:8], "little") for one in came]
    ordered = all(a < b for a, b in zip(numbers, numbers[1:]))
    whole = all(sent[number] == one for number, one in zip(numbers, came))
    verdict.check(f"drop_oldest: {len(came)} of {len(sent)} messages came, in order and unchanged",
                  ordered and whole)
    verdict.check(f"the {report['dropped']} counted drops explain every gap",
                  report["dropped"] > 0 and len(came) + report["dropped"] == len(sent))


def judge_pool(story: Story, verdict: Verdict):
    status = story.wait_until("everybody's slots are back", lambda: quiet(story.status()))
    for one in status["classes"]:
        free, count = one["free"], one["slot_count"]
        verdict.check(f"slots of {one['slot_size']} bytes: {free} of {count} free", free == count)
    reclaims = status["reclaims"]
    print(f"       {reclaims['peers_total']} peers died, "
          f"{reclaims['slots_total']} slots were taken back from them")
    doctor = subprocess.run([story.programs / "peer/cli/shmpool", "doctor"],
                            env=story.environment, capture_output=True, text=True)
    said = (doctor.stdout.strip() or doctor.stderr.strip()).splitlines()[-1]
    verdict.check(f"shmpool doctor: {said}", doctor.returncode == 0)


def fast_story(story: Story, film: Path, want: str, verdict: Verdict):
    folder = story.folder
    for name in ("reader-1", "reader-2", "reader-3", "lone", "lossy"):
        (folder / name).unlink()
    names = ("fast-1", "fast-2")
    readers = [story.command("sub", "fast", "--output", str(folder / name), "--until-ended",
                             "--depth", "16") for name in names]
    writer = story.command("pub", "fast", "--input", str(film), "--chunk", str(CHUNK_BYTES),
                           "--wait-subscribers", "2", "--report", str(folder / "fast.json"))
    for process in (writer, *readers):
        story.wait_until("the fast stream ends", lambda p=process: p.poll() is not None, 60)
    fast = json.loads((folder / "fast.json").read_text())
    for name in names:
        verdict.check(f"{name}: sha256 equal to the film's", sha256_of(folder / name) == want)
    print(f"unpaced, file to two files: {fast['messages']} messages, {fast['bytes']} bytes in "
          f"{fast['seconds']:.2f} s: {fast['megabytes_per_second']:.0f} MB/s to each reader")


def quiet(status: dict):
    free = all(one["free"] == one["slot_count"] for one in status["classes"])
    return status if free and not status["peers"] else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=Path, required=True, help="the build folder")
    parser.add_argument("--megabytes", type=int, default=300, help="size of the film (default 300)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shmpool-story-") as folder:
        story = Story(arguments.programs.resolve(), Path(folder), arguments.megabytes)
        try:
            good = tell(story)
        finally:
            story.stop_all()
    print("nothing was lost" if good else "SOMETHING WAS LOST")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
