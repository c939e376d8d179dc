# SPDX-License-Identifier: Apache-2.0
"""iceoryx's daemon for as long as a contest lasts, with one pool of small chunks."""

import contextlib
import pathlib
import shutil
import subprocess
import tempfile
import time

CONFIG = "[general]\nversion = 1\n[[segment]]\n[[segment.mempool]]\nsize = 128\ncount = 4096\n"


class RouDi:
    """`why_none` says why there is none: it is not installed, or it ended at once."""

    def __init__(self):
        self.why_none = ""
        self.process = None
        self.folder = None

    def __enter__(self) -> "RouDi":
        program = shutil.which("iox-roudi")
        if not program:
            self.why_none = "there is no iox-roudi"
            return self
        self.folder = tempfile.TemporaryDirectory()
        config = pathlib.Path(self.folder.name) / "roudi.toml"
        config.write_text(CONFIG, encoding="utf-8")
        self.process = subprocess.Popen(
            [program, "--monitoring-mode", "off", "--config-file", str(config)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)
        if self.process.poll() is not None:
            self.why_none = "iox-roudi ended at once: does another one run?"
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=10)
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        if self.folder:
            self.folder.cleanup()
