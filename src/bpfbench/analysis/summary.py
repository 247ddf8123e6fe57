# SPDX-License-Identifier: Apache-2.0
"""The summary: per workload and tool, one row for vanilla and one for each setup and configuration.

Only trials that ended `ok` are counted. The others are kept, with their reason, in `Summary.excluded`. Of an emulated
machine there is nothing but whether every call is accounted for: no share, no timing, no comparison.

A difference is the geometric mean of the ratios within blocks. It favours neither side: two trials without a difference
come out as twice as fast as often as half as fast, which the arithmetic mean of the percentages would call +25 %.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bpfbench.analysis.metrics import CORRECTNESS, LOSS_CAUSES, METRICS, Metric, loss_percent
from bpfbench.analysis.results import (
    FACTORS,
    Cell,
    Description,
    PaperRule,
    Results,
    Sample,
    describe,
    pairing,
    paper_rule,
    rank,
)
from bpfbench.model import Record, Status, Tool, TracerConfig, Trial, Variant, Workload

UNSAID = (None, Variant.FULL)
"""Values that go without saying."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of one row against vanilla."""

    difference_percent: Description | None
    """100 * (ratio - 1), where the ratios are value / vanilla's value over the pairs; None without a pair.

    The mean is that of the geometric mean, the SD that of the logarithms: 100 * (exp(SD) - 1). A pair with a value that
    is not positive is left out. None for a metric that is compared by its difference.
    """
    verdict: PaperRule
    difference: Description | None = None
    """Of value - vanilla's value over the pairs, in the metric's unit, of a metric so compared."""


@dataclass(frozen=True, slots=True)
class Row:
    """One cell, over its repetitions."""

    cell: Cell
    n: int
    """Trials that ended ok; all numbers of the row are over these."""
    n_failed: int
    n_invalid: int
    n_paired: int
    """Of `n`, those with an ok vanilla trial in their block and session; differences are over these."""
    estimates: Mapping[Metric, Description]
    """A metric no trial has is not in it."""
    comparisons: Mapping[Metric, Comparison]
    """Of the metrics that vanilla has too; empty for vanilla itself."""
    lost_percent_by_cause: Mapping[str, Description | None]
    """Of the intercepted events; None where the library gives no means to count the cause."""
    uncounted: Mapping[str, str]
    """Why, for each cause that cannot be counted."""

    @property
    def setup(self) -> str:
        """Its setup."""
        return self.cell.setup

    @property
    def config(self) -> TracerConfig | None:
        """What it is configured with; None for vanilla."""
        return self.cell.config

    @property
    def is_vanilla(self) -> bool:
        """True for the row that the others are compared with."""
        return self.cell.is_vanilla


@dataclass(frozen=True, slots=True)
class Group:
    """What is comparable: one workload under one tool on one kernel."""

    workload: Workload
    tool: Tool
    rows: tuple[Row, ...]
    """Vanilla first, even where it has no trial."""
    kernel: str | None = None
    """Which of the image's kernels; None: the one that was running."""
    emulated: bool = False
    """Of a machine that proves correctness only: rows have the metrics of CORRECTNESS, and are not compared."""

    @property
    def varying(self) -> tuple[str, ...]:
        """The factors in which the configurations of this group differ."""
        return tuple(name for name in FACTORS if len(self._values(name)) > 1)

    @property
    def common(self) -> dict[str, Any]:
        """The factors that all configurations of this group share, where the tool uses them, with their value."""
        found = {name: self._values(name) for name in FACTORS}
        return {name: values[0] for name, values in found.items() if len(values) == 1 and values[0] not in UNSAID}

    def _values(self, factor: str) -> list[Any]:
        values = (getattr(row.config, factor) for row in self.rows if row.config is not None)
        return list(dict.fromkeys(values))


@dataclass(frozen=True, slots=True)
class Excluded:
    """A trial that is not averaged in."""

    trial: Trial
    status: Status
    reason: str | None


@dataclass(frozen=True, slots=True)
class Summary:
    """A run in numbers."""

    groups: tuple[Group, ...]
    excluded: tuple[Excluded, ...]
    """In the order of the plan."""

    def excluded_as(self, status: Status) -> int:
        """How many trials ended with this status."""
        return sum(trial.status is status for trial in self.excluded)


def summarise(results: Results) -> Summary:
    """Summarise a run, also one that is not complete."""
    groups: defaultdict[Cell, list[Cell]] = defaultdict(list)
    for cell in results.cells:
        groups[cell.vanilla].append(cell)
    return Summary(
        groups=tuple(_group(results, vanilla, cells) for vanilla, cells in groups.items()),
        excluded=excluded(results),
    )


def excluded(results: Results) -> tuple[Excluded, ...]:
    """Return the trials that are in no number, in the order of the plan."""
    return tuple(Excluded(r.trial, r.status, r.reason) for r in results.records if r.status is not Status.OK)


def _group(results: Results, vanilla: Cell, cells: Iterable[Cell]) -> Group:
    rows = tuple(_row(results, cell) for cell in dict.fromkeys((vanilla, *cells)))
    planned = {record.trial.kernel for cell in cells for record in results.cells[cell]}
    return Group(vanilla.workload, vanilla.tool, rows, min(planned, key=str), vanilla.emulated)


def _row(results: Results, cell: Cell) -> Row:
    records, counted = results.cells.get(cell, ()), results.counted(cell)
    pairs = {pairing(record) for record in results.counted(cell.vanilla)}
    shown = CORRECTNESS if cell.emulated else METRICS
    samples = [sample for metric in shown if (sample := results.samples.get((cell, metric))) is not None]
    compared = [] if cell.emulated or cell.is_vanilla else [own for own in samples if own.metric.versus_vanilla]
    return Row(
        cell=cell,
        n=len(counted),
        n_failed=sum(record.status is Status.FAILED for record in records),
        n_invalid=sum(record.status is Status.INVALID for record in records),
        n_paired=sum(pairing(record) in pairs for record in counted),
        estimates={own.metric: own.spread for own in samples},
        comparisons={own.metric: _compare(own, results.vanilla_of(own)) for own in compared},
        lost_percent_by_cause=_lost_percent_by_cause(counted, cell.emulated),
        uncounted={
            cause: why for r in counted if r.summary is not None for cause, why in r.summary.unavailable.items()
        },
    )


def _compare(own: Sample, vanilla: Sample | None) -> Comparison:
    if vanilla is None:
        return Comparison(None, PaperRule.NOT_ASSESSABLE)
    verdict, found = paper_rule(own.spread, vanilla.spread), describe(own.over(vanilla).values())
    if own.metric.by_difference:
        return Comparison(None, verdict, found)
    return Comparison(found and _in_percent(found), verdict)


def _in_percent(logs: Description) -> Description:
    """Turn logarithms of ratios into changes in per cent."""
    mean, median, low, high = (100 * math.expm1(value) for value in (logs.mean, logs.median, logs.min, logs.max))
    return Description(logs.n, mean, None if logs.sd is None else 100 * math.expm1(logs.sd), median, low, high)


def _lost_percent_by_cause(records: Sequence[Record], emulated: bool) -> dict[str, Description | None]:
    """Describe what was lost by each cause; of an emulated machine, name but the causes that cannot be counted."""
    summaries = [record.summary for record in records if record.summary is not None]
    causes = sorted({cause for summary in summaries for cause in summary.lost}, key=lambda c: rank(c, LOSS_CAUSES))
    found = {cause: describe(loss_percent(summary, cause) for summary in summaries) for cause in causes}
    return {cause: share for cause, share in found.items() if share is None or not emulated}
