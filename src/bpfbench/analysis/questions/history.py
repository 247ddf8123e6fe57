# SPDX-License-Identifier: Apache-2.0
"""Many runs in a row: what became of each number from run to run, and where it stepped, if that can be told.

Runs of one study on one machine and kernel make a course; nothing is compared across courses. A run counts as one
value, the mean of its own blocks on the scale that `compare` compares on: what vanilla has too, as its ratio to vanilla
of the same block. How far runs differ without any step is known from the runs alone, and never from blocks of one run,
which share that day's machine.

A step is told where

1. the change-point library puts one, with RUNS_A_SIDE runs or more on either side (changepoints.py);
2. the 95 % interval of the difference between the two sides does not hold 0 (Welch, as `compare`);
3. and it stands up to having been looked for: p of Student's t between the two sides, times the places at which the
   series could have been cut, times the series of the metric (Bonferroni), is at most LEVEL.

Of what the library puts, the least sure that fails is dropped, and its sides are joined, until all that is left is
told. What changed about the runs at a step is named beside it: it happened at the same time, which makes it no cause.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from statistics import fmean

from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.inference import ALPHA, Interval, alike_scatter_p, percent, student, welch
from bpfbench.analysis.metrics import LATENCY, LATENCY_P99, RUNTIME, SAVED_PERCENT, SAVED_RATE, Metric
from bpfbench.analysis.questions.compare import ChangedFact, changed_facts, is_difference, on_scale
from bpfbench.analysis.results import Cell, Results, Sample
from bpfbench.model import Better
from bpfbench.store import RunInfo

RUNS_A_SIDE = ROUNDS_LEAST
"""Two values say next to nothing of how much a third may differ."""
RUNS_LEAST = 2 * RUNS_A_SIDE
"""With fewer, no step can be told wherever it is."""
LEVEL = ALPHA

UNTOLD = ("machine.host", "study.seed")
"""Facts that may differ between runs of one course, and say nothing of what was measured; so do criteria of answers."""

Cut = Callable[[Sequence[float], int], Sequence[int]]
"""Finds where a series may have steps: of its values, and how many each level has at least."""


@dataclass(frozen=True, slots=True)
class RunValue:
    """What one run says of a number: on the scale it is compared on, which is of logarithms where it is a ratio."""

    value: float
    interval: Interval | None
    """95 %, by Student's t over the run's blocks; None with fewer than 2, or without any spread."""
    n: int
    """Pairs with vanilla; of what vanilla does not have, trials; of vanilla, blocks."""


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run, as far as its history goes."""

    name: str
    machine: str
    """In words; runs of different ones are never compared."""
    info: RunInfo
    counted: int
    """Trials that ended ok."""
    values: Mapping[tuple[str, Cell, Metric], RunValue]
    """By kernel, by cell without its kernel, and by metric; empty where nothing can be compared."""

    @property
    def began(self) -> str:
        """When, as the run has it: UTC, ISO 8601."""
        return self.info.created_at


