#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: `scripts/bench alloc` says what was measured, and of each mark whether it was met. Method:
times as the programs print them."""

import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from alloc_marks import Contestant, marks_of, report  # noqa: E402


def contestant(name: str, *pairs: float) -> Contestant:
    return Contestant(name, [{"pair": pair, "burst_64": 2 * pair, "burst_512": None,
                              "burst_4096": None} for pair in pairs])


class Marks(unittest.TestCase):
    def test_compares_medians(self):
        field = [contestant("shmpool", 3.0, 9.0, 3.4), contestant("DPDK mempool, cached", 5.0)]
        self.assertEqual(marks_of(field)[0].row()[1:], ["0.68", "at most 0.70", "met"])
        slower = [contestant("shmpool", 3.6), field[1]]
        self.assertEqual(marks_of(slower)[0].row()[1:], ["0.72", "at most 0.70", "not met"])

    def test_says_nothing_of_who_was_not_there(self):
        missing = Contestant("DPDK mempool, cached", [], "not installed")
        field = [contestant("shmpool", 3.0), missing]
        self.assertEqual(marks_of(field)[0].row()[1:], ["-", "at most 0.70", "not measured"])
        self.assertEqual(marks_of(field)[6].row()[3], "not measured")

    def test_compares_two_actors_with_one(self):
        ours = Contestant("shmpool", [{"pair": 10.0, "two": 190.0, "two_later": 150.0,
                                       "handed_over": 60.0}])
        dpdk = Contestant("DPDK mempool, cached", [{"pair": 5.0, "handed_over": 31.0}])
        rows = {row[0]: row[1:] for row in (mark.row() for mark in marks_of([ours, dpdk]))}
        self.assertEqual(rows["two processes at once, beside one"],
                         ["1.90", "at least 1.80", "met"])
        self.assertEqual(rows["the same after 10^7 random steps"],
                         ["1.50", "at least 1.80", "not met"])
        self.assertEqual(rows["taken here, given there, beside DPDK's cached mempool"],
                         ["1.94", "at least 2.00", "not met"])

    def test_shows_the_spread_and_who_is_missing(self):
        text = report([contestant("shmpool", 3.0, 9.0, 3.4), Contestant("other", [], "no package")])
        self.assertIn("| 3.4 (3.0 to 9.0)", text)
        self.assertIn("| 6.8 (6.0 to 18.0)", text)
        self.assertIn("not run: no package", text)


if __name__ == "__main__":
    unittest.main()
