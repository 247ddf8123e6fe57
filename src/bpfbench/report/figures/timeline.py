# SPDX-License-Identifier: Apache-2.0
"""CPU, memory and power of the whole machine over the time of one trial per setup, each before vanilla's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean

from bpfbench.analysis import metrics
from bpfbench.analysis.results import Cell
from bpfbench.analysis.summary import Group, Row
from bpfbench.model import Record
from bpfbench.report import wording
from bpfbench.report.chart import Chart, Line, Panel, PanelRow
from bpfbench.report.figures.dots import why_absent
from bpfbench.report.figures.sections import Section
from bpfbench.report.quantities import BY_METRIC, Quantity
from bpfbench.report.samples import Samples

TITLE = "CPU, memory and power over time"

Sampled = Callable[[Record], Samples]
"""Fetches what was sampled beside a trial."""


def timelines(section: Section, sampled: Sampled) -> Iterator[Chart]:
    """Make a figure of each tool, a column per setup. Of each it shows the repetition with the median runtime."""
    for group in section.groups:
        typical = {row.cell: _median(section.of(row)) for row in group.rows}
        samples = {cell: sampled(record) for cell, record in typical.items() if record}
        rows = [row for row in group.rows if not row.cell.is_vanilla]
        vanilla = [row for row in group.rows if row.cell.is_vanilla]
        panels = (
            PanelRow(
                quantity.title,
                quantity.unit,
                tuple(_panel(section, group, quantity, samples, (*vanilla, row)) for row in rows),
            )
            for quantity in (BY_METRIC[metric] for metric in (metrics.CPU, metrics.MEMORY, metrics.POWER))
        )
        begun = f"From {wording.target(section.workload)}'s start"
        what = f"{begun}; of each setup the trial with the median runtime, over vanilla's."
        labels = tuple(wording.row_name(row, group) for row in rows)
        yield Chart(
            f"timeline-{section.key}-{group.tool}",
            f"{TITLE}: {group.tool}",
            section.caption(what),
            labels,
            tuple(panels),
            group.tool,
        )


def _panel(
    section: Section, group: Group, quantity: Quantity, samples: Mapping[Cell, Samples], rows: Sequence[Row]
) -> Panel:
    lines = []
    for row in rows:
        if found := samples.get(row.cell, {}).get(quantity.metric):
            points = tuple((seconds, value / quantity.scale) for seconds, value in found)
            mean = fmean(value for _, value in points)
            hover = f"{quantity.title} {mean:.4g} {quantity.unit} in the mean of {len(points)} samples"
            lines.append(Line(wording.row_name(row, group), row.cell.setup, points, hover))
    return Panel(lines=tuple(lines), x_title="time (s)", nothing=why_absent(quantity.metric, section, group))


def _median(records: Sequence[Record]) -> Record | None:
    timed = sorted(
        (own for own in records if own.outcome), key=lambda own: own.outcome.runtime_s if own.outcome else 0.0
    )
    return timed[(len(timed) - 1) // 2] if timed else None
