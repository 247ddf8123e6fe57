# SPDX-License-Identifier: Apache-2.0
"""CPU, memory and power of the whole machine over the time of one trial per setup."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bpfbench.analysis import metrics
from bpfbench.analysis.results import Cell
from bpfbench.analysis.summary import Group
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


def timeline(section: Section, sampled: Sampled) -> Chart:
    """Make the figure. Of each setup it shows the repetition with the median runtime."""
    rows = [row for group in section.groups for row in group.rows]
    samples = {row.cell: sampled(typical) for row in rows if (typical := _median(section.of(row)))}
    drawn = (
        PanelRow(
            quantity.title,
            quantity.unit,
            tuple(_panel(section, group, quantity, samples) for group in section.groups),
        )
        for quantity in (BY_METRIC[metric] for metric in (metrics.CPU, metrics.MEMORY, metrics.POWER))
    )
    what = "From fio's start; of each setup the trial with the median runtime."
    return section.chart("timeline", TITLE, what, *drawn)


def _panel(section: Section, group: Group, quantity: Quantity, samples: Mapping[Cell, Samples]) -> Panel:
    lines = []
    for row in group.rows:
        if found := samples.get(row.cell, {}).get(quantity.metric):
            points = tuple((seconds, value / quantity.scale) for seconds, value in found)
            lines.append(Line(wording.row_name(row, group), row.cell.setup, points))
    return Panel(lines=tuple(lines), x_title="time (s)", nothing=why_absent(quantity.metric, section, group))


def _median(records: Sequence[Record]) -> Record | None:
    timed = sorted((record for record in records if record.fio), key=lambda r: r.fio.runtime_s if r.fio else 0.0)
    return timed[(len(timed) - 1) // 2] if timed else None
