# SPDX-License-Identifier: Apache-2.0
"""Results: a run as one immutable thing, its cells x metrics x blocks. Every question is a function of it.

A *cell* is what repeated trials share. Of each cell and metric there is a `Sample`: the values of its trials that ended
ok, and what became of each against the vanilla trial of the same host, session and block.

The paper's rule (a mean that lies within vanilla's SD is inconclusive) stands beside what is paired within blocks: the
rule takes no account of a machine that drifts from block to block, the pairs are not blurred by it.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

from bpfbench import catalogue
from bpfbench.analysis import commanded, metrics
from bpfbench.analysis.metrics import Metric
from bpfbench.model import VANILLA, Attach, Environment, Record, Status, Tool, TracerConfig, Variant, Workload
from bpfbench.store import Run, RunInfo

CONFIG = tuple(field.name for field in dataclasses.fields(TracerConfig))
"""The columns of what a tracer can be configured with."""

_WORKLOAD = tuple(field.name for field in dataclasses.fields(Workload))
WORKLOAD = tuple("workload" if name == "name" else name for name in _WORKLOAD)
"""The columns of a workload."""

CELL = ("kernel", "emulated", *WORKLOAD, "tool", "setup", *CONFIG)
"""The columns of a cell."""

_USUAL = {field.name: field.default for field in dataclasses.fields(TracerConfig) if not field.repr}


def goes_without_saying(column: str, value: Any) -> bool:
    """Tell whether a value of a configuration is none, or what all had before there was the choice."""
    return value is None or value == _USUAL.get(column)


def said(config: TracerConfig | None) -> dict[str, Any]:
    """Return what is to be said of a configuration: what does not go without saying, by column."""
    values = {name: getattr(config, name) for name in CONFIG} if config else {}
    return {name: value for name, value in values.items() if not goes_without_saying(name, value)}


@dataclass(frozen=True)
class Cell:
    """What trials share that repeat each other: one setup in one configuration under one workload.

    The host is not in it: pairs are made within a host, and pooled. Everything is looked up by cells, a hundred times
    for each: a cell knows its hash, and its vanilla.
    """

    kernel: str | None
    """Release, as the trials found it; None where they do not say."""
    emulated: bool
    workload: Workload
    tool: str
    setup: str
    config: TracerConfig | None = None
    """None for vanilla."""

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.kernel, self.emulated, self.workload, self.tool, self.setup, self.config))

    @property
    def is_vanilla(self) -> bool:
        """True for the cell that the others are compared with."""
        return self.setup == VANILLA

    @property
    def is_command(self) -> bool:
        """Whether its tracer is a command, which keeps no contract."""
        return self.config is not None and self.config.is_command

    @cached_property
    def vanilla(self) -> Cell:
        """The cell it is compared with."""
        return replace(self, setup=VANILLA, config=None)

    @property
    def attach(self) -> Attach | None:
        """By which hook it traces; None for vanilla."""
        return self.config.attach if self.config else None

    @property
    def is_full(self) -> bool:
        """True for vanilla and for tracers that do all of their work."""
        return self.config is None or self.config.variant is Variant.FULL

    @property
    def columns(self) -> dict[str, Any]:
        """Its values by the names of CELL, as exports have them; what vanilla is not configured with is None."""
        workload = zip(WORKLOAD, (getattr(self.workload, name) for name in _WORKLOAD), strict=True)
        config = {name: getattr(self.config, name, None) for name in CONFIG}
        shared = {"kernel": self.kernel, "emulated": self.emulated, **dict(workload), "tool": str(self.tool)}
        return {**shared, "setup": self.setup, **config}


Pairing = tuple[str, int, str]
"""Host, block and session."""


def pairing(record: Record) -> Pairing:
    """What a trial must share with a vanilla trial to be paired with it.

    A block that an interruption split, or of which trials were run again, may have hours between its trials.
    """
    return record.trial.host, record.trial.block, record.session


@dataclass(frozen=True, slots=True)
class Description:
    """Values, described: in the metric's unit."""

    n: int
    mean: float
    sd: float | None
    """Sample standard deviation (n - 1 in the denominator); None for a single value."""
    median: float
    min: float
    max: float

    @property
    def brief(self) -> dict[str, float | None]:
        """Mean, SD and n alone, as JSON has them."""
        return {"mean": self.mean, "sd": self.sd, "n": self.n}


