# SPDX-License-Identifier: Apache-2.0
"""What a cell says of a tracer's qualities, with the rate and the size of the events that it was seen at.

Events that were lost were never consumed: what a tracer costs is no evidence where it saved less than is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Literal

from bpfbench.analysis import bounded, metrics
from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.apart import apart, levels
from bpfbench.analysis.inference import ALPHA, Interval
from bpfbench.analysis.metrics import Metric
from bpfbench.analysis.questions.capacity import KEPT, DrainRate
from bpfbench.analysis.results import Cell
from bpfbench.analysis.statistics import Statistic
from bpfbench.analysis.summary import Group
from bpfbench.model import EVENT_BYTES, RATE_TOLERANCE


class Quality(StrEnum):
    """What can be wanted of a tracer. All can be ranked by, all but the last four required."""

    MEMORY = "memory"
    """Of the tracer's own processes: peak PSS, in bytes."""
    CPU = "cpu"
    """CPU time of the tracer's own processes, in per cent of one CPU."""
    OVERHEAD = "overhead"
    """The share of the target's time that tracing takes, in per cent."""
    FIDELITY = "fidelity"
    """The share of events saved, in per cent."""
    LATENCY = "latency"
    """99th percentile over vanilla's."""
    ENERGY = "energy"
    """Of the CPU packages, over vanilla's."""
    STARTUP = "startup"
    """From starting it until it is ready, in seconds."""
    SIZE = "size"
    """Of the code that it runs, in bytes."""

    @property
    def word(self) -> str:
        """For people."""
        return {Quality.CPU: "CPU", Quality.STARTUP: "start-up"}.get(self, self.value)

    @property
    def monotone(self) -> bool:
        """Whether more, or larger, events can only make it worse.

        Loss and what piles up in memory can only grow with the rate. Overhead and CPU per event need not: where events
        are rare, each of them wakes the consumer up, which costs more than finding it busy.
        """
        return self in (Quality.FIDELITY, Quality.MEMORY)

    @property
    def higher_is_better(self) -> bool:
        """Whether what is required is the least that is wanted, and not the most that is allowed."""
        return self is Quality.FIDELITY


@dataclass(frozen=True, slots=True)
class Evidence:
    """A number that a quality is judged by: measured, or predicted with an error that was validated."""

    value: float
    low: float | None
    """95 %, as of all that is compared (apart.py), or the prediction with its error taken off and added; None where too
    few rounds have neither."""
    high: float | None
    rate_per_s: float
    """Of the events."""
    event_bytes: int
    workload: str | None = None
    """None of a prediction, which is not of one."""
    n: int | None = None
    """Trials, or pairs with vanilla."""
    error: float | None = None
    """Of a prediction: the largest that was found where such predictions were checked."""
    validated_by: str | None = None
    """Where that was."""
    own_rate: bool = True
    """False of a target that is as fast as it can be: it leaves a tracer no more of the CPUs than one that has this
    rate as its own, so that what is met beside it is met beside the other, and not the reverse."""
    drain_rates: tuple[DrainRate, ...] = ()
    """What a prediction is made from."""
    aspect: str | None = None
    """Of what is more than one number: which of them."""
    least: float | None = None
    """Of a share that was measured, in three trials or more: that of the trial with the least. Where it is the mean,
    too, trials do not scatter, so that they say nothing of how much others may, and there is no interval."""
    share: Interval | None = None
    """Of the same: what its mean is known to be by bounded.py, which takes nothing for granted but that it is one."""

    @property
    def alike(self) -> bool:
        """Whether a share was the same in all trials: a fact about these."""
        return self.low is None and self.least == self.value

    @property
    def basis(self) -> Literal["measured", "predicted"]:
        """How it is known."""
        return "measured" if self.error is None else "predicted"


def event_bytes(cell: Cell) -> int:
    """Return the size of its events."""
    return EVENT_BYTES + ((cell.config and cell.config.payload_bytes) or 0)


AT_A_RATE = {"mean latency": metrics.LATENCY, "CPU time": metrics.TARGET_CPU}
"""What tracing costs a declared target that is driven at a rate, which its runtime only follows: all of them count."""


