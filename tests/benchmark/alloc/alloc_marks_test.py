#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: `scripts/bench alloc` says what was measured, and of each mark whether it was met. Method:
times as the programs print them."""

import sys
import unittest

sys.dont_write_bytecode = True
from alloc_marks import MARKS, Contestant, judged, report  # noqa: E402


def contestant(name: str, *pairs: float) -> Contestant:
    return Contestant(name, [{"pair": pair, "burst_64": 2 * pair, "burst_512": None,
                              "burst_4096": None} for pair in pairs])


class Marks(unittest.TestCase):
    def test_compares_medians(self):
        field = [contestant("shmpool", 3.0, 9.0, 3.4), contestant("DPDK mempool, cached", 5.0)]
        self.assertEqual(judged(field, MARKS[0])[1:], ["0.68", "0.70", "met"])
        self.assertEqual(judged([contestant("shmpool", 3.6), field[1]], MARKS[0])[1:],
                         ["0.72", "0.70", "not met"])

    def test_says_nothing_of_who_was_not_there(self):
        missing = Contestant("DPDK mempool, cached", [], "not installed")
        field = [contestant("shmpool", 3.0), missing]
        self.assertEqual(judged(field, MARKS[0])[1:], ["-", "0.70", "not measured"])
        self.assertEqual(judged(field, MARKS[6])[3], "not measured")

    def test_shows_the_spread_and_who_is_missing(self):
        text = report([contestant("shmpool", 3.0, 9.0, 3.4), Contestant("other", [], "no package")])
        self.assertIn("| 3.4 (3.0 to 9.0)", text)
        self.assertIn("| 6.8 (6.0 to 18.0)", text)
        self.assertIn("not run: no package", text)


if __name__ == "__main__":
    unittest.main()
