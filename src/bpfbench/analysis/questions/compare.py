# SPDX-License-Identifier: Apache-2.0
"""What changed between two runs, by how much, and how sure that is.

Trials of two runs make no pairs. What vanilla has too is compared by its ratio to vanilla of the same block, so that a
faster machine alone is no change; vanilla itself, and what it does not have, by their values. Interval and p are of
Welch's t test, on logarithms of what is a ratio or a positive quantity, on the values of what is in per cent or
compared by difference.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np

from bpfbench.analysis.inference import Finding, Interval, finding, holm, welch
from bpfbench.analysis.metrics import Metric
from bpfbench.analysis.results import Cell, Results, Sample
from bpfbench.store import RunInfo

VOLATILE = ("free_bytes", "device_number", "path", "packages", "built_at", "root", "tracers", "description", "paths")
"""Facts about a run that say nothing of what was measured."""


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
    """Of `change`, 95 % confidence; None with fewer than 2 trials on a side, or without any spread."""
    p: float | None
    p_corrected: float | None = None
    """After Holm's correction over all cells of the metric, vanilla or not."""

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
    single = all(len({cell.kernel for cell in run.cells}) <= 1 for run in (before, after))
    sides = tuple(_by_key(run, single) for run in (before, after))
    shared = [key for key in sides[0] if key in sides[1]]
    found = [shift for key in shared if (shift := _shift(*(side[key] for side in sides))) is not None]
    corrected = holm([shift.p for shift in found], [shift.metric for shift in found])
    cells = [{cell: own.cell for (cell, _), own in side.items()} for side in sides]
    return RunComparison(
        changed_facts(before.info, after.info) if before.info and after.info else (),
        tuple(replace(shift, p_corrected=p) for shift, p in zip(found, corrected, strict=True)),
        only_before=tuple(cell for key, cell in cells[0].items() if key not in cells[1]),
        only_after=tuple(cell for key, cell in cells[1].items() if key not in cells[0]),
    )


def _by_key(run: Results, single_kernel: bool) -> dict[tuple[Cell, Metric], Sample]:
    """Return what can be compared by what both runs must have alike."""
    return {
        (replace(own.cell, kernel=None if single_kernel else own.cell.kernel), own.metric): own for own in run.measured
    }


def _shift(before: Sample, after: Sample) -> Shift | None:
    """Compare what both have: ratios to vanilla if either has any, else values. None where they share nothing."""
    metric, versus_vanilla = before.metric, before.is_compared
    by_difference = metric.by_difference or (metric.unit == "%" and not versus_vanilla)
    old, new = (_values(own, logs=not by_difference) for own in (before, after))
    if not (old and new):
        return None
    tested, shown = welch(old, new), float if by_difference else math.exp
    return Shift(
        before.cell,
        metric.key,
        metric.unit,
        versus_vanilla,
        before=shown(np.mean(old)),
        after=shown(np.mean(new)),
        n_before=len(old),
        n_after=len(new),
        is_ratio=not by_difference,
        change=shown(tested.mean),
        interval=tested.interval and tested.interval.mapped(shown),
        p=tested.p,
    )


def _values(own: Sample, *, logs: bool) -> list[float]:
    if own.is_compared:
        return list(own.changes.values())
    # Vanilla's two trials of a block are no two repetitions.
    return [fmean(values) for values in own.by_block(logs=logs).values()]
