#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: the table of `scripts/crash versus` says what the contests found, and its exit code tells
when shmpool broke its promise. Method: results as the programs print them, one fault at a time."""

import pathlib
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
from versus_table import Row, broken_promises, table  # noqa: E402

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts/crash"
GOOD = {"system": "shmpool", "version": "1", "notices_deaths": True, "slots": 120, "kills": 4,
        "kills_with_loss": 0, "slots_lost": 0, "survivors_hung": 0, "survivors_failed": 0,
        "slots_read": 100, "overwritten": 0, "notice_us": [90.0, 1500.0, 200.0, 2.5e6],
        "unnoticed": 0}


def row(**changes) -> Row:
    return Row("shmpool", GOOD | changes)


def text_of(**changes) -> str:
    return table([row(**changes)]).splitlines()[2]


class TableOfContests(unittest.TestCase):
    def test_says_what_was_found(self):
        self.assertRegex(text_of(), r"shmpool 1 +\| 4 +\| 0 slots, in 0 % of kills +\| 0 of 100 +"
                                    r"\| 0 +\| 1.5 ms, at most 2.50 s")
        self.assertIn("3 slots, in 50 % of kills", text_of(kills_with_loss=2, slots_lost=3))
        self.assertIn("| 100 of 100", text_of(overwritten=100))
        self.assertIn("1 hung, 2 ended by an error", text_of(survivors_hung=1, survivors_failed=2))
        self.assertIn("1 not noticed", text_of(unnoticed=1))

    def test_counts_losses_only_where_somebody_could_count(self):
        self.assertIn("1 slot, in 50 % of kills (2 countable)",
                      text_of(survivors_hung=2, kills_with_loss=1, slots_lost=1))
        self.assertIn("nobody left to count", text_of(survivors_hung=4))

    def test_says_what_does_not_apply(self):
        self.assertIn("does not apply", text_of(overwritten=None))
        self.assertIn("never by itself", text_of(notices_deaths=False, notice_us=[]))

    def test_says_why_there_is_no_result(self):
        self.assertIn("not run: no such package", table([Row("x", None, "no such package"), row()]))


class Verdict(unittest.TestCase):
    def test_is_good_when_nothing_is_wrong(self):
        self.assertEqual(broken_promises(row()), [])

    def test_names_each_broken_promise(self):
        for key in ("kills_with_loss", "slots_lost", "overwritten", "survivors_hung",
                    "survivors_failed", "unnoticed"):
            with self.subTest(key):
                self.assertEqual(broken_promises(row(**{key: 1})), [f"{key} is 1"])

    def test_is_bad_without_a_result_or_a_kill(self):
        self.assertTrue(broken_promises(Row("shmpool", None, "it did not start")))
        self.assertTrue(broken_promises(row(kills=0)))
        self.assertTrue(broken_promises(row(overwritten=None)))


class CommandLine(unittest.TestCase):
    def test_knows_its_verb_and_refuses_others(self):
        shown = subprocess.run([SCRIPT, "versus", "--help"], capture_output=True, text=True)
        self.assertEqual(shown.returncode, 0)
        self.assertIn("--kills", shown.stdout)
        refused = subprocess.run([SCRIPT, "verses"], capture_output=True, text=True)
        self.assertEqual(refused.returncode, 2)


if __name__ == "__main__":
    unittest.main()
