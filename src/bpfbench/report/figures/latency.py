# SPDX-License-Identifier: Apache-2.0
"""Percentiles of fio's latency, towards the tail: a mean hides what the slowest calls wait."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bpfbench.analysis.results import describe
from bpfbench.analysis.summary import Group
from bpfbench.model import Record
from bpfbench.report import wording
from bpfbench.report.chart import Chart, Line, Pair, Panel, PanelRow
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
    points = ((row, _points(section.of(row))) for row in group.rows)
    lines = (Line(wording.row_name(row, group), row.cell.setup, own) for row, own in points if own)
    places = tuple((_place(key), f"{float(key):g}") for key in PERCENTILES)
    return Panel(lines=tuple(lines), x_title="percentile", places=places)


def _points(records: Sequence[Record]) -> tuple[Pair, ...]:
    means = {
        key: describe(record.fio.latency_percentiles_us.get(key) for record in records if record.fio)
        for key in PERCENTILES
    }
    return tuple((_place(key), found.mean) for key, found in means.items() if found is not None and found.mean > 0)


def _place(percentile: str) -> float:
    return -math.log10(1 - float(percentile) / 100)
