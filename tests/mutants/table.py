# SPDX-License-Identifier: Apache-2.0
"""The table of mutants: every *.toml beside this file. README.md says what a row means."""

import pathlib
import tomllib
from dataclasses import dataclass, field

FOLDER = pathlib.Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]


@dataclass
class Mutant:
    name: str
    file: str  # From the root of the tree.
    old: str  # Occurs exactly once in the file.
    new: str
    red: list[str] = field(default_factory=list)  # "program filter": each of them turns red.
    equivalent: str = ""  # Why no test can turn red; then `red` is empty.

    def programs(self) -> list[tuple[str, str]]:
        return [tuple(one.split()) for one in self.red]


def read_table() -> list[Mutant]:
    mutants = []
    for path in sorted(FOLDER.glob("*.toml")):
        rows = tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]
        mutants += [Mutant(**row) for row in rows]
    return mutants


def apply(mutant: Mutant, text: str) -> str:
    """The text of the broken file; ValueError when the place is not there exactly once."""
    count = text.count(mutant.old)
    if count != 1:
        raise ValueError(f"{mutant.file}: the old text occurs {count} times, not once")
    if mutant.old == mutant.new:
        raise ValueError(f"{mutant.file}: the new text is the old one")
    return text.replace(mutant.old, mutant.new)
