# SPDX-License-Identifier: Apache-2.0
"""Dots with error bars: what each setup makes of a quantity, tool by tool (figures 1, 3, 4 and 6 of the paper).

Runtime, throughput and latency are one fact. The first row has it as a change against vanilla, with the interval of the
tables: of the runtime, or at a limited rate, where that is given, of the latency. In their units they follow, as the
paper has them, and are folded on the page.
"""

from __future__ import annotations

import math

from bpfbench.analysis import metrics
from bpfbench.analysis.apart import Told, Verdict, apart
from bpfbench.analysis.metrics import Metric
from bpfbench.analysis.summary import Group, Row
from bpfbench.model import VANILLA
from bpfbench.report import wording
from bpfbench.report.chart import Chart, Mark, Panel, PanelRow, around
from bpfbench.report.figures.paper import Paper, printed
from bpfbench.report.figures.sections import Section
from bpfbench.report.quantities import BY_METRIC, Quantity, among

MOST_TRIALS = 60
"""Of a mark that are shown one by one; more are a smear, and their SD says it."""


IN_UNITS = "In seconds, MiB/s and µs"

TITLES = {
    "performance": "Runtime, throughput and latency",
    "resources": "CPU, memory and power of the whole machine",
}
"""Figure -> its title: the first is figures 1 and 4 of the paper, the second 3 and 6. quantities.py of the report says
what is in which."""
OF_TARGETS = {
    "performance": "Runtime, and the target's own numbers",
    "resources": "CPU of the target; CPU, memory and power of the whole machine",
}
"""Of targets besides fio."""


def dots(section: Section, key: str, paper: Paper) -> Chart:
    """Make a figure, by its key in TITLES."""
    rows = tuple(
        PanelRow(
            quantity.title,
            quantity.unit,
            tuple(_panel(section, group, quantity, paper) for group in section.groups),
            folded=key == "performance",
        )
        for quantity in _quantities(section)
        if quantity.figure == key
    )
    what = "Marks and bars: mean ± SD over trials; small dots: single trials, up to 60; band: vanilla's mean ± SD."
    if key == "performance":
        fact = BY_METRIC[metrics.RUNTIME if section.workload.rate_iops is None else metrics.LATENCY]
        changes = tuple(_changes(section, group, fact.metric) for group in section.groups)
        rows = (PanelRow(f"{fact.title} over vanilla", "%", changes, bars="95 % interval"), *rows)
        what = (
            "Against vanilla of the same block: geometric mean and 95 % interval that holds at every look and for all"
            " setups at once, as far as it fits; small dots: single trials; hollow: not told apart from vanilla; band:"
            f" vanilla's own SD. {IN_UNITS if section.workload.is_fio else 'Below it, in units'}: mean ± SD."
        )
    if any(panel.paper for row in rows for panel in row.panels):
        what += " Hollow diamonds: the paper's printed ratio to its own vanilla, times vanilla's mean here."
    title = TITLES[key] if section.workload.is_fio else OF_TARGETS[key]
    return section.chart(key, title, what, *rows)


def _quantities(section: Section) -> tuple[Quantity, ...]:
    found = dict.fromkeys(own for group in section.groups for row in group.rows for own in row.samples)
    return among(found, fio=section.workload.is_fio)


def _panel(section: Section, group: Group, quantity: Quantity, paper: Paper) -> Panel:
    marks = tuple(mark for row in group.rows if (mark := _mark(group, row, quantity)))
    vanilla = next((mark for mark in marks if mark.setup == VANILLA), None)
    ratios = printed(paper, section.workload.name, "factor_over_vanilla", group.tool, quantity.metric.key)
    points = (
        (float(at), vanilla.y * ratios[mark.setup])
        for at, mark in enumerate(marks)
        if vanilla is not None and mark.setup in ratios
    )
    return Panel(marks, band=vanilla, paper=tuple(points), nothing=why_absent(quantity.metric, section, group))


def _changes(section: Section, group: Group, metric: Metric) -> Panel:
    """What each setup changes of a metric, in per cent of vanilla's."""
    told = apart(group, (metric,))
    marks = tuple(mark for row in group.rows if (mark := _change(section, group, row, metric, told)))
    if all(mark.setup == VANILLA for mark in marks):
        return Panel(nothing="no pair with vanilla")
    band = next((mark for mark in marks if mark.setup == VANILLA), None)
    return Panel(marks, band=band)


def _change(section: Section, group: Group, row: Row, metric: Metric, told: Told) -> Mark | None:
    found, paired = section.statistic(row, metric), row.samples.get(metric)
    label = wording.row_name(row, group)
    if found is None or paired is None:
        return None
    if row.cell.is_vanilla:
        mean, sd = found.spread.mean, found.spread.sd
        own = tuple(100 * (value / mean - 1) for value in paired.values[: MOST_TRIALS + 1])
        spread = around(0.0, None if sd is None else 100 * sd / mean)
        return Mark(label, row.cell.setup, 0.0, spread, _few(own), hover=f"± SD; n = {found.spread.n}")
    if found.paired is None:
        return None
    logs = list(paired.changes.values())
    known = told.get((row.cell, metric))
    interval = known.interval if known else None
    return Mark(
        label,
        row.cell.setup,
        100 * (found.paired.ratio - 1),
        None if interval is None else (interval.low, interval.high),
        _few(tuple(100 * math.expm1(log) for log in logs)),
        hover=f"n = {found.paired.n} pairs",
        told=known is not None and known.verdict in (Verdict.MORE, Verdict.LESS),
    )


def _few(values: tuple[float, ...]) -> tuple[float, ...]:
    return values if len(values) <= MOST_TRIALS else ()


def _mark(group: Group, row: Row, quantity: Quantity) -> Mark | None:
    found = row.spread(quantity.metric)
    if found is None:
        return None
    values = row.samples[quantity.metric].values if found.n <= MOST_TRIALS else ()
    mean = found.mean / quantity.scale
    return Mark(
        label=wording.row_name(row, group),
        setup=row.cell.setup,
        y=mean,
        spread=around(mean, None if found.sd is None else found.sd / quantity.scale),
        trials=tuple(value / quantity.scale for value in values),
        hover=f"n = {found.n}",
    )


def why_absent(metric: Metric, section: Section, group: Group) -> str:
    """Say why there is nothing of a metric to draw, if there is nothing."""
    records = [record for row in group.rows for record in section.of(row)]
    if not records:
        return "no trial that counts"
    if metric is metrics.POWER:
        reasons = dict.fromkeys(record.notes["energy"] for record in records if "energy" in record.notes)
        return "; ".join(reasons) or "no energy counter was read"
    return "not measured"