@dataclass(frozen=True, slots=True)
class TrendStep:
    """A place at which a number came to have another level."""

    at: int
    """The first value of the new level, from 0."""
    before: float
    """The mean of the runs on the scale; so is what follows."""
    after: float
    interval: Interval
    """Of the difference between the two, by Welch, 95 %."""
    p: float
    """Of Student's t, corrected for the places looked at and the series of the metric."""

    @property
    def difference(self) -> float:
        """From the level before to the one after."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Trend:
    """One metric of one cell, run by run."""

    cell: Cell
    """Without its kernel, which the course has."""
    metric: Metric
    at: tuple[int, ...]
    """Positions of its runs in the course."""
    values: tuple[RunValue, ...]
    """Of each of these."""
    steps: tuple[TrendStep, ...] = ()
    """Those that are told."""

    @property
    def is_compared(self) -> bool:
        """Whether its values are over vanilla's."""
        return self.metric.versus_vanilla and not self.cell.is_vanilla

    @property
    def by_difference(self) -> bool:
        """Whether a change of it is a difference, and not a ratio."""
        return is_difference(self.metric, versus_vanilla=self.is_compared)

    @property
    def runs_lacking(self) -> int:
        """How many runs more it takes to tell any step."""
        return max(0, RUNS_LEAST - len(self.values))

    @property
    def less_is_better(self) -> bool:
        """Whether it is better the less it is."""
        if self.metric.own is not None:
            return self.metric.own.better is Better.LESS
        return self.metric in (RUNTIME, LATENCY, LATENCY_P99)

    @property
    def levels(self) -> tuple[tuple[int, int, float], ...]:
        """The stretches between steps: first and last value, and their mean on the scale."""
        stretches = pairwise((0, *(step.at for step in self.steps), len(self.values)))
        return tuple((a, b - 1, fmean(own.value for own in self.values[a:b])) for a, b in stretches)

    @property
    def scatter(self) -> float | None:
        """By how much runs differ where no step is told: the SD about the levels, on the scale; None of a few runs."""
        freedom = len(self.values) - len(self.levels)
        if freedom < 1:
            return None
        squares = ((own.value - mean) ** 2 for a, b, mean in self.levels for own in self.values[a : b + 1])
        return math.sqrt(math.fsum(squares) / freedom)

    def shown(self, value: float) -> float:
        """Return what a value on the scale is: per cent over vanilla, or in the metric's unit."""
        if self.by_difference:
            return value
        return percent(value) if self.is_compared else math.exp(min(value, 700.0))

    def change(self, difference: float) -> float:
        """Return what a difference on the scale is: a change in per cent, or in the metric's unit."""
        return difference if self.by_difference else percent(difference)


@dataclass(frozen=True)
class Course:
    """The runs of one study on one machine and kernel, in the order they began."""

    study: str
    machine: str
    kernel: str
    runs: tuple[PastRun, ...]
    trends: tuple[Trend, ...]

    @cached_property
    def changes(self) -> tuple[tuple[ChangedFact, ...], ...]:
        """What changed about each run since the one before; of the first, nothing."""
        return ((), *(changed(before.info, after.info) for before, after in pairwise(self.runs)))

    @property
    def steps(self) -> tuple[tuple[Trend, TrendStep], ...]:
        """Every step that is told, the earliest first."""
        found = ((trend, step) for trend in self.trends for step in trend.steps)
        return tuple(sorted(found, key=lambda own: own[0].at[own[1].at]))

    def around(self, trend: Trend, step: TrendStep) -> tuple[PastRun, PastRun]:
        """Return the last run before a step, and the first after it."""
        return self.runs[trend.at[step.at - 1]], self.runs[trend.at[step.at]]

    def coincident(self, trend: Trend, step: TrendStep) -> tuple[ChangedFact, ...]:
        """Return what changed about the runs at a step."""
        before, after = self.around(trend, step)
        return changed(before.info, after.info)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A run that is in no course."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class History:
    """All runs of a folder."""

    courses: tuple[Course, ...]
    """The longest first."""
    left_out: tuple[LeftOut, ...]


def past(name: str, machine: str, info: RunInfo, results: Results) -> PastRun:
    """Keep of a run what its history takes."""
    values = {}
    for own in results.measured:
        if _is_tracked(own) and (scaled := on_scale(own)):
            found, kernel = student(scaled), own.cell.kernel or str(info.machine.get("kernel", "unknown"))
            values[kernel, replace(own.cell, kernel=None), own.metric] = RunValue(found.mean, found.interval, found.n)
    return PastRun(name, machine, info, len(results.records) - len(results.excluded), values)


def _is_tracked(own: Sample) -> bool:
    """Whether a number has a history: what tracing costs, what is saved, the target's own; of vanilla, its time."""
    time = RUNTIME if own.cell.workload.rate_iops is None else LATENCY
    if not own.cell.is_full:
        return False
    if own.metric is time or own.metric.own is not None:
        return True
    return not own.cell.is_vanilla and own.metric in (LATENCY_P99, SAVED_PERCENT, SAVED_RATE)


