# SPDX-License-Identifier: Apache-2.0
"""Dots with error bars: what each setup makes of a quantity, tool by tool (figures 1, 3, 4 and 6 of the paper)."""

from __future__ import annotations

from bpfbench.analysis import metrics
from bpfbench.analysis.metrics import Metric
from bpfbench.analysis.summary import Group, Row
from bpfbench.model import VANILLA
from bpfbench.report import wording
from bpfbench.report.chart import Chart, Mark, Panel, PanelRow
from bpfbench.report.figures.paper import Paper, printed
from bpfbench.report.figures.sections import Section
from bpfbench.report.quantities import QUANTITIES, Quantity

MOST_TRIALS = 60
"""Of a mark that are shown one by one; more are a smear, and their SD says it."""


TITLES = {
    "performance": "Runtime, throughput and latency",
    "resources": "CPU, memory and power of the whole machine",
}
"""Figure -> its title: the first is figures 1 and 4 of the paper, the second 3 and 6. quantities.py of the report says
what is in which."""


def dots(section: Section, key: str, paper: Paper) -> Chart:
    """Make a figure, by its key in TITLES."""
    rows = tuple(
        PanelRow(
            quantity.title,
            quantity.unit,
            tuple(_panel(section, group, quantity, paper) for group in section.groups),
        )
        for quantity in QUANTITIES
        if quantity.figure == key
    )
    what = (
        "Marks and bars: mean ± SD over trials; small dots: single trials, up to 60; band: vanilla's mean ± SD,"
        " within which the paper calls a difference inconclusive."
    )
    if any(panel.paper for row in rows for panel in row.panels):
        what += " Hollow diamonds: the paper's printed ratio to its own vanilla, times vanilla's mean here."
    return section.chart(key, TITLES[key], what, *rows)


def _panel(section: Section, group: Group, quantity: Quantity, paper: Paper) -> Panel:
    marks = tuple(mark for row in group.rows if (mark := _mark(section, group, row, quantity)))
    vanilla = next((mark for mark in marks if mark.setup == VANILLA), None)
    ratios = printed(paper, section.workload.name, "factor_over_vanilla", group.tool, quantity.metric.key)
    points = (
        (float(at), vanilla.y * ratios[mark.setup])
        for at, mark in enumerate(marks)
        if vanilla is not None and mark.setup in ratios
    )
    return Panel(marks, band=vanilla, paper=tuple(points), nothing=why_absent(quantity.metric, section, group))


def _mark(section: Section, group: Group, row: Row, quantity: Quantity) -> Mark | None:
    found = row.spread(quantity.metric)
    if found is None:
        return None
    records = section.of(row) if found.n <= MOST_TRIALS else ()
    values = (quantity.metric.read(record) for record in records)
    return Mark(
        label=wording.row_name(row, group),
        setup=row.cell.setup,
        y=found.mean / quantity.scale,
        sd=None if found.sd is None else found.sd / quantity.scale,
        trials=tuple(value / quantity.scale for value in values if value is not None),
        hover=f"n = {found.n}",
    )


def why_absent(metric: Metric, section: Section, group: Group) -> str:
    """Say why there is nothing of a metric to draw, if there is nothing."""
    records = [record for row in group.rows for record in section.of(row)]
    if not records:
        return "no trial that counts"
    if metric is metrics.POWER:
        reasons = dict.fromkeys(record.notes["energy"] for record in records if "energy" in record.notes)
        return "; ".join(reasons) or "no energy counter was read"
    return "not measured"
