# SPDX-License-Identifier: Apache-2.0
"""The summary: per workload and tool, one row for vanilla and one for each setup and configuration.

Only trials that ended `ok` are counted. The others are kept, with their reason, in `Summary.excluded`. Of an emulated
machine there is nothing but whether every call is accounted for: no share, no timing, no comparison.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bpfbench.analysis import commanded, results
from bpfbench.analysis.metrics import CORRECTNESS, FIO, LOSS_CAUSES, METRICS, Metric, loss_percent
from bpfbench.analysis.results import Cell, Description, Results, Sample, describe, pairing, rank
from bpfbench.model import Record, Status, TracerConfig, Workload


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
    samples: Mapping[Metric, Sample]
    """A metric no trial has is not in it."""
    lost_percent_by_cause: Mapping[str, Description | None]
    """Of the intercepted events; None where the library gives no means to count the cause."""
    uncounted: Mapping[str, str]
    """Why, for each cause that cannot be counted."""

    def spread(self, metric: Metric) -> Description | None:
        """Describe what it has of a metric; None if no trial has it."""
        return self.samples[metric].spread if metric in self.samples else None


@dataclass(frozen=True)
class Group:
    """What is comparable: one workload under one tool on one kernel."""

    workload: Workload
    tool: str
    rows: tuple[Row, ...]
    """Vanilla first, even where it has no trial."""
    kernel: str | None = None
    """Which of the image's kernels; None: the one that was running."""
    emulated: bool = False
    """Of a machine that proves correctness only: rows have the metrics of CORRECTNESS, and are not compared."""
    from_sending: bool = False
    """Whether latencies at its rate are from when operations were sent, and not from when they were due."""

    @property
    def of_commands(self) -> bool:
        """Whether all its tracers are commands, which keep no contract."""
        tracers = [row.cell for row in self.rows if not row.cell.is_vanilla]
        return bool(tracers) and all(cell.is_command for cell in tracers)

    @cached_property
    def varying(self) -> tuple[str, ...]:
        """The factors in which the configurations of this group differ."""
        return results.varying(self._configs)

    @cached_property
    def common(self) -> dict[str, Any]:
        """The factors that all configurations of this group share, where the tool uses them, with their value."""
        return results.common(self._configs)

    @property
    def _configs(self) -> list[TracerConfig]:
        return [row.cell.config for row in self.rows if row.cell.config is not None]


@dataclass(frozen=True, slots=True)
class Summary:
    """A run in numbers."""

    groups: tuple[Group, ...]
    excluded: tuple[Record, ...]
    """The trials that are in no number, in the order of the plan."""
    metrics: tuple[Metric, ...] = METRICS
    """Those that a row may have."""
    target: str = FIO
    """What the target is called in a sentence."""

    def excluded_as(self, status: Status) -> int:
        """How many trials ended with this status."""
        return sum(trial.status is status for trial in self.excluded)


def summarise(run: Results) -> Summary:
    """Summarise a run, also one that is not complete."""
    return Summary(groups(run, run.cells), run.excluded, run.metrics, run.target_called)


def groups(run: Results, cells: Iterable[Cell]) -> tuple[Group, ...]:
    """Group these cells of a run by what is comparable."""
    found: defaultdict[Cell, list[Cell]] = defaultdict(list)
    for cell in cells:
        found[cell.vanilla].append(cell)
    return tuple(_group(run, vanilla, own) for vanilla, own in found.items())


def _group(run: Results, vanilla: Cell, cells: Iterable[Cell]) -> Group:
    rows = tuple(_row(run, cell) for cell in dict.fromkeys((vanilla, *cells)))
    planned = {record.trial.kernel for cell in cells for record in run.cells[cell]}
    driven = (record.driven for row in rows for record in run.counted(row.cell) if record.driven)
    from_sending = any(own.from_sending for own in driven)
    return Group(vanilla.workload, vanilla.tool, rows, min(planned, key=str), vanilla.emulated, from_sending)


def _row(run: Results, cell: Cell) -> Row:
    records, counted = run.cells.get(cell, ()), run.counted(cell)
    pairs = {pairing(record) for record in run.counted(cell.vanilla)}
    shown = (*CORRECTNESS, *commanded.CORRECTNESS) if cell.emulated else run.metrics
    return Row(
        cell=cell,
        n=len(counted),
        n_failed=sum(record.status is Status.FAILED for record in records),
        n_invalid=sum(record.status is Status.INVALID for record in records),
        n_paired=sum(pairing(record) in pairs for record in counted),
        samples={metric: run.samples[cell, metric] for metric in shown if (cell, metric) in run.samples},
        lost_percent_by_cause=_lost_percent_by_cause(counted, cell.emulated),
        uncounted={
            cause: why for r in counted if r.summary is not None for cause, why in r.summary.unavailable.items()
        },
    )


def _lost_percent_by_cause(records: Sequence[Record], emulated: bool) -> dict[str, Description | None]:
    """Describe what was lost by each cause; of an emulated machine, name but the causes that cannot be counted."""
    summaries = [record.summary for record in records if record.summary is not None]
    causes = sorted({cause for summary in summaries for cause in summary.lost}, key=lambda c: rank(c, LOSS_CAUSES))
    found = {cause: describe(loss_percent(summary, cause) for summary in summaries) for cause in causes}
    return {cause: share for cause, share in found.items() if share is None or not emulated}
