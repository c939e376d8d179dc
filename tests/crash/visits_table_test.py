#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: the tables of `scripts/crash sweep` and `stops` say what the program found, and the verdict
is bad when something is not 0. Method: rows as the program prints them, one fault at a time."""

import pathlib
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
import stops  # noqa: E402
import sweep  # noqa: E402
import visits  # noqa: E402

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts/crash"
GOOD = {"name": "free/direct", "instructions": 321, "long": False, "points": 322, "visits": 644,
        "missed": 3,
        "lost": 0, "doubled": 0, "stuck": 0, "broken": 0, "wrong_path": "", "findings": []}
FINDING = {"point": 7, "visit": "busy", "module": "sweep", "offset": 0x1234, "text": "one is lost"}


class TableOfOperations(unittest.TestCase):
    def test_says_what_was_found(self):
        self.assertRegex(sweep.TABLE.text_of(GOOD, 1.5),
                         r"^free/direct +321 +322 +644 +3( +0){4} +1.5$")
        self.assertRegex(sweep.TABLE.text_of(GOOD | {"long": True}, 1), r" 321\* ")

    def test_says_how_to_repeat_a_finding(self):
        text = sweep.TABLE.text_of(GOOD | {"lost": 1, "findings": [FINDING]}, 1)
        self.assertIn("point 7, busy: one is lost", text)
        self.assertIn("sweep+0x1234", text)
        self.assertIn("scripts/crash sweep --operations free/direct --point 7", text)

    def test_of_stops_says_who_went_on(self):
        row = GOOD | {"suspected": 5, "killed": 6, "went_on": 641}
        self.assertRegex(stops.TABLE.text_of(row, 1.5),
                         r"^free/direct +321 +322 +644 +3 +5 +6 +641( +0){4} +1.5$")

    def test_says_when_another_path_was_swept(self):
        self.assertIn("it changed no free list",
                      sweep.TABLE.text_of(GOOD | {"wrong_path": "it changed no free list"}, 1))


class Verdict(unittest.TestCase):
    def test_is_good_when_nothing_is_wrong(self):
        self.assertTrue(visits.is_clean(GOOD))

    def test_is_bad_when_one_number_is_not_0(self):
        for sin in visits.SINS:
            with self.subTest(sin):
                self.assertFalse(visits.is_clean(GOOD | {sin: 1}))

    def test_is_bad_without_a_kill_or_on_another_path(self):
        self.assertFalse(visits.is_clean(GOOD | {"visits": 0}))
        self.assertFalse(visits.is_clean(GOOD | {"wrong_path": "it changed no free list"}))


    def test_is_bad_when_somebody_who_was_stopped_is_missing(self):
        row = GOOD | {"killed": 4, "went_on": 643}
        self.assertTrue(stops.is_clean(row))
        self.assertFalse(stops.is_clean(row | {"went_on": 642}))


class Choice(unittest.TestCase):
    NAMES = ["take/moved", "take/empty", "attach"]

    def test_is_all_or_what_the_globs_name(self):
        self.assertEqual(visits.choose(self.NAMES, None), self.NAMES)
        self.assertEqual(visits.choose(self.NAMES, ["take/*"]), ["take/moved", "take/empty"])

    def test_refuses_a_glob_that_names_nothing(self):
        with self.assertRaises(SystemExit):
            visits.choose(self.NAMES, ["attach", "publish/*"])


class CommandLine(unittest.TestCase):
    def test_knows_its_verbs(self):
        for verb in ("sweep", "stops"):
            shown = subprocess.run([SCRIPT, verb, "--help"], capture_output=True, text=True)
            self.assertEqual(shown.returncode, 0)
            for option in ("--operations", "--every", "--point", "--list"):
                self.assertIn(option, shown.stdout)


if __name__ == "__main__":
    unittest.main()