def history(runs: Iterable[PastRun], left_out: Iterable[LeftOut], cut: Cut) -> History:
    """Put runs in their order, course by course, and find the steps.

    Args:
        runs: in any order; a copy of another is left out, as it is no second measurement.
        left_out: what could not be read, with the reason.
        cut: finds where a series may have steps.
    """
    kept, copies = _apart(sorted(runs, key=lambda run: (run.began, run.name)))
    by_place: dict[tuple[str, str, str], list[PastRun]] = {}
    for run in kept:
        for kernel in dict.fromkeys(kernel for kernel, _, _ in run.values):
            by_place.setdefault((run.info.study.name, run.machine, kernel), []).append(run)
    bare = [Course(*place, tuple(own), tuple(_trends(place[2], own))) for place, own in by_place.items()]
    series = Counter(trend.metric for course in bare for trend in course.trends if not trend.runs_lacking)
    courses = (
        replace(
            course,
            trends=tuple(
                replace(own, steps=steps([one.value for one in own.values], cut, series[own.metric]))
                for own in course.trends
            ),
        )
        for course in bare
    )
    return History(tuple(sorted(courses, key=lambda own: -len(own.runs))), (*left_out, *copies))


def _apart(runs: Sequence[PastRun]) -> tuple[list[PastRun], list[LeftOut]]:
    """Part runs from copies of them, and from what has nothing to compare."""
    kept: list[PastRun] = []
    others: list[LeftOut] = []
    for run in runs:
        same = (own for own in kept if own.began == run.began and own.values == run.values)
        if not run.values:
            others.append(LeftOut(run.name, "no trial of it counts that could be compared"))
        elif (first := next(same, None)) is not None:
            others.append(LeftOut(run.name, f"a copy of {first.name}, value by value"))
        else:
            kept.append(run)
    return kept, others


def _trends(kernel: str, runs: Sequence[PastRun]) -> Iterator[Trend]:
    """Follow each number of a course; the newest run tells their order."""
    keys = dict.fromkeys(key for run in reversed(runs) for key in run.values if key[0] == kernel)
    for key in keys:
        found = [(at, run.values[key]) for at, run in enumerate(runs) if key in run.values]
        yield Trend(key[1], key[2], tuple(at for at, _ in found), tuple(value for _, value in found))


def steps(values: Sequence[float], cut: Cut, series: int = 1) -> tuple[TrendStep, ...]:
    """Return the steps of a series that are told.

    Args:
        values: one per run.
        cut: finds where there may be steps.
        series: in how many series like this one steps are looked for.
    """
    looked_at = series * (len(values) - RUNS_LEAST + 1)
    if looked_at < 1:
        return ()
    ends = [0, *cut(values, RUNS_A_SIDE), len(values)]
    while len(ends) > 2:
        around = zip(ends, ends[1:], ends[2:], strict=False)
        tested = [_step(values, begin, at, end, looked_at) for begin, at, end in around]
        least = max(tested, key=lambda own: (_unsure(own), -abs(own.difference)))
        if _unsure(least) <= LEVEL:
            return tuple(tested)
        ends.remove(least.at)
    return ()


def _step(values: Sequence[float], begin: int, at: int, end: int, looked_at: int) -> TrendStep:
    before, after = values[begin:at], values[at:end]
    p = alike_scatter_p(before, after)
    corrected = 1.0 if p is None else min(1.0, p * looked_at)
    return TrendStep(at, fmean(before), fmean(after), welch(before, after).interval or Interval(), corrected)


def _unsure(step: TrendStep) -> float:
    """Its p; 1 where the interval holds 0."""
    return step.p if step.interval.within(0.0, 0.0) is False else 1.0


def changed(before: RunInfo, after: RunInfo) -> tuple[ChangedFact, ...]:
    """Return what of machine, image, study, tracers and bpfbench differs between two runs of one course."""
    return tuple(
        fact
        for fact in changed_facts(before, after)
        if fact.what not in UNTOLD and not fact.what.startswith("study.criteria.")
    )
