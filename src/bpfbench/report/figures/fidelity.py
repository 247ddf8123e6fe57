# SPDX-License-Identifier: Apache-2.0
"""Saved and lost events in per cent of those intercepted, per tool (figures 2 and 5 of the paper)."""

from __future__ import annotations

from bpfbench.analysis import metrics
from bpfbench.analysis.summary import Group, Row
from bpfbench.model import Tool
from bpfbench.report import wording
from bpfbench.report.chart import Absent, Chart, Panel, PanelRow, Part, Stack, Stacks
from bpfbench.report.figures.paper import Printed
from bpfbench.report.figures.sections import Section
from bpfbench.report.numbers import share

TITLE = "Saved and lost events"


def fidelity(section: Section, printed: Printed | None = None) -> Chart | None:
    """Make the figure; None where no tool has a ring that could lose events."""
    groups = [group for group in section.groups if group.tool is not Tool.SYSCOUNT]
    if not groups:
        return None
    panels = tuple(_panel(section, group, printed) for group in groups)
    what = "In per cent of those intercepted; means over trials."
    if any(isinstance(panel, Stacks) and panel.paper for panel in panels):
        what += " Diamonds: saved, as the paper prints it."
    return section.chart("fidelity", TITLE, what, PanelRow("events", "%", panels), groups=groups)


def _panel(section: Section, group: Group, printed: Printed | None) -> Panel:
    bars = tuple(bar for row in group.rows if (bar := _bar(group, row)))
    if not bars:
        return Absent("no trial that counts")
    paper = printed.saved_percent(section.workload.name, group.tool) if printed else {}
    return Stacks(bars, 100.0, tuple((bar.label, paper[bar.setup]) for bar in bars if bar.setup in paper))


def _bar(group: Group, row: Row) -> Stack | None:
    saved, lost = row.spread(metrics.SAVED_PERCENT), row.spread(metrics.LOST_PERCENT)
    if saved is None or lost is None:
        return None
    causes = [
        f"{cause} {share(found.mean)} %" for cause, found in row.lost_percent_by_cause.items() if found and found.mean
    ]
    hover = "; ".join([f"n = {saved.n}", *causes])
    parts = (Part("saved", saved.mean), Part("lost", lost.mean, is_rest=True))
    return Stack(wording.row_name(row, group), row.setup, parts, hover)