def aspects(quality: Quality, cell: Cell) -> tuple[str | None, ...]:
    """Return which numbers a quality of a cell is judged by; most have one, without a name."""
    driven = not cell.workload.is_fio and cell.workload.rate_iops is not None
    return tuple(AT_A_RATE) if quality is Quality.OVERHEAD and driven else (None,)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run has of every cell and metric, read as evidence; None where a cell says nothing."""

    values: Mapping[tuple[Cell, str], Statistic]
    known: Mapping[tuple[Cell, Metric], Interval]
    """What a tracer's own mean, or its ratio to vanilla, may be."""
    shares: Mapping[Cell, Interval]
    """What the mean of what a tracer saves may be, of three trials or more, by bounded.py."""

    def of(self, quality: Quality, cell: Cell) -> tuple[Evidence, ...]:
        """Return what a cell says of a quality: a number for each of its aspects, as far as they are known."""
        if aspects(quality, cell) == (None,):
            found = READERS[quality](self, cell)
            return () if found is None else (found,)
        return tuple(self._at_a_rate(cell))

    def fidelity(self, cell: Cell) -> Evidence | None:
        """Return what a cell saved."""
        found = self.own(cell, metrics.SAVED_PERCENT)
        if found is None:
            return None
        if found.low is not None and found.high is not None:
            scatters = found.low < found.high
            ends = (max(0.0, found.low), min(100.0, found.high)) if scatters else (None, None)
            found = replace(found, low=ends[0], high=ends[1])
        share = self.shares.get(cell)
        least = None if share is None else self.values[cell, metrics.SAVED_PERCENT.key].spread.min
        return replace(found, own_rate=self._keeps_rate(cell, found.rate_per_s), least=least, share=share)

    def own(self, cell: Cell, metric: Metric) -> Evidence | None:
        """Return what a tracer itself did, or took, at the rate of the events that were offered to it."""
        found, rate = self.values.get((cell, metric.key)), self.mean(cell, metrics.OFFERED)
        if found is None or not rate:
            return None
        return _measured(cell, rate, found.spread.mean, self.known.get((cell, metric)), found.spread.n)

    def ratio(self, cell: Cell, metric: Metric) -> Evidence | None:
        """Return the ratio to vanilla, at the rate that vanilla had."""
        found, rate = self.values.get((cell, metric.key)), self._vanilla_rate(cell)
        if found is None or found.paired is None or rate is None:
            return None
        return _measured(cell, rate, found.paired.ratio, self.known.get((cell, metric)), found.paired.n)

    def overhead(self, cell: Cell) -> Evidence | None:
        """Return the share of the target's time that tracing took, at the rate that vanilla had.

        A target that is as fast as it can be takes longer for all of its I/O: that is its runtime over vanilla's. One
        that keeps a rate of its own has the time between two I/Os for other things, and its runtime does not move: of
        that time, tracing takes what each I/O takes longer. That is the change in latency, times the share of its time
        that vanilla spends in I/O (its latency x its rate / processes: Little's law).
        """
        latency_us, kept, rate = self.mean(cell.vanilla, metrics.LATENCY), self._kept(cell), self._vanilla_rate(cell)
        found = self.ratio(cell, metrics.LATENCY if kept else metrics.RUNTIME)
        if found is None or (kept and latency_us is None):
            return None
        return _grown(found, (latency_us or 0.0) / 1e6 * (rate or 0.0) / cell.workload.processes if kept else 1.0)

    def _at_a_rate(self, cell: Cell) -> Iterator[Evidence]:
        """Yield what tracing costs a declared target at a rate: by what its latency grows, and its CPU time.

        How many operations it has at once, nobody knows, so that there is no share of its time. One that does not keep
        its rate when it is traced is as fast as it can be.
        """
        for aspect, metric in AT_A_RATE.items():
            found = self.ratio(cell, metric if self._kept(cell) else metrics.RUNTIME)
            if found is not None:
                yield replace(_grown(found), aspect=aspect)

    def _kept(self, cell: Cell) -> bool:
        """Whether a target had a rate of its own, and kept to it, without a tracer and with it."""
        alone, offered = self._vanilla_rate(cell), self.mean(cell, metrics.OFFERED)
        return self._keeps_rate(cell.vanilla, alone or 0.0) and self._keeps_rate(cell, offered or 0.0)

    def mean(self, cell: Cell, metric: Metric) -> float | None:
        """Return the mean of a metric; None where the cell lacks it."""
        statistic = self.values.get((cell, metric.key))
        return None if statistic is None else statistic.spread.mean

    def _keeps_rate(self, cell: Cell, rate: float) -> bool:
        """Whether a target had a rate of its own, and kept to it; fio's by the rate of the events."""
        limit = cell.workload.rate_iops
        if cell.workload.is_fio:
            return limit is not None and rate >= KEPT * limit * cell.workload.processes
        return (self.mean(cell, metrics.RATE_KEPT) or 0.0) >= 100 * (1 - RATE_TOLERANCE)

    def _vanilla_rate(self, cell: Cell) -> float | None:
        counted = metrics.FIO_IOS if cell.workload.is_fio else metrics.CALLS
        ios, runtime_s = (self.mean(cell.vanilla, metric) for metric in (counted, metrics.RUNTIME))
        return ios / runtime_s if ios and runtime_s else None


