# SPDX-License-Identifier: Apache-2.0
"""What is required of a tracer at an event rate -> met, not met, undecided or not measured, and by what evidence.

Evidence is a measurement at or near the rate, or one at another rate that is surely harder or easier, or a prediction
that was validated, with its error added. Anything else is not known here: neither passed nor failed.

Events that were lost were never consumed. So what a tracer costs is taken from trials only that saved as much as is
wanted, and never scaled from one rate to another. docs/statistics.md says why which measurement stands for which rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bpfbench.analysis import metrics
from bpfbench.analysis.inference import Interval, Paired, t_interval
from bpfbench.analysis.metrics import Metric
from bpfbench.analysis.statistics import Spread, Statistic
from bpfbench.analysis.table import Cell
from bpfbench.model import EVENT_BYTES

KEPT = 0.98
"""A target had the rate wanted of it where it had this share of it: fio's comes out up to 0.5 % below its limit."""

NEAR = 1.5
"""A measurement is near a rate, or an event size, up to this many times it; never below it."""


class Requirement(StrEnum):
    """What can be required."""

    FIDELITY = "fidelity"
    """The least share of events saved, in per cent."""
    OVERHEAD = "overhead"
    """The largest share of the target's time that tracing may take, in per cent."""
    CPU = "cpu"
    """The most CPU time that the tracer's processes may take, in per cent of one CPU."""
    MEMORY = "memory"
    """The most memory that the tracer's processes may take, in bytes: peak PSS."""

    @property
    def word(self) -> str:
        """For people."""
        return "CPU" if self is Requirement.CPU else self.value

    @property
    def monotone(self) -> bool:
        """Whether more, or larger, events can only make it harder to meet.

        Loss and what piles up in memory can only grow with the rate. Overhead and CPU per event need not: where events
        are rare, each of them wakes the consumer up, which costs more than finding it busy.
        """
        return self in (Requirement.FIDELITY, Requirement.MEMORY)

    @property
    def at_least(self) -> bool:
        """Whether the limit is the least that is wanted, and not the most that is allowed."""
        return self is Requirement.FIDELITY


class Verdict(StrEnum):
    """What is known of a requirement. The worst first."""

    NOT_MET = "not met"
    """The whole interval lies beyond the limit."""
    NOT_MEASURED = "not measured"
    """Neither measured at such a rate, nor predicted by anything that was validated."""
    UNDECIDED = "undecided"
    """The limit lies within the interval, or one trial has none, or it was not met at more than the wanted rate."""
    MET = "met"
    """The end of the interval that is nearer to the limit meets it."""


class Basis(StrEnum):
    """How a number is known."""

    MEASURED = "measured"
    PREDICTED = "predicted"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A number that a requirement is judged by."""

    basis: Basis
    value: float
    low: float | None
    """95 % confidence, or the prediction with its error taken off and added; None where a single trial has neither."""
    high: float | None
    rate_per_s: float
    """Of the events, where it was measured."""
    event_bytes: int
    workload: str | None = None
    """None of a prediction, which is not of one."""
    n: int | None = None
    """Trials, or pairs with vanilla."""
    error: float | None = None
    """Of a prediction: the largest that was found where such predictions were checked."""
    validated_by: str | None = None
    """Where that was."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the trials of one cell say of a requirement."""

    evidence: Evidence
    own_rate: bool = True
    """False of a target that is as fast as it can be: it leaves a tracer no more of the CPUs than one that has this
    rate as its own, so that what is met beside it is met beside the other, and not the reverse."""


@dataclass(frozen=True, slots=True)
class Target:
    """For what rate and size of events something is required."""

    rate_per_s: float
    event_bytes: int

    def is_near(self, found: Evidence) -> bool:
        """Whether a measurement stands for it."""
        rate, size = found.rate_per_s / self.rate_per_s, found.event_bytes / self.event_bytes
        return KEPT <= rate <= NEAR and 1 <= size <= NEAR

    def is_harder_than(self, found: Evidence) -> bool:
        """Whether a measurement was taken where it is at most as hard."""
        return found.rate_per_s <= self.rate_per_s / KEPT and found.event_bytes <= self.event_bytes

    def is_easier_than(self, found: Evidence) -> bool:
        """Whether a measurement was taken where it is at least as hard."""
        return found.rate_per_s >= KEPT * self.rate_per_s and found.event_bytes >= self.event_bytes


