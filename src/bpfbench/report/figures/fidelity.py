# SPDX-License-Identifier: Apache-2.0
"""Saved and lost events in per cent of those intercepted, per tool (figures 2 and 5 of the paper)."""

from __future__ import annotations

from bpfbench.analysis import metrics
from bpfbench.analysis.summary import Group, Row
from bpfbench.report import wording
from bpfbench.report.chart import Bar, Chart, Panel, PanelRow, Part
from bpfbench.report.figures.paper import Paper, printed
from bpfbench.report.figures.sections import Section
from bpfbench.report.numbers import share

TITLE = "Saved and lost events"


def fidelity(section: Section, paper: Paper) -> Chart | None:
    """Make the figure; None where no tool has a ring that could lose events."""
    groups = section.with_rings
    panels = tuple(_panel(section, group, paper) for group in groups)
    what = "In per cent of those intercepted; means over trials."
    if any(panel.paper for panel in panels):
        what += " Diamonds: saved, as the paper prints it."
    row = PanelRow("events", "%", panels, shown=(0.0, 100.0))
    return section.chart("fidelity", TITLE, what, row, groups=groups) if groups else None


def _panel(section: Section, group: Group, paper: Paper) -> Panel:
    bars = tuple(bar for row in group.rows if (bar := _bar(group, row)))
    saved = printed(paper, section.workload.name, "saved_percent", group.tool)
    points = ((float(at), saved[bar.setup]) for at, bar in enumerate(bars) if bar.setup in saved)
    return Panel(bars=bars, paper=tuple(points))


def _bar(group: Group, row: Row) -> Bar | None:
    saved, lost = row.spread(metrics.SAVED_PERCENT), row.spread(metrics.LOST_PERCENT)
    if saved is None or lost is None:
        return None
    causes = (
        f"{cause} {share(found.mean)} %" for cause, found in row.lost_percent_by_cause.items() if found and found.mean
    )
    parts = (Part("saved", saved.mean), Part("lost", lost.mean, is_rest=True))
    text = f"{saved.mean:.1f}" if 1 <= saved.mean < 99.95 else share(saved.mean).removesuffix(".00")
    return Bar(wording.row_name(row, group), row.cell.setup, parts, text, hover="; ".join([f"n = {saved.n}", *causes]))
