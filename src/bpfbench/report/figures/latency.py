# SPDX-License-Identifier: Apache-2.0
"""Percentiles of fio's latency, towards the tail: a mean hides what the slowest calls wait."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bpfbench.analysis.results import describe
from bpfbench.analysis.summary import Group
from bpfbench.model import Record
from bpfbench.report import wording
from bpfbench.report.chart import Absent, Chart, Line, Lines, Panel, PanelRow
from bpfbench.report.figures.sections import Section

PERCENTILES = ("50.000000", "90.000000", "99.000000", "99.900000", "99.990000")
"""As fio keys them."""

TITLE = "Latency percentiles"


def latency(section: Section) -> Chart:
    """Make the figure."""
    what = (
        "Of completion latency, by fio; means over trials, both axes logarithmic (x in what is left above the"
        " percentile)."
    )
    row = PanelRow("latency", "µs", tuple(_panel(section, group) for group in section.groups), log=True)
    return section.chart("latency", TITLE, what, row)


def _panel(section: Section, group: Group) -> Panel:
    lines = []
    for row in group.rows:
        points = _points(section.of(row))
        if points:
            x, y = zip(*points, strict=True)
            lines.append(Line(wording.row_name(row, group), row.setup, x, y))
    if not lines:
        return Absent("no trial that counts")
    return Lines(tuple(lines), "percentile", tuple((_place(key), f"{float(key):g}") for key in PERCENTILES))


def _points(records: Sequence[Record]) -> list[tuple[float, float]]:
    found = []
    for key in PERCENTILES:
        value = describe(record.fio.latency_percentiles_us.get(key) for record in records if record.fio)
        if value is not None and value.mean > 0:
            found.append((_place(key), value.mean))
    return found


def _place(percentile: str) -> float:
    return -math.log10(1 - float(percentile) / 100)