@dataclass(frozen=True, slots=True)
class Assessment:
    """A requirement, judged."""

    requirement: Requirement
    limit: float
    verdict: Verdict
    evidence: Evidence | None
    """In the workload where it is worst; None where nothing says anything."""
    reason: str
    """Why it is not met for sure; empty where it is met."""

    @property
    def excess(self) -> float:
        """How far what is not met lies beyond the limit: in points, of memory in per cent of the limit."""
        if self.verdict is not Verdict.NOT_MET or self.evidence is None:
            return 0.0
        beyond = abs(self.evidence.value - self.limit)
        return 100 * beyond / max(1.0, self.limit) if self.requirement is Requirement.MEMORY else beyond


def judge(requirement: Requirement, limit: float, found: Evidence) -> Verdict:
    """Compare an interval with a limit."""
    if found.low is None or found.high is None:
        return Verdict.UNDECIDED
    if requirement.at_least:
        met, failed = found.low >= limit, found.high < limit
    else:
        met, failed = found.high <= limit, found.low > limit
    return Verdict.MET if met else Verdict.NOT_MET if failed else Verdict.UNDECIDED


def assess(
    requirement: Requirement,
    limit: float,
    target: Target,
    samples: Mapping[str, Sequence[Sample]],
    predicted: Evidence | None = None,
    lacking: str = "",
) -> Assessment:
    """Judge a requirement by the workload in which it is worst.

    Args:
        requirement: what is required.
        limit: how much of it.
        target: at what rate.
        samples: what was measured, by workload; a workload of which nothing was has an empty sequence.
        predicted: what stands in for a measurement that lacks, in any workload.
        lacking: why measurements lack, beside that no trial had such a rate.
    """
    found = [_of_workload(requirement, limit, target, own, predicted) for own in samples.values()]
    order = list(Verdict)
    sign = 1 if requirement.at_least else -1
    verdict, evidence = min(found, key=lambda own: (order.index(own[0]), sign * own[1].value if own[1] else -math.inf))
    return Assessment(requirement, limit, verdict, evidence, _reason(requirement, limit, verdict, evidence, lacking))


def _of_workload(
    requirement: Requirement, limit: float, target: Target, samples: Sequence[Sample], predicted: Evidence | None
) -> tuple[Verdict, Evidence | None]:
    """Judge by the nearest measurement, else by one that is harder and good, or easier and bad, else by prediction."""
    near = closest(target, samples)
    verdict = judge(requirement, limit, near) if near else Verdict.NOT_MEASURED
    if near and verdict is Verdict.NOT_MET and not target.is_harder_than(near):
        verdict = Verdict.UNDECIDED
    if verdict in (Verdict.MET, Verdict.NOT_MET):
        return verdict, near
    if requirement.monotone:
        for wanted, sample in _elsewhere(target, samples):
            if judge(requirement, limit, sample.evidence) is wanted:
                return wanted, sample.evidence
    if near is None and predicted is not None:
        return judge(requirement, limit, predicted), predicted
    return verdict, near


def closest(target: Target, samples: Iterable[Sample]) -> Evidence | None:
    """Return the measurement that stands for a target: of those near it, that of the rate and size that are nearest."""
    near = [s.evidence for s in samples if s.own_rate and target.is_near(s.evidence)]
    return min(near, key=lambda found: (found.event_bytes, found.rate_per_s), default=None)


def _elsewhere(target: Target, samples: Iterable[Sample]) -> Iterator[tuple[Verdict, Sample]]:
    """Yield the measurements that can decide what is monotone, the nearest first, each with how it can decide it."""

    def distance(sample: Sample) -> float:
        rate, size = sample.evidence.rate_per_s / target.rate_per_s, sample.evidence.event_bytes / target.event_bytes
        return abs(math.log(rate)) + abs(math.log(size))

    for sample in sorted(samples, key=distance):
        if target.is_easier_than(sample.evidence):
            yield Verdict.MET, sample
        if sample.own_rate and target.is_harder_than(sample.evidence):
            yield Verdict.NOT_MET, sample


def _reason(requirement: Requirement, limit: float, verdict: Verdict, evidence: Evidence | None, lacking: str) -> str:
    what = requirement.word
    match verdict:
        case Verdict.MET:
            return ""
        case Verdict.NOT_MEASURED:
            return f"{what} was not measured at such a rate{f': {lacking}' if lacking else ''}"
        case Verdict.UNDECIDED if evidence is not None and evidence.low is None:
            return f"{what} is undecided: one trial says nothing of its error"
        case Verdict.UNDECIDED if evidence is not None and evidence.basis is Basis.PREDICTED:
            return f"{what} is undecided: the error of the prediction reaches over the limit"
        case Verdict.UNDECIDED if evidence is not None and judge(requirement, limit, evidence) is Verdict.NOT_MET:
            return f"{what} is undecided: it was not met at more than the wanted rate"
        case Verdict.UNDECIDED:
            return f"{what} is undecided: its interval reaches over the limit"
        case Verdict.NOT_MET:
            return f"{what} is not met"