def describe(values: Iterable[float | None]) -> Description | None:
    """Describe the values present; None if there is none. One that is not finite counts as absent."""
    present = [value for value in values if value is not None and math.isfinite(value)]
    if not present:
        return None
    if len(present) == 1:
        (only,) = present
        return Description(1, only, None, only, only, only)
    n, mean, low, high = len(present), statistics.fmean(present), min(present), max(present)
    # statistics.stdev reckons in fractions, which takes as long as all else of a summary.
    squares = 0.0 if low == high else math.fsum((value - mean) ** 2 for value in present)
    return Description(n, mean, math.sqrt(squares / (n - 1)), statistics.median(present), low, high)


class PaperRule(StrEnum):
    """What the paper's rule says about a mean. None of it says that a difference is significant."""

    BEYOND = "beyond-vanilla-sd"
    INCONCLUSIVE = "inconclusive"
    """|mean - vanilla's mean| <= vanilla's SD."""
    NOT_ASSESSABLE = "not-assessable"
    """Vanilla has no SD: that needs 2 repetitions."""


def paper_rule(own: Description, vanilla: Description | None) -> PaperRule:
    """Apply the paper's rule. The boundary itself is inconclusive."""
    if vanilla is None or vanilla.sd is None:
        return PaperRule.NOT_ASSESSABLE
    return PaperRule.INCONCLUSIVE if abs(own.mean - vanilla.mean) <= vanilla.sd else PaperRule.BEYOND


@dataclass(frozen=True, slots=True)
class Sample:
    """One metric of one cell: what its ok trials have of it."""

    cell: Cell
    metric: Metric
    trials: tuple[str, ...]
    """Ids, in the order of the plan."""
    values: tuple[float, ...]
    """One per trial; at least one."""
    pairings: tuple[Pairing, ...]
    """Of the values: two of a block share what the machine was worth then, and are no two repetitions."""
    rounds: tuple[int, ...]
    """Of the values: the repetition of each."""
    spread: Description
    """Of the values."""
    base: Sample | None = None
    """Vanilla's, which it is compared with; None for vanilla itself, and where vanilla has none."""

    @property
    def is_compared(self) -> bool:
        """Whether it is compared with vanilla, if that has the like."""
        return self.metric.versus_vanilla and not self.cell.is_vanilla

    @property
    def rule(self) -> PaperRule | None:
        """What the paper's rule says of it; None for vanilla, and of a metric that vanilla cannot have."""
        if self.cell.is_vanilla or (self.base is None and not self.metric.versus_vanilla):
            return None
        return paper_rule(self.spread, self.base.spread if self.base else None)

    @property
    def changes(self) -> dict[str, float]:
        """By trial what it changed against vanilla, as `over` has it; empty without a pair."""
        return self.over(self.base) if self.base else {}

    @property
    def change(self) -> Description | None:
        """Its changes: in the metric's unit where they are differences, else in per cent. None without a pair.

        Per cent are 100 * (ratio - 1): the mean is the geometric mean's, the SD the logarithms', 100 * (exp(SD) - 1).
        The geometric mean favours neither side: two trials without a difference come out as twice as fast as often as
        half as fast, which the arithmetic mean of the percentages would call +25 %.
        """
        found = describe(self.changes.values())
        if found is None or self.metric.by_difference:
            return found
        mean, median, low, high = (100 * math.expm1(log) for log in (found.mean, found.median, found.min, found.max))
        return Description(found.n, mean, None if found.sd is None else 100 * math.expm1(found.sd), median, low, high)

    def over(self, base: Sample) -> dict[str, float]:
        """Return by trial what it changed against `base` where they share host, session and block.

        ln(value / base's value), or value - base's value of a metric that is compared by its difference. A side that
        has no logarithm makes no pair; where `base` has several values in a block, their mean on that scale counts.
        """
        logs = not self.metric.by_difference
        means = {pair: statistics.fmean(values) for pair, values in base.by_block(logs=logs).items()}
        # A difference of logarithms, not the logarithm of a quotient: swapped, it is exactly the negative.
        return {trial: value - means[pair] for pair, trial, value in self._scaled(logs) if pair in means}

    def by_round(self, worth: Callable[[float], float | None]) -> dict[tuple[int, Hashable], float]:
        """Return the values of each round and block on a scale, where they have a place on it; of several, the mean."""
        found: defaultdict[tuple[int, Hashable], list[float]] = defaultdict(list)
        for place, value in zip(zip(self.rounds, self.pairings, strict=True), self.values, strict=True):
            if (scaled := worth(value)) is not None:
                found[place].append(scaled)
        return {place: statistics.fmean(own) for place, own in found.items()}

    def by_block(self, *, logs: bool) -> dict[Pairing, list[float]]:
        """Return the values of each block, or their logarithms, where they have one."""
        found: defaultdict[Pairing, list[float]] = defaultdict(list)
        for pair, _, value in self._scaled(logs):
            found[pair].append(value)
        return dict(found)

    def _scaled(self, logs: bool) -> Iterable[tuple[Pairing, str, float]]:
        for pair, trial, value in zip(self.pairings, self.trials, self.values, strict=True):
            if (scaled := logarithm(value) if logs else value) is not None:
                yield pair, trial, scaled


