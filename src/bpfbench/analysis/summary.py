# SPDX-License-Identifier: Apache-2.0
"""Records -> Summary: per workload and tool, one row for vanilla and one for each setup and configuration.

Only trials that ended `ok` are counted. The others are kept, with their reason, in `Summary.excluded`. Of an emulated
machine there is nothing but whether every call is accounted for: no share, no timing, no comparison.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bpfbench.analysis.compare import Comparison, compare, pairing
from bpfbench.analysis.estimate import Estimate, estimate
from bpfbench.analysis.metrics import CORRECTNESS, LOSS_CAUSES, METRICS, Metric, loss_percent
from bpfbench.model import VANILLA, Record, Status, Tool, TracerConfig, Trial, Variant, Workload

UNSAID = (None, Variant.FULL)
"""Values that go without saying."""

FACTORS = tuple(field.name for field in dataclasses.fields(TracerConfig))
"""The names of what a tracer can be configured with."""


@dataclass(frozen=True, slots=True)
class Row:
    """One setup in one configuration, over its repetitions."""

    setup: str
    config: TracerConfig | None
    """None for vanilla."""
    n: int
    """Trials that ended ok; all numbers of the row are over these."""
    n_failed: int
    n_invalid: int
    n_paired: int
    """Of `n`, those with an ok vanilla trial in their block and session; differences are over these."""
    estimates: Mapping[Metric, Estimate]
    """A metric no trial has is not in it."""
    comparisons: Mapping[Metric, Comparison]
    """Of the metrics that vanilla has too; empty for vanilla itself."""
    lost_percent_by_cause: Mapping[str, Estimate | None]
    """Of the intercepted events; None where the library gives no means to count the cause."""
    uncounted: Mapping[str, str]
    """Why, for each cause that cannot be counted."""

    @property
    def is_vanilla(self) -> bool:
        """True for the row that the others are compared with."""
        return self.setup == VANILLA


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


def summarise(
    records: Sequence[Record], setup_order: Sequence[str] = (), workload_order: Sequence[str] = ()
) -> Summary:
    """Summarise a run. The order of the records does not matter.

    Args:
        records: what the trials left, also of a run that is not complete.
        setup_order: names of setups in the order wanted; vanilla is first in any case, the others follow by name.
        workload_order: the same for workloads.
    """
    tools = list(Tool)

    def position(key: tuple[Workload, Tool, str | None]) -> tuple[Any, ...]:
        workload, tool, kernel = key
        return (_rank(workload.name, workload_order), *workload.extent, tools.index(tool), kernel or "")

    groups = _grouped(records, lambda record: (record.trial.workload, record.trial.tool, record.trial.kernel))
    excluded = sorted((r for r in records if r.status is not Status.OK), key=lambda r: r.trial.index)
    return Summary(
        groups=tuple(_group(*key, groups[key], setup_order) for key in sorted(groups, key=position)),
        excluded=tuple(Excluded(r.trial, r.status, r.reason) for r in excluded),
    )


def _group(
    workload: Workload, tool: Tool, kernel: str | None, records: Sequence[Record], setup_order: Sequence[str]
) -> Group:
    rows = _grouped(records, lambda record: (record.trial.setup, record.trial.config))
    rows.setdefault((VANILLA, None), [])

    def position(key: tuple[str, TracerConfig | None]) -> tuple[Any, ...]:
        setup, config = key
        return (setup != VANILLA, _rank(setup, setup_order), _config_order(config))

    vanilla = [record for record in rows[VANILLA, None] if record.status is Status.OK]
    emulated = any(record.emulated for record in records)
    ordered = (_row(*key, rows[key], vanilla) for key in sorted(rows, key=position))
    shown = tuple(_correctness(row) for row in ordered) if emulated else tuple(ordered)
    return Group(workload, tool, shown, kernel, emulated)


def _correctness(row: Row) -> Row:
    """Leave of a row what proves correctness."""
    return dataclasses.replace(
        row,
        estimates={metric: found for metric, found in row.estimates.items() if metric in CORRECTNESS},
        comparisons={},
        lost_percent_by_cause={cause: None for cause, found in row.lost_percent_by_cause.items() if found is None},
    )


def _row(setup: str, config: TracerConfig | None, records: Sequence[Record], vanilla: Sequence[Record]) -> Row:
    counted = [record for record in records if record.status is Status.OK]
    pairs = {pairing(record) for record in vanilla}
    estimates = {metric: estimate(metric.read(record) for record in counted) for metric in METRICS}
    compared = [] if setup == VANILLA else [metric for metric in METRICS if metric.versus_vanilla]
    comparisons = {metric: compare(metric, counted, vanilla) for metric in compared}
    return Row(
        setup=setup,
        config=config,
        n=len(counted),
        n_failed=sum(record.status is Status.FAILED for record in records),
        n_invalid=sum(record.status is Status.INVALID for record in records),
        n_paired=sum(pairing(record) in pairs for record in counted),
        estimates={metric: found for metric, found in estimates.items() if found is not None},
        comparisons={metric: found for metric, found in comparisons.items() if found is not None},
        lost_percent_by_cause=_lost_percent_by_cause(counted),
        uncounted={
            cause: why for r in counted if r.summary is not None for cause, why in r.summary.unavailable.items()
        },
    )


def _lost_percent_by_cause(records: Iterable[Record]) -> dict[str, Estimate | None]:
    summaries = [record.summary for record in records if record.summary is not None]
    causes = {cause for summary in summaries for cause in summary.lost}
    ordered = sorted(causes, key=lambda cause: _rank(cause, LOSS_CAUSES))
    return {cause: estimate(loss_percent(summary, cause) for summary in summaries) for cause in ordered}


def _rank(name: str, order: Sequence[str]) -> tuple[int, str]:
    """A sort key: listed names in their order, then all others by name."""
    return (order.index(name), "") if name in order else (len(order), name)


def _config_order(config: TracerConfig | None) -> tuple[tuple[bool, Any], ...]:
    """A sort key: factor by factor, a factor that is absent first."""
    values = (getattr(config, name, None) for name in FACTORS)
    return tuple((value is not None, 0 if value is None else value) for value in values)


K = TypeVar("K")


def _grouped(records: Iterable[Record], key: Callable[[Record], K]) -> dict[K, list[Record]]:
    groups: defaultdict[K, list[Record]] = defaultdict(list)
    for record in records:
        groups[key(record)].append(record)
    return dict(groups)
