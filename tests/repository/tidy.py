#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the rules of the house that no compiler checks: who may include whom, sizes, labels of
memory orders, names, left-overs, files that nobody builds. The tables below are the rules.

    tests/repository/tidy.py [ROOT]      prints one line per sin; exit code 1 if there is any
"""

import pathlib
import re
import sys

# Folder -> folders of ours it may include, besides itself. A folder that is not listed is a sin.
# `tests` covers all its subfolders and may include everything.
SHMPOOL = ["shmpool/platform", "shmpool/quantity", "shmpool/layout", "shmpool/pool",
           "shmpool/heap", "shmpool/segment"]
PROTOCOL = ["protocol", "protocol/layout", "protocol/wire"]
MAY_INCLUDE = {
    "shmpool/platform": [],
    "shmpool/quantity": ["shmpool/platform"],
    "shmpool/layout": ["shmpool/platform"],
    "shmpool/pool": ["shmpool/platform", "shmpool/layout"],
    "shmpool/heap": ["shmpool/platform", "shmpool/layout"],
    "shmpool/segment": ["shmpool/platform", "shmpool/layout"],
    "protocol/layout": ["shmpool/platform", "shmpool/layout"],
    "protocol/wire": ["shmpool/platform", "shmpool/layout", "protocol/layout"],
    "protocol": SHMPOOL + PROTOCOL,
    "peer": SHMPOOL + PROTOCOL,
    "peer/cli": SHMPOOL + PROTOCOL + ["peer"],
    "host": SHMPOOL + PROTOCOL,
    "include": ["peer"],
}

# Headers from outside -> the only folders that may include them, besides tests.
PROGRAMS = ["host", "peer/cli"]
ONLY_HERE = {
    "spdlog/": PROGRAMS,
    "fmt/": PROGRAMS,
    "CLI/": PROGRAMS,
    "toml++/": PROGRAMS,
    "nlohmann/": PROGRAMS,
    "systemd/": ["host"],
    "boost/": ["shmpool/platform", "shmpool/heap"],
    "tl/": ["shmpool/platform"],
    "gtest/": [],
    "gmock/": [],
    "benchmark/": [],
}

# The operating system's headers, and the rooms that talk to it.
SYSTEM_HEADER = re.compile(
    r"(sys|linux|asm|net|netinet|arpa)/.*|(unistd|fcntl|signal|poll|pthread|sched|semaphore|dirent"
    r"|dlfcn|pwd|grp|syslog|termios|getopt|glob|ftw|mqueue|aio|spawn|ucontext|execinfo)\.h")
SYSTEM_ROOMS = ["shmpool/platform", "protocol/wire"]
# Single files that can not do without; each with its headers.
SYSTEM_EXCEPTIONS = {
    "host/kernel_events.cpp": ["fcntl.h", "signal.h", "sys/epoll.h", "sys/eventfd.h",
                               "sys/resource.h", "sys/signalfd.h", "sys/stat.h", "unistd.h"],
    "host/main.cpp": ["signal.h", "unistd.h"],
    "peer/cli/byte_stream.cpp": ["fcntl.h", "unistd.h"],
    "peer/cli/main.cpp": ["signal.h", "unistd.h"],
}

TOP_FOLDERS = {"shmpool", "protocol", "peer", "host", "include", "tests", "scripts", "config",
               "cmake", ".ci", "docs"}
SKIPPED_FOLDERS = re.compile(r"\.git|\.cache|__pycache__|build([-_].*)?")

LINES_MAX = 400
COLUMNS_MAX = 100
HIDING_WORDS = {"util", "utils", "common", "misc", "helper", "helpers", "manager", "managers"}
LEFT_OVER = re.compile(r"\b(FIX" r"ME|XX" r"X)\b")
MACHINE_PATHS = ["/wor" "k/", "/tmp/bri" "ef"]

CODE = {".hpp", ".cpp", ".h", ".c"}
INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^">]+)[">]')
STRONG_ORDER = re.compile(r"memory_order(_|::)(acquire|release|acq_rel|seq_cst)\b")
COMPILER_ORDER = "atomic_signal_fence"  # Orders nothing between threads, so it has no partner.
LABEL = re.compile(r"\[(A|R|AR)-([a-z0-9][a-z0-9_-]*)\]")


class Tidy:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.sins = []
        self.sides = {}  # Label name -> {"A": where, "R": where}

    def report(self, rule, path, line, text):
        where = path.relative_to(self.root).as_posix() if path.is_absolute() else str(path)
        self.sins.append((rule, f"{where}:{line}: [{rule}] {text}"))

    def files(self, folder=None):
        for entry in sorted((folder or self.root).iterdir()):
            if entry.is_symlink():
                continue
            if entry.is_dir():
                if not SKIPPED_FOLDERS.fullmatch(entry.name):
                    yield from self.files(entry)
            else:
                yield entry

    def run(self):
        for path in self.files():
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
            self.check_file(path, text)
        self.check_label_partners()
        return self.sins

    def check_file(self, path, text):
        lines = text.splitlines()
        self.check_names(path)
        for number, line in enumerate(lines, 1):
            if LEFT_OVER.search(line):
                self.report("left_over", path, number, "finish it, or write it down elsewhere")
            for phrase in MACHINE_PATHS:
                if phrase in line:
                    self.report("machine_path", path, number, f"{phrase} is of one machine only")
        is_script = text.startswith("#!")
        is_build_file = path.name == "CMakeLists.txt" or path.suffix == ".cmake"
        if path.suffix in CODE or path.suffix == ".py" or is_script or is_build_file:
            self.check_shape(path, lines)
        if path.suffix in CODE:
            self.check_includes(path, lines)
            self.check_memory_orders(path, lines)
        if path.suffix in {".cpp", ".c"}:
            self.check_is_built(path)

    def check_names(self, path):
        relative = path.relative_to(self.root)
        if len(relative.parts) > 1 and relative.parts[0] not in TOP_FOLDERS:
            self.report("unknown_folder", path, 1, f"{relative.parts[0]}/ is no room of this house")
        for part in relative.parts:
            for word in HIDING_WORDS & set(re.split(r"[^a-z0-9]+", part.lower())):
                self.report("hiding_name", path, 1, f"\"{word}\" says nothing; name what it does")

    def check_shape(self, path, lines):
        head = lines[1:2] if lines and lines[0].startswith("#!") else lines[:1]
        if not head or not re.fullmatch(r"(//|#) SPDX-License-Identifier: Apache-2\.0", head[0]):
            self.report("no_licence", path, 1, "begin with the SPDX line")
        if len(lines) > LINES_MAX:
            self.report("long_file", path, len(lines), f"more than {LINES_MAX} lines")
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS_MAX:
                self.report("long_line", path, number, f"{len(line)} columns, max {COLUMNS_MAX}")

    def check_includes(self, path, lines):
        folder = path.parent.relative_to(self.root).as_posix()
        in_tests = folder.split("/")[0] == "tests"
        if not in_tests and folder not in MAY_INCLUDE:
            self.report("unknown_folder", path, 1, f"{folder}/ has no line in MAY_INCLUDE")
            return
        for number, line in enumerate(lines, 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            if match.group(1) == '"':
                self.check_own_include(path, number, match.group(2), None if in_tests else folder)
            elif not in_tests:
                self.check_outside_include(path, number, match.group(2), folder)

    def check_own_include(self, path, number, header, folder):
        if folder is None and (path.parent / header).is_file():
            return  # A test may name what lies beside it.
        if not (self.root / header).is_file():
            self.report("include_path", path, number, f"{header}: no such file from the root")
            return
        target = header.rpartition("/")[0]
        if folder is not None and target != folder and target not in MAY_INCLUDE[folder]:
            self.report("include_arrow", path, number, f"{folder}/ may not include {target}/")

    def check_outside_include(self, path, number, header, folder):
        for prefix, rooms in ONLY_HERE.items():
            if header.startswith(prefix) and folder not in rooms:
                self.report("outside_library", path, number, f"<{header}> does not belong here")
        allowed = SYSTEM_EXCEPTIONS.get(path.relative_to(self.root).as_posix(), [])
        if SYSTEM_HEADER.fullmatch(header) and folder not in SYSTEM_ROOMS and header not in allowed:
            rooms = ", ".join(SYSTEM_ROOMS)
            self.report("system_header", path, number, f"<{header}> is for {rooms} only")

    def check_memory_orders(self, path, lines):
        for number, line in enumerate(lines, 1):
            here = LABEL.findall(line)
            for side, name in here:
                for one in side:
                    self.sides.setdefault(name, {}).setdefault(one, (path, number))
            code, _, _ = line.partition("//")
            if not STRONG_ORDER.search(code) or COMPILER_ORDER in code:
                continue
            # A comment that no longer fits its line stands above or below.
            if not LABEL.search(" ".join(lines[max(number - 2, 0):number + 1])):
                self.report("unlabelled_order", path, number, "name its partner: [A-...], [R-...]")

    def check_label_partners(self):
        for name, sides in sorted(self.sides.items()):
            for missing in {"A", "R"} - sides.keys():
                path, number = next(iter(sides.values()))
                self.report("lonely_label", path, number, f"nobody carries [{missing}-{name}]")

    def check_is_built(self, path):
        folder = path.parent
        while True:
            name = path.relative_to(folder).as_posix()
            listings = [folder / "CMakeLists.txt", *sorted(folder.glob("*.cmake*"))]
            if any(self.names_it(listing, name) for listing in listings if listing.is_file()):
                return
            if folder == self.root:
                break
            folder = folder.parent
        self.report("not_built", path, 1, "no CMakeLists.txt names it")

    @staticmethod
    def names_it(listing, name):
        """A variable may stand for a folder in front or for a part of a name, not for all."""
        for word in re.findall(r'[^\s()"#]+\.c(?:pp)?\b', listing.read_text(encoding="utf-8")):
            word = re.sub(r"^\$\{[^}]*\}/", "", word)
            parts = [re.escape(part) for part in re.split(r"\$\{[^}]*\}", word)]
            if not word.startswith("${") or not re.fullmatch(r"\.c(pp)?", word.split("}")[-1]):
                if re.fullmatch("[^/]*".join(parts), name):
                    return True
        return False


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2]
    sins = Tidy(pathlib.Path(root).resolve()).run()
    for _, text in sins:
        print(text)
    print(f"{len(sins)} sins" if sins else "tidy")
    return 1 if sins else 0


if __name__ == "__main__":
    sys.exit(main())