def logarithm(value: float) -> float | None:
    """Return the natural logarithm; None where there is none."""
    return math.log(value) if value > 0 else None


@dataclass(frozen=True)
class Results:
    """A run: what its trials left, by cell."""

    records: tuple[Record, ...]
    """Of every trial that has ended, however, in the order of the plan."""
    cells: Mapping[Cell, tuple[Record, ...]]
    """The same by cell. Cells are in the order they are shown in: by workload, tool and kernel, vanilla first in each,
    setups and workloads in the order of the catalogue."""
    info: RunInfo | None = None
    """None of records without a run."""

    @property
    def trials(self) -> list[tuple[Cell, Record]]:
        """Every record with its cell, in the order of the plan."""
        cells = {id(record): cell for cell, own in self.cells.items() for record in own}
        return [(cells[id(record)], record) for record in self.records]

    @property
    def emulated(self) -> bool:
        """Whether all of it proves correctness only (model.EMULATED_BECAUSE)."""
        return all(cell.emulated for cell in self.cells)

    @property
    def excluded(self) -> tuple[Record, ...]:
        """The trials that are in no number."""
        return tuple(record for record in self.records if record.status is not Status.OK)

    def counted(self, cell: Cell) -> tuple[Record, ...]:
        """Return a cell's trials that may be averaged: those that ended ok."""
        return tuple(record for record in self.cells.get(cell, ()) if record.status is Status.OK)

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """Those that its trials may have: with those of their targets, and without fio's where fio is none of them."""
        names = {cell.workload.name for cell in self.cells if not cell.workload.is_fio}
        driven = [target for target in (self.info.study.targets if self.info else ()) if target.name in names]
        fio = not driven or any(cell.workload.is_fio for cell in self.cells)
        own = commanded.METRICS if any(cell.is_command for cell in self.cells) else ()
        return (*metrics.of(driven, fio=fio), *own)

    @property
    def target_called(self) -> str:
        """What its target is called in a sentence: fio, where there is no other."""
        return metrics.FIO if all(cell.workload.is_fio for cell in self.cells) else "the target"

    @cached_property
    def samples(self) -> Mapping[tuple[Cell, Metric], Sample]:
        """Everything that was measured, cell by cell, each with its metrics in their order."""
        found: dict[tuple[Cell, Metric], Sample] = {}
        for cell in self.cells:
            counted = self.counted(cell)
            origins = _origins(counted)
            for metric in self.metrics:
                base = None if cell.is_vanilla else found.get((cell.vanilla, metric))
                if own := sample(cell, metric, counted, base, origins):
                    found[cell, metric] = own
        return found

    @property
    def measured(self) -> Iterable[Sample]:
        """What says something of setups: the samples of machines whose CPU is not emulated.

        Shares, rankings, comparisons, capacity and recommendations are all made from here.
        """
        return (sample for sample in self.samples.values() if not sample.cell.emulated)


