# SPDX-License-Identifier: Apache-2.0
"""Fidelity against overhead, with the Pareto front: the setups that nothing beats in both."""

from __future__ import annotations

from collections.abc import Iterable

from bpfbench.analysis import metrics
from bpfbench.analysis.summary import Group, Row
from bpfbench.model import Tool
from bpfbench.report import wording
from bpfbench.report.figures.chart import Absent, Chart, Mark, Panel, PanelRow, Scatter
from bpfbench.report.figures.sections import Section

TITLE = "Fidelity against overhead"


def tradeoff(section: Section) -> Chart | None:
    """Make the figure; None where no tool has a ring that could lose events."""
    groups = [group for group in section.groups if group.tool is not Tool.SYSCOUNT]
    if not groups:
        return None
    what = (
        f"{TITLE}: up and to the left is better. Bars: 95 % interval of the paired ratio, and ± SD"
        " of the events saved. Dashed: the Pareto front, the setups that no other beats"
        " in both; what is apart by less than its bars is not told apart."
    )
    columns = tuple(group.tool.value for group in groups)
    row = PanelRow("events saved", "%", tuple(_panel(section, group) for group in groups))
    return Chart(f"tradeoff-{section.key}", TITLE, section.caption(what), columns, (row,), section.stamp)


def _panel(section: Section, group: Group) -> Panel:
    marks = tuple(mark for row in group.rows if (mark := _mark(section, group, row)))
    if not marks:
        return Absent("no pair with vanilla")
    return Scatter(marks, "runtime over vanilla (%)", front((mark.x or 0.0, mark.y) for mark in marks))


def _mark(section: Section, group: Group, row: Row) -> Mark | None:
    saved = section.statistic(group, row, metrics.SAVED_PERCENT)
    runtime = section.statistic(group, row, metrics.RUNTIME)
    if saved is None or runtime is None or runtime.paired is None:
        return None
    interval, sd, mean = runtime.paired.interval, saved.spread.sd, saved.spread.mean
    return Mark(
        label=wording.row_name(row, group),
        setup=row.setup,
        y=mean,
        spread=None if sd is None else (mean - sd, mean + sd),
        x=percent(runtime.paired.ratio),
        x_spread=None if interval is None else (percent(interval.low), percent(interval.high)),
        hover=f"n = {runtime.paired.n}",
    )


def percent(ratio: float) -> float:
    """A ratio as a change in per cent."""
    return 100 * (ratio - 1)


def front(points: Iterable[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """The points that no other beats: none has less x and as much y, or as little x and more y. In the order of x."""
    found: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (point[0], -point[1])):
        if not found or y > found[-1][1]:
            found.append((x, y))
    return tuple(found)
