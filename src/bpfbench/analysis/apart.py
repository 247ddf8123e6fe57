# SPDX-License-Identifier: Apache-2.0
"""Who is told apart from vanilla: by the intervals of the rule of decisions, all rows of a group at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.decision import Gap, against
from bpfbench.analysis.inference import Interval, percent
from bpfbench.analysis.metrics import METRICS, Metric
from bpfbench.analysis.results import Cell, logarithm
from bpfbench.analysis.summary import Group


class Verdict(StrEnum):
    """Whether a cell is told apart from vanilla."""

    MORE = "more"
    LESS = "less"
    OPEN = "undecided"
    """The interval holds vanilla's value."""
    TOO_FEW = "too-few-rounds"
    """Nothing can be told from so few."""


@dataclass(frozen=True, slots=True)
class Apart:
    """How far a cell is from vanilla in a metric."""

    verdict: Verdict
    interval: Interval | None = None
    """What the change may be, in per cent, or in the unit of a metric that is compared by its difference; it holds at
    every look, and for the whole group. None: whatever there is."""


Told = Mapping[tuple[Cell, Metric], Apart]
"""Of every metric of a cell that is compared with vanilla."""


def apart(group: Group) -> Told:
    """Say of each row of a group whether it is told apart from vanilla."""
    found: dict[tuple[Cell, Metric], Apart] = {}
    vanilla, *others = group.rows
    for metric in (own for own in METRICS if own.versus_vanilla):
        rows = [row for row in others if metric in row.samples]
        worth = float if metric.by_difference else logarithm
        values = {
            str(at): {None: row.samples[metric].by_round(worth)}
            for at, row in enumerate((vanilla, *rows))
            if metric in row.samples
        }
        gaps = against(values, "0") if "0" in values else {}
        found |= {(row.cell, metric): _apart(gaps.get(str(at)), metric) for at, row in enumerate(rows, 1)}
    return found


def _apart(gap: Gap | None, metric: Metric) -> Apart:
    if gap is None or gap.rounds < ROUNDS_LEAST:
        return Apart(Verdict.TOO_FEW)
    ends = gap.interval
    verdict = Verdict.MORE if ends.low > 0 else Verdict.LESS if ends.high < 0 else Verdict.OPEN
    if not math.isfinite(ends.low) or not math.isfinite(ends.high):
        return Apart(verdict)
    return Apart(verdict, ends if metric.by_difference else Interval(percent(ends.low), percent(ends.high)))
