#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: the table of `scripts/crash sweep` says what the program found, and its verdict is bad when
something is not 0. Method: rows as the program prints them, one fault at a time."""

import pathlib
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
import sweep  # noqa: E402

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts/crash"
GOOD = {"name": "free/direct", "instructions": 321, "long": False, "points": 322, "kills": 644,
        "lost": 0, "doubled": 0, "stuck": 0, "broken": 0, "wrong_path": "", "findings": []}
FINDING = {"point": 7, "rivals": "busy", "module": "sweep", "offset": 0x1234, "text": "one is lost"}


class TableOfOperations(unittest.TestCase):
    def test_says_what_was_found(self):
        self.assertRegex(sweep.text_of(GOOD, 1.5), r"^free/direct +321 +322 +644( +0){4} +1.5$")
        self.assertRegex(sweep.text_of(GOOD | {"long": True}, 1), r" 321\* ")

    def test_says_how_to_repeat_a_finding(self):
        text = sweep.text_of(GOOD | {"lost": 1, "findings": [FINDING]}, 1)
        self.assertIn("point 7, rivals busy: one is lost", text)
        self.assertIn("sweep+0x1234", text)
        self.assertIn("scripts/crash sweep --operations free/direct --point 7", text)

    def test_says_when_another_path_was_swept(self):
        self.assertIn("it changed no free list",
                      sweep.text_of(GOOD | {"wrong_path": "it changed no free list"}, 1))


class Verdict(unittest.TestCase):
    def test_is_good_when_nothing_is_wrong(self):
        self.assertTrue(sweep.is_clean(GOOD))

    def test_is_bad_when_one_number_is_not_0(self):
        for sin in sweep.SINS:
            with self.subTest(sin):
                self.assertFalse(sweep.is_clean(GOOD | {sin: 1}))

    def test_is_bad_without_a_kill_or_on_another_path(self):
        self.assertFalse(sweep.is_clean(GOOD | {"kills": 0}))
        self.assertFalse(sweep.is_clean(GOOD | {"wrong_path": "it changed no free list"}))


class Choice(unittest.TestCase):
    NAMES = ["take/moved", "take/empty", "attach"]

    def test_is_all_or_what_the_globs_name(self):
        self.assertEqual(sweep.choose(self.NAMES, None), self.NAMES)
        self.assertEqual(sweep.choose(self.NAMES, ["take/*"]), ["take/moved", "take/empty"])

    def test_refuses_a_glob_that_names_nothing(self):
        with self.assertRaises(SystemExit):
            sweep.choose(self.NAMES, ["attach", "publish/*"])


class CommandLine(unittest.TestCase):
    def test_knows_its_verb(self):
        shown = subprocess.run([SCRIPT, "sweep", "--help"], capture_output=True, text=True)
        self.assertEqual(shown.returncode, 0)
        for option in ("--operations", "--every", "--point", "--list"):
            self.assertIn(option, shown.stdout)


if __name__ == "__main__":
    unittest.main()
