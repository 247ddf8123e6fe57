# SPDX-License-Identifier: Apache-2.0
"""Where a tracer's cost arises: in user space or the kernel, in hook, ring or output.

The first needs nothing but full trials. The second needs a study with variants: each leaves out a part of the work, and
what the next one adds to the target's runtime is that part's price.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bpfbench.analysis import metrics
from bpfbench.analysis.compare import compare
from bpfbench.analysis.estimate import Estimate, estimate
from bpfbench.analysis.metrics import Metric
from bpfbench.analysis.summary import Group, Row
from bpfbench.model import Record, Tool, Variant
from bpfbench.report import wording
from bpfbench.report.figures.chart import Absent, Chart, Dots, Mark, Panel, PanelRow, Part, Stack, Stacks
from bpfbench.report.figures.sections import Section

SPLIT = "User and kernel CPU time of the tracer"
LAYERS = "Cost of hook, ring and user space"

_LAYERS = {
    Variant.NO_CONSUMER: "hook only",
    Variant.NO_OUTPUT: "+ ring, drained",
    Variant.FULL: "+ output written",
}
"""Variants in the order in which each adds to the one before."""


def split(section: Section) -> Chart:
    """The tracer's CPU time while fio ran, by where it was spent."""
    panels = tuple(_split_panel(group) for group in section.groups)
    what = (
        f"{SPLIT} while fio ran, in per cent of one CPU; means over trials. BPF programs run on the time of the task"
        " they trace and are not in it."
    )
    columns = tuple(group.tool.value for group in section.groups)
    row = PanelRow("tracer CPU", "% of one", panels)
    return Chart(f"split-{section.key}", SPLIT, section.caption(what), columns, (row,), section.stamp)


def _split_panel(group: Group) -> Panel:
    bars = tuple(bar for row in group.rows if (bar := _split_bar(group, row)))
    return Stacks(bars) if bars else Absent("no trial that counts")


def _split_bar(group: Group, row: Row) -> Stack | None:
    wanted = (metrics.TRACER_USER, metrics.TRACER_SYSTEM, metrics.RUNTIME)
    user, system, runtime = (row.estimates.get(metric) for metric in wanted)
    if user is None or system is None or runtime is None or runtime.mean == 0:
        return None
    parts = (Part("user", 100 * user.mean / runtime.mean), Part("kernel", 100 * system.mean / runtime.mean))
    return Stack(wording.row_name(row, group), row.setup, parts, f"n = {row.n}")


def layers(section: Section) -> Chart | None:
    """What each part of the work adds; None for a study without variants."""
    if not section.variants:
        return None
    tools = [tool for tool in Tool if any(r.trial.tool is tool and r.trial.config for r in section.variants)]
    rows = (
        PanelRow("runtime over vanilla", "%", tuple(_overhead(section.variants, tool) for tool in tools)),
        PanelRow("BPF programs", "ns/event", tuple(_run_time(section.variants, tool) for tool in tools)),
    )
    what = (
        f"{LAYERS}. Top: fio's runtime over vanilla's of the same block; the ring is attached and nobody drains it"
        " (hook only), it is drained to /dev/null, and it is drained to a file; bars: ± SD. Bottom: run time of the BPF"
        " programs per event, by the kernel's counters, in trials of their own."
    )
    return Chart(f"layers-{section.key}", LAYERS, section.caption(what), tuple(tools), rows, section.stamp)


def _overhead(records: Sequence[Record], tool: Tool) -> Panel:
    vanilla = [record for record in records if record.trial.is_vanilla and record.trial.tool is tool]
    marks = []
    for setup in _setups(records, tool):
        for variant, name in _LAYERS.items():
            found = compare(metrics.RUNTIME, _of(records, tool, setup, variant), vanilla)
            if found and found.difference_percent:
                marks.append(_mark(f"{setup} {name}", setup, found.difference_percent))
    return Dots(tuple(marks)) if marks else Absent("no pair with vanilla")


def _run_time(records: Sequence[Record], tool: Tool) -> Panel:
    marks = []
    for setup in _setups(records, tool):
        found = _estimate(_of(records, tool, setup, Variant.RUN_TIME), metrics.BPF_TIME)
        if found:
            marks.append(_mark(setup, setup, found))
    return Dots(tuple(marks)) if marks else Absent("no trial of the variant run-time")


def _estimate(records: Iterable[Record], metric: Metric) -> Estimate | None:
    return estimate(metric.read(record) for record in records)


def _mark(label: str, setup: str, found: Estimate) -> Mark:
    spread = None if found.sd is None else (found.mean - found.sd, found.mean + found.sd)
    return Mark(label, setup, found.mean, spread, hover=f"n = {found.n}")


def _setups(records: Iterable[Record], tool: Tool) -> list[str]:
    return list(dict.fromkeys(r.trial.setup for r in records if r.trial.tool is tool and r.trial.config))


def _of(records: Iterable[Record], tool: Tool, setup: str, variant: Variant) -> list[Record]:
    return [
        record
        for record in records
        if record.trial.tool is tool
        and record.trial.setup == setup
        and record.trial.config
        and record.trial.config.variant is variant
    ]