def sample(
    cell: Cell,
    metric: Metric,
    counted: Sequence[Record],
    base: Sample | None = None,
    shared: Origins | None = None,
) -> Sample | None:
    """Read a metric of a cell's trials that count; None where none has it. `shared` are the origins of all of them."""
    read = ((record, metric.read(record)) for record in counted)
    known = [(record, float(value)) for record, value in read if value is not None and math.isfinite(value)]
    values = tuple(value for _, value in known)
    spread = describe(values)
    if spread is None:
        return None
    origins = shared if shared is not None and len(known) == len(counted) else _origins([record for record, _ in known])
    return Sample(cell, metric, origins[0], values, *origins[1:], spread, base)


Origins = tuple[tuple[str, ...], tuple[Pairing, ...], tuple[int, ...]]
"""Of some trials: id, pairing and round of each."""


def _origins(records: Sequence[Record]) -> Origins:
    trials = [record.trial for record in records]
    pairings = tuple(map(pairing, records))
    return tuple(own.id for own in trials), pairings, tuple(own.repetition for own in trials)


def load(run: Run) -> Results:
    """Read a run directory.

    Raises:
        StoreError: a record cannot be read.
    """
    return of(run.records(), run.info)


def of(records: Iterable[Record], info: RunInfo | None = None) -> Results:
    """Put records together, in whatever order they are, also of a run that is not complete.

    The study of the run, where that is known, tells the order of the setups that it brings.
    """
    records = tuple(sorted(records, key=lambda record: record.trial.index))
    setups = tuple(catalogue.setups(info.study) if info else catalogue.SETUPS)
    kernels: dict[object, Environment] = {}
    for record in records:
        if record.environment:
            kernels[record.trial.host, record.trial.kernel] = kernels[record.trial.kernel] = record.environment
    cells: defaultdict[Cell, list[Record]] = defaultdict(list)
    for record in records:
        trial = record.trial
        # A trial that failed before it could look gets what others saw: on its host and kernel, else on its kernel.
        known = record.environment or kernels.get((trial.host, trial.kernel)) or kernels.get(trial.kernel)
        kernel, emulated = (known.kernel, known.emulated) if known else (trial.kernel, False)
        cells[Cell(kernel, emulated, trial.workload, trial.tool, trial.setup, trial.config)].append(record)
    ordered = sorted(cells, key=lambda cell: _position(cell, setups))
    return Results(records, {cell: tuple(cells[cell]) for cell in ordered}, info)


def _position(cell: Cell, setups: Sequence[str]) -> tuple[Any, ...]:
    """A sort key: groups, vanilla first in each, setups as given, configurations by factor, an absent one first."""
    config = dataclasses.astuple(cell.config) if cell.config else ()
    return (
        in_order(cell.workload),
        rank(cell.tool, tuple(Tool)),
        cell.kernel or "",
        cell.emulated,
        rank(cell.setup, (VANILLA, *setups)),
        tuple((value is not None, 0 if value is None else value) for value in config),
    )


def varying(configs: Sequence[TracerConfig]) -> tuple[str, ...]:
    """Return the columns in which configurations differ."""
    return tuple(name for name, values in _by_column(configs).items() if len(values) > 1)


def common(configs: Sequence[TracerConfig]) -> dict[str, Any]:
    """Return what all configurations share, by column, but for what goes without saying."""
    alike = {name: values[0] for name, values in _by_column(configs).items() if len(values) == 1}
    return {name: value for name, value in alike.items() if not goes_without_saying(name, value)}


def _by_column(configs: Sequence[TracerConfig]) -> dict[str, list[Any]]:
    return {name: list(dict.fromkeys(getattr(config, name) for config in configs)) for name in CONFIG}


def in_order(workload: Workload) -> tuple[Any, ...]:
    """A sort key: by the catalogue's order of names, then by size and rate."""
    return rank(workload.name, tuple(catalogue.WORKLOADS)), workload.extent


def rank(name: str, order: Sequence[str]) -> tuple[int, str]:
    """A sort key: listed names in their order, then all others by name."""
    return (order.index(name), "") if name in order else (len(order), name)
