# SPDX-License-Identifier: Apache-2.0
"""Percentiles of the target's latency, towards the tail: a mean hides what the slowest calls wait."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bpfbench.analysis.results import describe
from bpfbench.analysis.summary import Group
from bpfbench.model import Record
from bpfbench.report import wording
from bpfbench.report.chart import Chart, Line, Pair, Panel, PanelRow
from bpfbench.report.figures.sections import Section

PERCENTILES = ("50", "90", "99", "99.9", "99.99")

TITLE = "Latency percentiles"


def latency(section: Section) -> Chart | None:
    """Make the figure; None where the target tells no latency."""
    of = f"Of completion latency, by {wording.target(section.workload)}"
    sent = any(group.from_sending for group in section.groups)
    since = f"From {'its sending' if sent else 'when each was due'}, by its driver"
    what = (
        f"{since if section.is_open else of}; means over trials, both axes logarithmic (x in what is left above the"
        f" percentile).{section.behind}"
    )
    panels = tuple(_panel(section, group) for group in section.groups)
    if not section.workload.is_fio and not any(panel.lines for panel in panels):
        return None
    row = PanelRow("latency", "µs", panels, log=True)
    return section.chart("latency", TITLE, what, row)


def _panel(section: Section, group: Group) -> Panel:
    points = ((row, _points(section.of(row))) for row in group.rows)
    lines = (Line(wording.row_name(row, group), row.cell.setup, own) for row, own in points if own)
    places = tuple((_place(key), key) for key in PERCENTILES)
    return Panel(lines=tuple(lines), x_title="percentile", places=places)


def _points(records: Sequence[Record]) -> tuple[Pair, ...]:
    means = {
        key: describe(record.outcome.percentile_us(key) for record in records if record.outcome) for key in PERCENTILES
    }
    return tuple((_place(key), found.mean) for key, found in means.items() if found is not None and found.mean > 0)


def _place(percentile: str) -> float:
    return -math.log10(1 - float(percentile) / 100)
