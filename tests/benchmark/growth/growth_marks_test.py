#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: `scripts/bench growth` says what was measured, and of each mark whether it was met. Method:
figures as the program prints them."""

import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from growth_marks import BUSY, QUIET, marks_of, report  # noqa: E402


def one_round(grow: list[float], fallocate: list[float], lost: int = 0, after: int = 17) -> dict:
    return {"grow_ms": grow, "fallocate_ms": fallocate, "pieces_ms": [33.0], "sent": 1000,
            "lost": lost, "payload_mib": [17, 273, after]}


def rows(rounds: dict[str, list[dict]]) -> list[list[str]]:
    return [mark.row()[1:] for mark in marks_of(rounds)]


class Marks(unittest.TestCase):
    def test_compares_each_step_with_the_fallocate_beside_it(self):
        rounds = {QUIET: [one_round([20.0, 40.5], [19.5, 40.0]), one_round([30.0], [20.0])],
                  BUSY: [one_round([22.0], [20.0])]}
        self.assertEqual(rows(rounds)[0], ["2.00 ms", "at most 1.00 ms", "not met"])
        self.assertEqual(rows(rounds)[1], ["0.50 ms", "at most 1.00 ms", "met"])

    def test_counts_what_is_lost(self):
        kept = {BUSY: [one_round([1.0], [1.0])]}
        self.assertEqual(rows(kept)[2:], [["0.00", "at most 0.00", "met"],
                                          ["1.00", "at most 1.00", "met"]])
        lost = {BUSY: [one_round([1.0], [1.0], 1), one_round([1.0], [1.0], 0, 34),
                       one_round([1.0], [1.0], 0, 34)]}
        self.assertEqual(rows(lost)[2:], [["1.00", "at most 0.00", "not met"],
                                          ["2.00", "at most 1.00", "not met"]])

    def test_says_what_was_not_measured(self):
        self.assertEqual({row[2] for row in rows({QUIET: [], BUSY: []})}, {"not measured"})
        self.assertIn("| messages flow", report({QUIET: [], BUSY: []}))

    def test_shows_the_spread(self):
        text = report({QUIET: [one_round([20.0, 40.5, 30.0], [19.5, 40.0, 29.0])], BUSY: []})
        self.assertIn("| 30.0 (20.0 to 40.5)", text)
        self.assertIn("| 33.0 (33.0 to 33.0)", text)
        self.assertIn("| 0.50 (0.50 to 1.00)", text)


if __name__ == "__main__":
    unittest.main()
