#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: `scripts/bench latency`, `throughput` and `fanout` say what was measured, never mix figures
of cores that are near and far, and say of each mark whether it was met. Method: slices as the
programs print them, with probes of several kinds."""

import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from message_marks import (FANOUT, FUTEX, ONE_CORE, ONE_CORE_KIND, POLL, RING,  # noqa: E402
                           SLICES_AT_LEAST, STREAM, TAKE, UNICAST, Entrant, Row, Table, cast,
                           figures_of, kinds_of, marks_of, quantile, report)

NEAR, FAR, ONE = [60, 70], [230, 250], [0, 0]


def slices(latency: int, probes: list[int], count: int = SLICES_AT_LEAST) -> list[dict]:
    return [{"probes": probes, "histogram": [[latency, 98], [10 * latency, 2]]}] * count


def row(name: str, *runs: list[dict]) -> Row:
    return Row(Entrant(name, "", "", 0), [{"slices": one} for one in runs])


class Figures(unittest.TestCase):
    def test_quantiles_are_of_all_messages(self):
        self.assertEqual([quantile({1: 50, 2: 49, 9: 1}, share) for share in (0.5, 0.99, 1)],
                         [1, 2, 9])

    def test_slices_of_a_run_are_put_together(self):
        one = row("a", slices(100, NEAR, 9) + slices(200, NEAR, 3))
        kind = kinds_of([Table(POLL, "latency", [one])])[0]
        self.assertEqual(figures_of(one, kind), [{"p50": 100, "p99": 1000, "p99_9": 2000,
                                                  "max": 2000}])


class Kinds(unittest.TestCase):
    def test_those_that_are_far_apart_never_mix(self):
        one = row("a", slices(100, NEAR, 4) + slices(400, FAR), slices(410, FAR))
        kinds = kinds_of([Table(POLL, "latency", [one])])
        self.assertEqual([(kind.least, kind.most) for kind in kinds], [(230, 250), (60, 70)])
        self.assertEqual([run["p50"] for run in figures_of(one, kinds[0])], [400, 410])
        self.assertEqual([run["p50"] for run in figures_of(one, kinds[1])], [100])

    def test_a_probe_during_a_move_joins_no_kinds(self):
        one = row("a", slices(100, NEAR) + slices(200, [70, 100]) + slices(200, [100, 145])
                  + slices(300, [145, 200]) + slices(400, FAR))
        kinds = kinds_of([Table(POLL, "latency", [one])])
        self.assertEqual(sorted((kind.least, kind.most) for kind in kinds), [(60, 70), (230, 250)])

    def test_who_moved_meanwhile_is_not_counted(self):
        one = row("a", slices(100, NEAR) + slices(300, [70, 230]) + slices(400, FAR))
        text = report("latency", [Table(POLL, "latency", [one])])
        self.assertIn("3 of 9 slices", text)
        self.assertNotIn("300", text)

    def test_who_polls_and_lost_its_core_is_not_counted(self):
        disturbed = [{**one, "preempted": 1} for one in slices(9000, NEAR)]
        one = row("a", slices(100, NEAR) + disturbed)
        kind = kinds_of([Table(POLL, "latency", [one])])[0]
        self.assertEqual(figures_of(one, kind)[0]["max"], 90_000)
        one.entrant.polls = True
        self.assertEqual(figures_of(one, kind)[0]["max"], 1000)
        self.assertIn("3 slices", report("latency", [Table(POLL, "latency", [one])]))

    def test_few_slices_make_no_figures(self):
        one = row("a", slices(100, NEAR, SLICES_AT_LEAST - 1))
        self.assertEqual(figures_of(one, kinds_of([Table(POLL, "latency", [one])])[0]), [])


class Marks(unittest.TestCase):
    def test_compare_within_one_kind(self):
        table = Table(POLL, "latency", [row(RING, slices(100, NEAR), slices(300, FAR)),
                                        row(UNICAST, slices(115, NEAR), slices(390, FAR))])
        near, far = kinds_of([table])
        self.assertEqual(marks_of("latency", [table], near)[0].row()[1:],
                         ["1.15", "at most 1.20", "met"])
        self.assertEqual(marks_of("latency", [table], far)[0].row()[1:],
                         ["1.30", "at most 1.20", "not met"])

    def test_those_of_one_core_need_no_probe(self):
        apart = Table(POLL, "latency", [row(RING, slices(100, NEAR))])
        same = Table(ONE_CORE, "latency", [row(FUTEX, slices(3000, ONE)),
                                           row(TAKE, slices(3600, ONE))], two_cores=False)
        marks = marks_of("latency", [apart, same], ONE_CORE_KIND)
        self.assertEqual([mark.row()[1:] for mark in marks if mark.reached],
                         [["1.20", "at most 1.15", "not met"]])
        report_of_both = report("latency", [apart, same])
        self.assertEqual(report_of_both.count("asleep in take, on one core"), 1)

    def test_throughput_is_the_more_the_better(self):
        def rate(name: str, million: float) -> Row:
            return row(name, [{"probes": NEAR, "million_per_s": million}] * SLICES_AT_LEAST)

        table = Table(STREAM, "throughput", [rate(RING, 10), rate(UNICAST, 9.5)])
        marks = marks_of("throughput", [table], kinds_of([table])[0])
        self.assertEqual(marks[0].row()[1:], ["0.95", "at least 0.90", "met"])
        self.assertEqual(marks[1].row()[3], "not measured")

    def test_more_readers_may_cost_half_more_each(self):
        def costs(name: str, processor: float, wall: float) -> Row:
            return row(name, [{"probes": NEAR, "processor_ns": processor, "wall_ns": wall}]
                       * SLICES_AT_LEAST)

        table = Table(FANOUT, "fanout", [costs(cast(1, 1), 100, 200), costs(cast(1, 2), 160, 300),
                                         costs(cast(4, 1), 120, 290)])
        rows = [mark.row() for mark in marks_of("fanout", [table], kinds_of([table])[0])]
        self.assertEqual(rows[0][1:], ["1.60", "at most 1.50", "not met"])
        self.assertEqual(rows[1][3], "not measured")
        self.assertEqual(rows[4][1:], ["1.45", "at most 1.50", "met"])


class Report(unittest.TestCase):
    def test_says_who_is_missing_and_why(self):
        missing = row("other")
        missing.why_none = "no package"
        text = report("latency", [Table(POLL, "latency", [row("a", slices(100, NEAR)), missing])])
        self.assertIn("not run: no package", text)
        self.assertIn("Cores 60 to 70 ns apart", text)


if __name__ == "__main__":
    unittest.main()
