#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: `scripts/bench scale` says what was measured, and of each mark whether it was met. Method:
figures as the programs print them."""

import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from scale_marks import (FEW, MANY, SMALL, SPARSE, TWO, TWO_HUNDRED, marks_of,  # noqa: E402
                         report)

ROUNDS = {
    FEW: [{"pair": 10.0, "sizes": 10.0}, {"pair": 90.0, "sizes": 10.0},
          {"pair": 11.0, "sizes": 10.0}],
    MANY: [{"pair": 12.1, "sizes": 15.0}],
    SMALL: [{"ready_ms": 10.0, "attach_ms": 0.5}],
    SPARSE: [{"ready_ms": 51.0, "attach_ms": 0.56}],
    TWO: [{"slot_ns": 70.0}],
    TWO_HUNDRED: [{"slot_ns": 77.0, "host_percent": 0.06}],
}


def rows() -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in (mark.row() for mark in marks_of(ROUNDS))}


class Marks(unittest.TestCase):
    def test_compares_medians(self):
        of_one_size, of_all = list(marks_of(ROUNDS))[:2]
        self.assertEqual(of_one_size.row()[1:], ["1.10", "at most 1.20", "met"])
        self.assertEqual(of_all.row()[1:], ["1.50", "at most 1.20", "not met"])
        self.assertEqual(rows()["200 idle peers beside 2: a slot"],
                         ["1.10", "at most 1.10", "met"])

    def test_compares_with_what_is_wanted(self):
        self.assertEqual(rows()["attach, single-threaded, p50"],
                         ["0.50 ms", "at most 1.00 ms", "met"])
        self.assertEqual(rows()["a segment of 64 GiB, sparse, is ready"],
                         ["51.00 ms", "at most 50.00 ms", "not met"])
        self.assertEqual(rows()["the host beside 200 idle peers"],
                         ["0.06 %", "at most 0.10 %", "met"])

    def test_says_what_was_not_measured(self):
        nothing = [mark.row()[3] for mark in marks_of({})]
        self.assertEqual(set(nothing), {"not measured"})
        self.assertEqual(rows()["the same, a message"][2], "not measured")

    def test_shows_the_spread(self):
        self.assertIn("| 11.0 (10.0 to 90.0)", report(ROUNDS))
        self.assertIn("| 0.060 (0.060 to 0.060)", report(ROUNDS))


if __name__ == "__main__":
    unittest.main()
