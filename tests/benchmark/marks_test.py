#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: what `scripts/bench` says about a mark is true. Method: marks on both sides of what is
wanted, and those that nobody measured."""

import sys
import unittest

sys.dont_write_bytecode = True
from marks import Mark, ratio, spread, table_of_marks  # noqa: E402


class Marks(unittest.TestCase):
    def test_at_most_is_met_from_below(self):
        self.assertEqual(Mark("m", 0.70, 0.7).row(), ["m", "0.70", "at most 0.70", "met"])
        self.assertEqual(Mark("m", 0.71, 0.7).row()[3], "not met")

    def test_at_least_is_met_from_above(self):
        self.assertEqual(Mark("m", 1.9, 1.8, at_least=True, unit=" M/s").row(),
                         ["m", "1.90 M/s", "at least 1.80 M/s", "met"])
        self.assertEqual(Mark("m", 1.7, 1.8, at_least=True).row()[3], "not met")

    def test_what_was_not_measured_is_neither(self):
        self.assertEqual(Mark("m", None, 1.0).row()[1:], ["-", "at most 1.00", "not measured"])
        self.assertIsNone(ratio(None, 1.0))
        self.assertIsNone(ratio(1.0, None))
        self.assertIsNone(ratio(1.0, 0.0))

    def test_tables_line_up(self):
        lines = table_of_marks([Mark("a long one", 0.5, 1.0), Mark("b", None, 1.0)]).splitlines()
        self.assertEqual(len({len(line) for line in lines}), 1)

    def test_spread_is_the_median_and_both_ends(self):
        self.assertEqual(spread([3.0, 9.0, 3.4]), "3.4 (3.0 to 9.0)")
        self.assertEqual(spread([]), "-")


if __name__ == "__main__":
    unittest.main()
