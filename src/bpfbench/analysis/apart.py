# SPDX-License-Identifier: Apache-2.0
"""Who is told apart from vanilla, and what each comes to by itself: by the intervals of the rule of decisions.

They hold at every look, and for all rows of a group at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.decision import against
from bpfbench.analysis.gaps import Gap
from bpfbench.analysis.inference import Interval, percent
from bpfbench.analysis.metrics import Metric
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


def apart(group: Group, metrics: Sequence[Metric] | None = None) -> Told:
    """Say of each row of a group whether it is told apart from vanilla, in those of these metrics that it has, too.

    None: in all that it has.
    """
    metrics = metrics or tuple(dict.fromkeys(metric for row in group.rows for metric in row.samples))
    found: dict[tuple[Cell, Metric], Apart] = {}
    vanilla, *others = group.rows
    for metric in (own for own in metrics if own.versus_vanilla):
        rows = [row for row in others if metric in row.samples]
        if metric not in vanilla.samples or len(set(vanilla.samples[metric].rounds)) < ROUNDS_LEAST:
            found |= {(row.cell, metric): Apart(Verdict.TOO_FEW) for row in rows}
            continue
        worth = float if metric.by_difference else logarithm
        values = {str(at): {None: row.samples[metric].by_round(worth)} for at, row in enumerate((vanilla, *rows))}
        gaps = against(values, "0")
        by_difference = metric.by_difference
        found |= {
            (row.cell, metric): judged(gaps.get(str(at)), by_difference=by_difference) for at, row in enumerate(rows, 1)
        }
    return found


def levels(group: Group, metric: Metric, *, logs: bool) -> dict[tuple[Cell, Metric], Interval]:
    """Say of each tracer's row what its own mean may be; `logs`: on that scale. Who has too few rounds is left out."""
    rows = [row for row in group.rows if metric in row.samples and not row.cell.is_vanilla]
    worth = logarithm if logs else float
    values = {str(at): {None: row.samples[metric].by_round(worth)} for at, row in enumerate(rows)}
    nothing = {None: {block: 0.0 for own in values.values() for block in own[None]}}
    gaps = against({**values, "nothing": nothing}, "nothing")
    known = ((row, gaps[str(at)].interval) for at, row in enumerate(rows) if str(at) in gaps)
    back = math.exp if logs else float
    return {(row.cell, metric): ends.mapped(back) for row, ends in known if math.isfinite(ends.high - ends.low)}


def judged(gap: Gap | None, *, by_difference: bool) -> Apart:
    """Say whether it is told from nothing by how much something is ahead of another, on the logarithm or not."""
    if gap is None or gap.rounds < ROUNDS_LEAST:
        return Apart(Verdict.TOO_FEW)
    ends = gap.interval
    verdict = Verdict.MORE if ends.low > 0 else Verdict.LESS if ends.high < 0 else Verdict.OPEN
    if not math.isfinite(ends.low) or not math.isfinite(ends.high):
        return Apart(verdict)
    return Apart(verdict, ends if by_difference else Interval(percent(ends.low), percent(ends.high)))
