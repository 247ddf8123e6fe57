# SPDX-License-Identifier: Apache-2.0
"""CPU, memory and power of the whole machine over the time of one trial per setup."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bpfbench.analysis import metrics
from bpfbench.analysis.summary import Group
from bpfbench.model import Record, Tool
from bpfbench.report import wording
from bpfbench.report.chart import Absent, Chart, Line, Lines, Panel, PanelRow
from bpfbench.report.figures.quantities import why_absent
from bpfbench.report.figures.sections import Section
from bpfbench.report.quantities import BY_METRIC, Quantity
from bpfbench.report.samples import Samples, Series

TITLE = "CPU, memory and power over time"

Sampled = Callable[[Record], Samples | None]
"""Fetches what was sampled beside a trial."""


SERIES: dict[metrics.Metric, Callable[[Samples], Series | None]] = {
    metrics.CPU: lambda samples: samples.cpu_percent,
    metrics.MEMORY: lambda samples: samples.memory_bytes,
    metrics.POWER: lambda samples: samples.power_w,
}
"""Where the samples of a metric are."""


def timeline(section: Section, sampled: Sampled) -> Chart:
    """Make the figure. Of each setup it shows the repetition with the median runtime."""
    typical = {
        (group.tool, wording.row_name(row, group)): (row.setup, _median(section.of(row)))
        for group in section.groups
        for row in group.rows
    }
    samples = {key: (setup, sampled(record)) for key, (setup, record) in typical.items() if record is not None}
    rows = tuple(
        PanelRow(
            quantity.title,
            quantity.unit,
            tuple(_panel(section, group, quantity, samples) for group in section.groups),
        )
        for quantity in (BY_METRIC[metric] for metric in SERIES)
    )
    what = "From fio's start; of each setup the trial with the median runtime."
    return section.chart("timeline", TITLE, what, *rows)


def _panel(
    section: Section, group: Group, quantity: Quantity, samples: dict[tuple[Tool, str], tuple[str, Samples | None]]
) -> Panel:
    lines = []
    for (tool, label), (setup, found) in samples.items():
        series = SERIES[quantity.metric](found) if found and tool is group.tool else None
        if series is not None:
            lines.append(Line(label, setup, series.seconds, tuple(value / quantity.scale for value in series.values)))
    if not lines:
        return Absent(why_absent(quantity.metric, (r for row in group.rows for r in section.of(row))))
    return Lines(tuple(lines), "time (s)")


def _median(records: Sequence[Record]) -> Record | None:
    timed = sorted((record for record in records if record.fio), key=lambda r: r.fio.runtime_s if r.fio else 0.0)
    return timed[(len(timed) - 1) // 2] if timed else None
