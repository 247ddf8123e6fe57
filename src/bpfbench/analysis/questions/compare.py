# SPDX-License-Identifier: Apache-2.0
"""What changed between two runs, by how much, and how sure that is.

Trials of two runs make no pairs. What vanilla has too is compared by its ratio to vanilla of the same block, so that a
faster machine alone is no change; vanilla itself, and what it does not have, by their values. Interval and p are of
Welch's t test, on logarithms of what is a ratio or a positive quantity, on the values of what is in per cent or
compared by difference. With fewer trials on a side than anything is told of, nothing is tested.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np

from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.inference import Finding, Interval, finding, holm, welch
from bpfbench.analysis.metrics import Metric
from bpfbench.analysis.results import Cell, Results, Sample
from bpfbench.store import RunInfo

VOLATILE = ("free_bytes", "device_number", "path", "packages", "built_at", "root", "tracers", "description", "paths")
"""Facts about a run that say nothing of what was measured."""


Side = dict[tuple[Cell, Metric], Sample]
"""What a run has, by what tells it from the rest of that run."""


@dataclass(frozen=True, slots=True)
class ChangedFact:
    """A fact that is not the same in both runs. None: not known of that run."""

    what: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Shift:
    """One metric of one cell in both runs."""

    cell: Cell
    """As in the first run."""
    metric: str
    unit: str
    versus_vanilla: bool
    """True: `before` and `after` are ratios to vanilla, geometric means, or where `is_ratio` is not, differences."""
    before: float
    after: float
    n_before: int
    """Trials; of vanilla, blocks."""
    n_after: int
    is_ratio: bool
    """What `change` is: after / before, or, of what is in per cent or compared by difference, after - before."""
    change: float
    interval: Interval | None
    """Of `change`, 95 % confidence; None where there are too few trials, or without any spread."""
    p: float | None
    """None as the interval."""
    p_corrected: float | None = None
    """After Holm's correction over all cells of the metric, vanilla or not."""

    @property
    def has_too_few(self) -> bool:
        """Whether a side has fewer trials than anything is told of."""
        return min(self.n_before, self.n_after) < ROUNDS_LEAST

    @property
    def finding(self) -> Finding:
        """Which way it went, if that can be said."""
        return finding(self.p_corrected, higher=self.change > self.is_ratio)


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Two runs side by side."""

    facts: tuple[ChangedFact, ...]
    shifts: tuple[Shift, ...]
    """By cell, vanilla first."""
    only_before: tuple[Cell, ...]
    only_after: tuple[Cell, ...]
    by_kernel: bool
    """Whether a run has several kernels, so that the kernel is part of what tells cells apart."""


def changed_facts(before: RunInfo, after: RunInfo) -> tuple[ChangedFact, ...]:
    """Return the facts about machine, image, study and bpfbench in which two runs differ."""
    facts = [dict(_leaves(_facts(info))) for info in (before, after)]
    names = dict.fromkeys([*facts[0], *facts[1]])
    return tuple(
        ChangedFact(name, facts[0].get(name), facts[1].get(name))
        for name in names
        if facts[0].get(name) != facts[1].get(name)
    )


def _facts(info: RunInfo) -> dict[str, Any]:
    return {
        "bpfbench": info.bpfbench_version,
        "machine": info.machine,
        "image": {key: value for key, value in info.image.items() if key != "libraries"},
        "study": dataclasses.asdict(info.study),
        "executables": info.executables,
    }


def _leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        if key in VOLATILE:
            continue
        if isinstance(item, dict):
            yield from _leaves(item, f"{prefix}{key}.")
        elif item is not None:
            yield f"{prefix}{key}", ", ".join(map(str, item)) if isinstance(item, (list, tuple)) else str(item)


def compare_runs(before: Results, after: Results) -> RunComparison:
    """Compare two runs.

    A cell is the same in both if all that tells it is, but for the kernel where each run had a single one.
    """
    both = sides(before, after)
    found = [shift for own in _shared(*both) if (shift := _shift(*own)) is not None]
    corrected = holm([shift.p for shift in found], [shift.metric for shift in found])
    cells = [{cell: own.cell for (cell, _), own in side.items()} for side in both]
    return RunComparison(
        changed_facts(before.info, after.info) if before.info and after.info else (),
        tuple(replace(shift, p_corrected=p) for shift, p in zip(found, corrected, strict=True)),
        only_before=tuple(cell for key, cell in cells[0].items() if key not in cells[1]),
        only_after=tuple(cell for key, cell in cells[1].items() if key not in cells[0]),
        by_kernel=_by_kernel(before, after),
    )


def by_difference(own: Sample) -> bool:
    """Tell whether a change of this is a difference, and not a ratio."""
    return is_difference(own.metric, versus_vanilla=own.is_compared)


def is_difference(metric: Metric, *, versus_vanilla: bool) -> bool:
    """Tell the same of a metric, compared by its ratio to vanilla or by its values."""
    return metric.by_difference or (metric.unit == "%" and not versus_vanilla)


def sides(before: Results, after: Results) -> tuple[Side, Side]:
    """Return what each run has, by what both must have alike to be compared."""
    by_kernel = _by_kernel(before, after)
    return _by_key(before, by_kernel=by_kernel), _by_key(after, by_kernel=by_kernel)


def _shared(first: Side, second: Side) -> Iterator[tuple[Sample, Sample]]:
    """Yield what both runs have, cell by cell and metric by metric."""
    return ((own, second[key]) for key, own in first.items() if key in second)


def _by_kernel(*runs: Results) -> bool:
    return any(len({cell.kernel for cell in run.cells}) > 1 for run in runs)


def _by_key(run: Results, *, by_kernel: bool) -> Side:
    return {(replace(own.cell, kernel=own.cell.kernel if by_kernel else None), own.metric): own for own in run.measured}


def _shift(before: Sample, after: Sample) -> Shift | None:
    """Compare what both have: ratios to vanilla if either has any, else values. None where they share nothing."""
    metric, versus_vanilla, is_difference = before.metric, before.is_compared, by_difference(before)
    old, new = (on_scale(own) for own in (before, after))
    if not (old and new):
        return None
    tested, shown = welch(old, new), float if is_difference else math.exp
    if tested.n < ROUNDS_LEAST:
        tested = replace(tested, interval=None, p=None)
    return Shift(
        before.cell,
        metric.key,
        metric.unit,
        versus_vanilla,
        before=shown(np.mean(old)),
        after=shown(np.mean(new)),
        n_before=len(old),
        n_after=len(new),
        is_ratio=not is_difference,
        change=shown(tested.mean),
        interval=tested.interval and tested.interval.mapped(shown),
        p=tested.p,
    )


def on_scale(own: Sample) -> list[float]:
    """Return the values of a cell that are compared: logarithms of what is a ratio; against vanilla, if it has it."""
    if own.is_compared:
        return list(own.changes.values())
    # Vanilla's two trials of a block are no two repetitions.
    return [fmean(values) for values in own.by_block(logs=not by_difference(own)).values()]
