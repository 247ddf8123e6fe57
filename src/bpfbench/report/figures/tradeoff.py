# SPDX-License-Identifier: Apache-2.0
"""Fidelity against what it costs, which is runtime, or at a limited rate latency: who loses events is cheap to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bpfbench.analysis import metrics
from bpfbench.analysis.decision import Contenders, Standing
from bpfbench.analysis.questions import needs
from bpfbench.analysis.questions.tradeoffs import DECIDED_AS, FIDELITY, Axis, Point, cost
from bpfbench.analysis.results import Cell
from bpfbench.analysis.summary import Group, Row
from bpfbench.report import wording
from bpfbench.report.chart import Chart, Mark, Panel, PanelRow, around
from bpfbench.report.figures.sections import Section
from bpfbench.report.quantities import BY_METRIC

Points = Mapping[Cell, Point]
Cases = Sequence[Mapping[needs.Contest, Contenders]]


def tradeoff(section: Section, points: Points, answered: Sequence[needs.Answers]) -> Chart | None:
    """Make the figure; None where no tool has a ring that could lose events.

    Args:
        section: what to draw.
        points: where the run's cells stand, by cell.
        answered: what the run says of needs, case by case.
    """
    groups = section.with_rings
    what = (
        "Up and to the left is better. Bars: 95 % interval of the change, as far as it fits, and ± SD of the events"
        " saved. Hollow: in this case there is another that it is told apart from in neither."
    )
    if not groups:
        return None
    costs = cost(groups[0].rows[0].cell)
    asked = (DECIDED_AS[costs], needs.FIDELITY)
    cases = [answer.decision.cases for own in answered for answer in own.needs if answer.need in asked]
    row = PanelRow("events saved", "%", tuple(_panel(group, costs, points, cases) for group in groups))
    return section.chart("tradeoff", f"Fidelity against {costs.title}", what, row, groups=groups)


def _panel(group: Group, costs: Axis, points: Points, cases: Cases) -> Panel:
    known = [(row, points.get(row.cell)) for row in group.rows]
    placed = [(row, point) for row, point in known if point and costs in point.at and FIDELITY in point.at]
    return Panel(
        tuple(_mark(group, row, costs, point, told=_told(row.cell, cases)) for row, point in placed),
        better=True,
        x_title=f"{BY_METRIC[costs.metric].title} over vanilla (%)",
        nothing="no pair with vanilla",
    )


def _told(cell: Cell, cases: Cases) -> bool:
    """Whether it is better or worse than every other in one of the needs, in its case."""
    case = needs.Contest.of(cell)
    known = [by_case[case] for by_case in cases if case in by_case]
    others = {own for by in known for own in by.order} - {cell.setup}
    return all(
        any(Standing.WORSE in (by.between(cell.setup, other), by.between(other, cell.setup)) for by in known)
        for other in others
    )


def _mark(group: Group, row: Row, costs: Axis, point: Point, *, told: bool) -> Mark:
    over, saved = point.at[costs], row.spread(metrics.SAVED_PERCENT)
    return Mark(
        label=wording.row_name(row, group),
        setup=row.cell.setup,
        y=point.at[FIDELITY].value,
        spread=around(saved.mean, saved.sd) if saved else None,
        x=over.value,
        x_spread=None if over.interval is None else (over.interval.low, over.interval.high),
        hover=f"n = {over.n} pairs",
        told=told,
    )
