# SPDX-License-Identifier: Apache-2.0
"""Fidelity against overhead: who loses events is cheap to run."""

from __future__ import annotations

from collections.abc import Mapping

from bpfbench.analysis import metrics
from bpfbench.analysis.questions.tradeoffs import FIDELITY, OVERHEAD, Point
from bpfbench.analysis.results import Cell
from bpfbench.analysis.summary import Group, Row
from bpfbench.report import wording
from bpfbench.report.chart import Chart, Mark, Panel, PanelRow, around
from bpfbench.report.figures.sections import Section

TITLE = "Fidelity against overhead"

Points = Mapping[Cell, Point]


def tradeoff(section: Section, points: Points) -> Chart | None:
    """Make the figure; None where no tool has a ring that could lose events.

    Args:
        section: what to draw.
        points: where the run's cells stand, by cell.
    """
    groups = section.with_rings
    what = (
        "Up and to the left is better. Bars: 95 % interval of the paired ratio, as far as it fits, and ± SD of the"
        " events saved."
    )
    row = PanelRow("events saved", "%", tuple(_panel(group, points) for group in groups))
    return section.chart("tradeoff", TITLE, what, row, groups=groups) if groups else None


def _panel(group: Group, points: Points) -> Panel:
    known = [(row, points.get(row.cell)) for row in group.rows]
    placed = [(row, point) for row, point in known if point and OVERHEAD in point.at and FIDELITY in point.at]
    return Panel(
        tuple(_mark(group, row, point) for row, point in placed),
        better=True,
        x_title="runtime over vanilla (%)",
        nothing="no pair with vanilla",
    )


def _mark(group: Group, row: Row, point: Point) -> Mark:
    over, saved = point.at[OVERHEAD], row.spread(metrics.SAVED_PERCENT)
    return Mark(
        label=wording.row_name(row, group),
        setup=row.cell.setup,
        y=point.at[FIDELITY].value,
        spread=around(saved.mean, saved.sd) if saved else None,
        x=over.value,
        x_spread=None if over.interval is None else (over.interval.low, over.interval.high),
        hover=f"n = {over.n}",
    )