READERS: Mapping[Quality, Callable[[Seen, Cell], Evidence | None]] = {
    Quality.MEMORY: partial(Seen.own, metric=metrics.PSS_PEAK),
    Quality.CPU: partial(Seen.own, metric=metrics.TRACER_CPU),
    Quality.OVERHEAD: Seen.overhead,
    Quality.FIDELITY: Seen.fidelity,
    Quality.LATENCY: partial(Seen.ratio, metric=metrics.LATENCY_P99),
    Quality.ENERGY: partial(Seen.ratio, metric=metrics.ENERGY),
    Quality.STARTUP: partial(Seen.own, metric=metrics.STARTUP),
    Quality.SIZE: partial(Seen.own, metric=metrics.CODE),
}


RATIOS = (metrics.RUNTIME, metrics.LATENCY, metrics.LATENCY_P99, metrics.ENERGY, metrics.TARGET_CPU)
ON_LOGS = {
    metrics.PSS_PEAK: True,
    metrics.TRACER_CPU: True,
    metrics.STARTUP: True,
    metrics.CODE: True,
    metrics.SAVED_PERCENT: False,
}
"""What is read of tracers themselves, and whether on the scale of logarithms."""


def known(groups: Iterable[Group]) -> dict[tuple[Cell, Metric], Interval]:
    """Return what means and ratios of a run may be, as far as its rounds tell."""
    found: dict[tuple[Cell, Metric], Interval] = {}
    for group in groups:
        for key, own in apart(group, RATIOS).items():
            if own.interval is not None:
                found[key] = own.interval.mapped(lambda percent: 1 + percent / 100)
        for metric, logs in ON_LOGS.items():
            found |= levels(group, metric, logs=logs)
    return found


def shares(groups: Iterable[Group]) -> dict[Cell, Interval]:
    """Return what means of what is saved may be, at an error of 5 % for all cells of a group."""
    found: dict[Cell, Interval] = {}
    for group in groups:
        saved = {own.cell: own.samples.get(metrics.SAVED_PERCENT) for own in group.rows if not own.cell.is_vanilla}
        rounds = {cell: list(own.by_round(float).values()) for cell, own in saved.items() if own is not None}
        alpha = ALPHA / max(1, len(rounds))
        found |= {cell: bounded.mean(own, 100.0, alpha) for cell, own in rounds.items() if len(own) >= ROUNDS_LEAST}
    return found


def _grown(found: Evidence, share: float = 1.0) -> Evidence:
    """Return a ratio as by how much it is more, in per cent, times a share."""
    low, high = (None if end is None else 100 * share * (end - 1) for end in (found.low, found.high))
    return replace(found, value=100 * share * (found.value - 1), low=low, high=high)


def _measured(cell: Cell, rate: float, value: float, ends: Interval | None, n: int) -> Evidence:
    low, high = (None, None) if ends is None else (ends.low, ends.high)
    return Evidence(value, low, high, rate, event_bytes(cell), cell.workload.name, n)
