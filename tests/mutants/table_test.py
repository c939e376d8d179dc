#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: the table of mutants can not rot. Method: reads the sources, builds nothing; the old text
of each mutant occurs exactly once in its file, and the tests that shall turn red exist in the
program that is named. Each check is shown to fail on a planted mistake."""

import fnmatch
import re
import sys
import unittest

sys.dont_write_bytecode = True
import table  # noqa: E402

TEST = re.compile(r"^(?:TYPED_)?(TEST|TEST_F|TEST_P)\(\s*(\w+),\s*(\w+)\)", re.MULTILINE)
PARAMETERS = re.compile(r"^INSTANTIATE_TEST_SUITE_P\(\s*(\w+),\s*(\w+)", re.MULTILINE)
PROGRAM = re.compile(r"shmpool_test\(\s*(\w+)([^)]*)\)")


def tests_of_programs():
    """Program -> its tests as (suite with its prefix, name)."""
    programs = {}
    tests = table.ROOT / "tests"
    for listing in [*tests.glob("**/CMakeLists.txt"), *tests.glob("**/*.cmake")]:
        for program, rest in PROGRAM.findall(listing.read_text(encoding="utf-8")):
            found = programs.setdefault(program, set())
            for source in re.findall(r"[\w/]+\.cpp", rest):
                if (listing.parent / source).is_file():
                    found |= tests_in((listing.parent / source).read_text(encoding="utf-8"))
    return programs


def tests_in(text):
    prefixes = {}
    for prefix, suite in PARAMETERS.findall(text):
        prefixes.setdefault(suite, []).append(prefix + "/")
    return {(prefix + suite, name) for macro, suite, name in TEST.findall(text)
            for prefix in (prefixes.get(suite, []) if macro == "TEST_P" else [""])}


def missing_tests(mutant, programs):
    """What the mutant expects to turn red, but is nowhere."""
    missing = []
    for program, filters in mutant.programs():
        for one in filters.split(":"):
            suite, _, name = one.partition(".")
            name = name.partition("/")[0] or "*"  # The parameter is known to the program only.
            if not any(fnmatch.fnmatchcase(test_suite, suite) and fnmatch.fnmatchcase(test, name)
                       for test_suite, test in programs.get(program, [])):
                missing.append(f"{program} {one}")
    return missing


class TableOfMutants(unittest.TestCase):
    def setUp(self):
        self.mutants = table.read_table()
        self.programs = tests_of_programs()

    def test_has_each_name_once(self):
        names = [one.name for one in self.mutants]
        self.assertGreaterEqual(len(names), 30)
        self.assertEqual(sorted(set(names)), sorted(names))

    def test_finds_each_old_text_exactly_once(self):
        for one in self.mutants:
            with self.subTest(one.name):
                table.apply(one, (table.ROOT / one.file).read_text(encoding="utf-8"))

    def test_names_tests_that_exist(self):
        for one in self.mutants:
            with self.subTest(one.name):
                self.assertEqual(missing_tests(one, self.programs), [])

    def test_expects_red_or_says_why_not(self):
        for one in self.mutants:
            with self.subTest(one.name):
                self.assertEqual(bool(one.red), not one.equivalent)

    def test_would_notice_a_text_that_is_gone_or_there_twice(self):
        for text in ["", "a a"]:
            with self.assertRaises(ValueError):
                table.apply(table.Mutant("m", "f", "a", "b"), text)

    def test_would_notice_a_test_or_a_program_that_is_gone(self):
        for red in ["pool_test SeedContract.Nothing", "pool_test Nothing.*", "no_program *"]:
            self.assertEqual(missing_tests(table.Mutant("m", "f", "", "", [red]), self.programs),
                             [red])


if __name__ == "__main__":
    unittest.main()