Values = Mapping[tuple[Cell, str], Statistic]
"""What a run has of every cell and metric."""


def fidelity_samples(cells: Iterable[Cell], values: Values) -> Iterator[Sample]:
    """Yield what cells saved."""
    for cell in cells:
        found = values.get((cell, metrics.SAVED_PERCENT.key))
        rate = _mean(values, cell, metrics.OFFERED)
        if found is not None and rate:
            ends = _ends(found.spread)
            shares = ends and Interval(max(0.0, ends.low), min(100.0, ends.high))
            yield Sample(_measured(cell, rate, found.spread.mean, shares, found.spread.n), _keeps_rate(cell, rate))


def own_samples(cells: Iterable[Cell], values: Values, metric: Metric) -> Iterator[Sample]:
    """Yield what a tracer itself took of CPU or memory."""
    for cell in cells:
        found = values.get((cell, metric.key))
        rate = _mean(values, cell, metrics.OFFERED)
        if found is not None and rate:
            yield Sample(_measured(cell, rate, found.spread.mean, _ends(found.spread), found.spread.n))


def ratio_samples(cells: Iterable[Cell], values: Values, metric: Metric) -> Iterator[Sample]:
    """Yield ratios to vanilla, at the rate that vanilla had."""
    for cell in cells:
        found = _paired(values, cell, metric)
        rate = _vanilla_rate(cell, values)
        if found is not None and rate is not None:
            yield Sample(_measured(cell, rate, found.ratio, _ratio_ends(found), found.n))


def overhead_samples(cells: Iterable[Cell], values: Values) -> Iterator[Sample]:
    """Yield the share of the target's time that tracing took, at the rate that vanilla had.

    A target that is as fast as it can be takes longer for all of its I/O: that is its runtime over vanilla's. One that
    keeps a rate of its own has the time between two I/Os for other things, and its runtime does not move: of that
    time, tracing takes what each I/O takes longer. That is the change in latency, times the share of its time that
    vanilla spends in I/O (its latency x its rate / processes: Little's law).
    """
    for cell in cells:
        rate = _vanilla_rate(cell, values)
        if rate is None:
            continue
        kept = _keeps_rate(cell, rate) and _keeps_rate(cell, _mean(values, cell, metrics.OFFERED) or 0.0)
        found = _paired(values, cell, metrics.LATENCY if kept else metrics.RUNTIME)
        busy = _busy(cell, values, rate) if kept else 1.0
        if found is None or busy is None:
            continue
        ends = _ratio_ends(found)
        spread = ends and Interval(100 * busy * (ends.low - 1), 100 * busy * (ends.high - 1))
        yield Sample(_measured(cell, rate, 100 * busy * (found.ratio - 1), spread, found.n))


def event_bytes(cell: Cell) -> int:
    """Return the size of its events."""
    return EVENT_BYTES + (cell.payload_bytes or 0)


def _measured(cell: Cell, rate: float, value: float, ends: Interval | None, n: int) -> Evidence:
    low, high = (None, None) if ends is None else (ends.low, ends.high)
    return Evidence(Basis.MEASURED, value, low, high, rate, event_bytes(cell), cell.workload, n)


def _keeps_rate(cell: Cell, rate: float) -> bool:
    """Whether a target had a rate of its own, and kept to it."""
    return cell.rate_iops is not None and rate >= KEPT * cell.rate_iops * cell.processes


def _busy(cell: Cell, values: Values, rate: float) -> float | None:
    latency_us = _mean(values, cell.vanilla, metrics.LATENCY)
    return None if latency_us is None else latency_us / 1e6 * rate / cell.processes


def _vanilla_rate(cell: Cell, values: Values) -> float | None:
    ios, runtime = (_mean(values, cell.vanilla, metric) for metric in (metrics.FIO_IOS, metrics.RUNTIME))
    return ios / runtime if ios and runtime else None


def _mean(values: Values, cell: Cell, metric: Metric) -> float | None:
    statistic = values.get((cell, metric.key))
    return None if statistic is None else statistic.spread.mean


def _paired(values: Values, cell: Cell, metric: Metric) -> Paired | None:
    statistic = values.get((cell, metric.key))
    return None if statistic is None else statistic.paired


def _ratio_ends(paired: Paired) -> Interval | None:
    """The interval of a ratio; that of several pairs without any spread is a point."""
    return Interval(paired.ratio, paired.ratio) if paired.log_sd == 0 else paired.interval


def _ends(spread: Spread) -> Interval | None:
    """The 95 % interval of a mean, by Student's t; None for a single value."""
    return None if spread.sd is None else t_interval(spread.mean, spread.sd, spread.n)
