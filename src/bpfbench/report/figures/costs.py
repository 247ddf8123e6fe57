# SPDX-License-Identifier: Apache-2.0
"""Where a tracer's cost arises: in user space or the kernel, in hook, ring or output.

The first needs nothing but full trials. The second needs a study with variants, and draws what `costs` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bpfbench.analysis import metrics
from bpfbench.analysis.questions.costs import Cost, costs
from bpfbench.analysis.results import Description
from bpfbench.analysis.summary import Group, Row
from bpfbench.model import Tool
from bpfbench.report import wording
from bpfbench.report.chart import Bar, Chart, Mark, Panel, PanelRow, Part, around
from bpfbench.report.figures.sections import Section

SPLIT = "User and kernel CPU time of the tracer"
LAYERS = "Cost of hook, ring and user space"


def split(section: Section) -> Chart:
    """The tracer's CPU time while the target ran, by where it was spent."""
    panels = (tuple(bar for row in group.rows if (bar := _split(group, row))) for group in section.groups)
    what = (
        f"While {wording.target(section.workload)} ran, in per cent of one CPU; means over trials. BPF programs run on"
        " the time of the task they trace and are not in it."
    )
    row = PanelRow("tracer CPU", "% of one", tuple(Panel(bars=bars) for bars in panels))
    return section.chart("split", SPLIT, what, row)


def _split(group: Group, row: Row) -> Bar | None:
    wanted = (metrics.TRACER_USER, metrics.TRACER_SYSTEM, metrics.RUNTIME)
    user, system, runtime = (row.spread(metric) for metric in wanted)
    if user is None or system is None or runtime is None or runtime.mean == 0:
        return None
    parts = (Part("user", 100 * user.mean / runtime.mean), Part("kernel", 100 * system.mean / runtime.mean))
    return Bar(wording.row_name(row, group), row.cell.setup, parts, hover=f"n = {row.n}")


def layers(section: Section) -> Chart | None:
    """What each part of the work adds to an I/O; None for a study without variants."""
    if section.part[0] > 1 or all(cell.is_full for cell in section.cells):
        return None  # of all rows at once, and there is nothing to work out without a variant
    found = costs(section.results, section.cells)
    if not found:
        return None
    tools = tuple(tool for tool in Tool if any(cost.cell.tool is tool for cost in found))
    by_tool = [[cost for cost in found if cost.cell.tool is tool] for tool in tools]
    rows = (
        PanelRow("time", "ns per I/O", tuple(_steps(own, lambda cost: cost.time_ns) for own in by_tool)),
        PanelRow("CPU", "ns per I/O", tuple(_steps(own, lambda cost: cost.cpu_ns) for own in by_tool)),
        PanelRow("BPF programs", "ns per event", tuple(_programs(own) for own in by_tool)),
    )
    what = (
        "Mean differences between two variants of one block, ± SD. kernel: nobody drains the ring, against"
        " vanilla; consuming: drained to /dev/null, against that; output: written to a file, against that. BPF"
        " programs: run time by the kernel's counters, in trials of their own."
    )
    return Chart(f"layers-{section.key}", LAYERS, section.caption(what), tools, rows)


def _steps(found: Sequence[Cost], of: Callable[[Cost], Mapping[str, Description | None]]) -> Panel:
    marks = (
        _mark(f"{cost.cell.setup} {step}", cost.cell.setup, value)
        for cost in found
        for step, value in of(cost).items()
        if value is not None and step != "whole"
    )
    return Panel(tuple(marks), nothing="not measured: no two variants in one block, or no control group")


def _programs(found: Sequence[Cost]) -> Panel:
    marks = (_mark(cost.cell.setup, cost.cell.setup, cost.bpf_ns) for cost in found if cost.bpf_ns is not None)
    return Panel(tuple(marks), nothing="no trial of the variant run-time")


def _mark(label: str, setup: str, found: Description) -> Mark:
    return Mark(label, setup, found.mean, around(found.mean, found.sd), hover=f"n = {found.n}")
