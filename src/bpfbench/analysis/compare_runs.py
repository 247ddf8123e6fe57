# SPDX-License-Identifier: Apache-2.0
"""Two runs -> what changed between them, by how much, and how sure that is.

Trials of two runs make no pairs. What vanilla has too is compared by its ratio to vanilla of the same block, so that a
faster machine alone is no change; vanilla itself, and what it does not have, by their values. Interval and p are of
Welch's t test, on logarithms of what is a ratio or a positive quantity, on the values of what is in per cent or
compared by difference.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np
import polars as pl

from bpfbench.analysis.compare import Pairing
from bpfbench.analysis.inference import Finding, Interval, finding, holm, welch
from bpfbench.analysis.metrics import BY_KEY
from bpfbench.analysis.statistics import Observed, observed, position
from bpfbench.analysis.table import Cell, measured
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


def compare_runs(before: pl.DataFrame, after: pl.DataFrame, known: Sequence[ChangedFact] = ()) -> RunComparison:
    """Compare two tidy tables.

    A cell is the same in both if all that tells it is, but for the kernel where each run had a single one.
    """
    single = all(table["kernel"].n_unique() <= 1 for table in (before, after))
    first, second = (_by_key(table, single) for table in (before, after))
    shared = [key for key in first if key in second]
    found = [shift for key in shared if (shift := _shift(first[key], second[key])) is not None]
    cells = [{key[0]: own.cell for key, own in side.items()} for side in (first, second)]
    return RunComparison(
        tuple(known),
        tuple(sorted(_corrected(found), key=lambda shift: position(shift.cell))),
        only_before=_sorted(cell for key, cell in cells[0].items() if key not in cells[1]),
        only_after=_sorted(cell for key, cell in cells[1].items() if key not in cells[0]),
    )


def _sorted(cells: Iterator[Cell]) -> tuple[Cell, ...]:
    return tuple(sorted(cells, key=position))


def _by_key(table: pl.DataFrame, single_kernel: bool) -> dict[tuple[Cell, str], Observed]:
    return {
        (replace(own.cell, kernel=None if single_kernel else own.cell.kernel), own.metric): own
        for own in observed(measured(table))
    }


def _shift(before: Observed, after: Observed) -> Shift | None:
    """Compare what both have: ratios to vanilla if either has any, else values. None where they share nothing."""
    versus_vanilla = BY_KEY[before.metric].versus_vanilla and not before.cell.is_vanilla
    by_difference = BY_KEY[before.metric].by_difference or (before.unit == "%" and not versus_vanilla)
    samples = _sample(before, versus_vanilla, by_difference), _sample(after, versus_vanilla, by_difference)
    if not all(samples):
        return None
    means = [float(np.mean(sample)) for sample in samples]
    shown = means if by_difference else [math.exp(mean) for mean in means]
    tested = welch(*samples)
    change, interval = means[1] - means[0], tested.interval
    if not by_difference:
        change, interval = math.exp(change), interval and interval.mapped(math.exp)
    return Shift(
        cell=before.cell,
        metric=before.metric,
        unit=before.unit,
        versus_vanilla=versus_vanilla,
        before=shown[0],
        after=shown[1],
        n_before=len(samples[0]),
        n_after=len(samples[1]),
        is_ratio=not by_difference,
        change=change,
        interval=interval,
        p=tested.p,
    )


def _sample(own: Observed, versus_vanilla: bool, by_difference: bool) -> list[float]:
    if versus_vanilla:
        return list((own.differences if by_difference else own.log_ratios).values())
    of_block: defaultdict[Pairing, list[float]] = defaultdict(list)
    for pairing, value in zip(own.pairings, own.values, strict=True):
        if by_difference or value > 0:
            of_block[pairing].append(value if by_difference else math.log(value))
    return [fmean(values) for values in of_block.values()]  # vanilla's two trials of a block are no two repetitions


def _corrected(shifts: Sequence[Shift]) -> list[Shift]:
    families: dict[str, list[int]] = {}
    for place, shift in enumerate(shifts):
        if shift.p is not None:
            families.setdefault(shift.metric, []).append(place)
    corrected = list(shifts)
    for places in families.values():
        for place, p in zip(places, holm([shifts[place].p or 0.0 for place in places]), strict=True):
            corrected[place] = replace(shifts[place], p_corrected=p)
    return corrected
