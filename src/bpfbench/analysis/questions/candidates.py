# SPDX-License-Identifier: Apache-2.0
"""Setups and configurations, judged by what a user needs, each requirement with the evidence for it.

What is wanted is for a target that has a rate of its own. A requirement is judged by a measurement at or near that
rate, else by one at another rate that is surely harder or easier, else by a prediction that was validated, with its
error added. Anything else is not known: neither passed nor failed, and a run at that rate would tell. Nothing is
scaled from one rate to another. docs/recommending.md says why which measurement stands for which rate.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from bpfbench.analysis import metrics
from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.inference import Interval
from bpfbench.analysis.questions.capacity import KEPT, Capacity, DrainRate, Observation
from bpfbench.analysis.questions.evidence import Evidence, Quality, Seen, aspects, event_bytes, known, shares
from bpfbench.analysis.questions.ring_trials import Tracer
from bpfbench.analysis.results import Cell, Results
from bpfbench.analysis.statistics import analyse
from bpfbench.analysis.summary import summarise
from bpfbench.model import DrivenTarget, TracerConfig

NEAR = 1.5
"""A measurement is near a rate, or an event size, up to this many times it; never below it."""


class Fit(StrEnum):
    """Whether a requirement is met, or a candidate qualifies: by the last of these that one of its requirements is."""

    YES = "yes"
    """The end of the interval that is nearer to the limit meets it."""
    IN_EACH = "in each trial"
    """Each trial saved enough, of three at least: a fact about these trials, and no more."""
    UNDECIDED = "undecided"
    """The limit lies within the interval, or few rounds have none, or it was not met at more than the wanted rate."""
    UNKNOWN = "not known"
    """Neither measured at such a rate, nor predicted by anything that was validated."""
    NO = "no"
    """The whole interval lies beyond the limit."""

    @property
    def rank(self) -> int:
        """From 0, the best."""
        return list(Fit).index(self)

    @property
    def of_requirement(self) -> str:
        """What is said of a single requirement."""
        words = {Fit.YES: "met", Fit.IN_EACH: "met in each trial", Fit.UNKNOWN: "not measured", Fit.NO: "not met"}
        return words.get(self, self.value)

    @property
    def qualifies(self) -> bool:
        """Whether it is what is wanted."""
        return self in (Fit.YES, Fit.IN_EACH)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user needs."""

    rate_per_s: float
    event_bytes: int
    min_fidelity_percent: float
    max_overhead_percent: float
    max_cpu_percent: float | None = None
    """Of one CPU; None: whatever it takes."""
    max_memory_bytes: float | None = None
    prefer: Quality = Quality.OVERHEAD
    """What to rank by, among those that qualify."""

    @property
    def limits(self) -> dict[Quality, float]:
        """What is required."""
        wanted = {
            Quality.FIDELITY: self.min_fidelity_percent,
            Quality.OVERHEAD: self.max_overhead_percent,
            Quality.CPU: self.max_cpu_percent,
            Quality.MEMORY: self.max_memory_bytes,
        }
        return {quality: limit for quality, limit in wanted.items() if limit is not None}

    def is_near(self, found: Evidence) -> bool:
        """Whether a measurement stands for what is wanted."""
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

    requirement: Quality
    limit: float
    fit: Fit
    evidence: Evidence | None
    """In the workload where it is worst; None where nothing says anything."""
    reason: str
    """Why it is not met for sure; empty where it is met."""

    @property
    def beyond(self) -> float:
        """How far the best guess lies beyond the limit, as a share of it; 0 where it meets it."""
        if self.evidence is None:
            return math.inf
        sign = -1 if self.requirement.higher_is_better else 1
        return max(0.0, sign * (self.evidence.value - self.limit)) / max(1.0, self.limit)

    @property
    def excess(self) -> float:
        """How far what is not met lies beyond the limit: in points, of memory in per cent of the limit."""
        if self.fit is not Fit.NO or self.evidence is None:
            return 0.0
        beyond = abs(self.evidence.value - self.limit)
        return 100 * beyond / max(1.0, self.limit) if self.requirement is Quality.MEMORY else beyond


@dataclass(frozen=True, slots=True)
class Candidate:
    """One setup in one configuration."""

    setup: str
    config: TracerConfig
    """Whatever its payload, as the wish says how large events are."""
    assessments: tuple[Assessment, ...]
    """One per requirement."""
    preferred: float | None
    """What the user wants least of (most of, for fidelity) near the wanted rate, in the worst workload.
    None where no trial was near."""
    near: Mapping[str, Cell]
    """By workload, the cell whose trials were the nearest to what is wanted, of those that were near."""
    role: str = ""
    """Of a setup that is there as a study has it and as `tune` found it: default, or tuned."""

    @property
    def fit(self) -> Fit:
        """Whether it qualifies: by the worst of its assessments."""
        return max((assessment.fit for assessment in self.assessments), key=lambda fit: fit.rank)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it does not qualify, or not for sure."""
        return tuple(assessment.reason for assessment in self.assessments if assessment.reason)

    @property
    def drain_rates(self) -> tuple[DrainRate, ...]:
        """What its fidelity is predicted from; empty where it was measured."""
        return tuple(rate for own in self.assessments if own.evidence for rate in own.evidence.drain_rates)


@dataclass(frozen=True)
class Basis:
    """What a run has to judge candidates by."""

    cells: Mapping[tuple[str, TracerConfig], Sequence[Cell]]
    """By setup and configuration, whatever its payload."""
    seen: Seen
    capacity: Capacity
    driven: Sequence[DrivenTarget] = ()
    """The targets of the run besides fio, as declared."""

    @classmethod
    def of(cls, results: Results, bench: Iterable[Observation] = ()) -> Basis:
        """Take it from a run, and from `bench drain`, where that is given."""
        analysis = analyse(results)
        values = {(statistic.cell, statistic.metric): statistic for statistic in analysis.statistics}
        groups = [group for group in summarise(results).groups if not group.emulated]
        seen = Seen(values, known(groups), shares(groups))
        cells: defaultdict[tuple[str, TracerConfig], list[Cell]] = defaultdict(list)
        for statistic in analysis.find(metrics.SAVED_PERCENT.key):
            cell, config = statistic.cell, statistic.cell.config
            steady = not cell.workload.in_bursts  # as what is wished for is
            if config is not None and config.ringbuf_bytes is not None and cell.is_full and steady:
                cells[cell.setup, replace(config, payload_bytes=None)].append(cell)
        driven = results.info.study.targets if results.info else ()
        return cls(cells, seen, Capacity.of(results, tuple(bench)), driven)

    def candidate(self, setup: str, config: TracerConfig, wish: Wish) -> Candidate:
        """Judge a setup in a configuration that there is."""
        return _candidate(setup, config, self.cells[setup, config], self.seen, self.capacity, wish)

    def rates(self, setup: str) -> list[float]:
        """Return the rates at which a setup was measured beside a target that kept to one, the highest first."""
        cells = [cell for (own, _), cells in self.cells.items() if own == setup for cell in cells]
        found = [self.seen.fidelity(cell) for cell in cells]
        return sorted({own.rate_per_s for own in found if own is not None and own.own_rate}, reverse=True)


def _candidate(
    setup: str, config: TracerConfig, cells: Sequence[Cell], seen: Seen, capacity: Capacity, wish: Wish
) -> Candidate:
    by_name: defaultdict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        by_name[cell.workload.name].append(cell)
    whole = [cell for cell in cells if (seen.mean(cell, metrics.SAVED_PERCENT) or 0.0) >= wish.min_fidelity_percent]

    def measured(quality: Quality) -> dict[tuple[str | None, str | None], list[Evidence]]:
        """By workload and aspect; what is saved, and piles up in memory, is evidence where events are lost, too."""
        found: dict[tuple[str | None, str | None], list[Evidence]] = {
            (name, aspect): [] for name, own in by_name.items() for aspect in _aspects(quality, own)
        }
        for own in (own for cell in (cells if quality.monotone else whole) for own in seen.of(quality, cell)):
            if (own.workload, own.aspect) in found:
                found[own.workload, own.aspect].append(own)
        return found

    lost = [seen.fidelity(cell) for cell in cells if cell not in whole]
    lossy = any(own is not None and wish.is_near(own) for own in lost)
    offered = max(seen.values[cell, metrics.OFFERED.key].spread.max for cell in cells)
    predicted = predict(setup, config, cells, capacity, wish) if wish.rate_per_s <= offered else None
    assessments = tuple(
        _assess(
            quality,
            wish,
            measured(quality),
            predicted if quality is Quality.FIDELITY else None,
            "trials that lost events do not count for it" if lossy and not quality.monotone else "",
        )
        for quality in wish.limits
    )
    if wish.prefer is Quality.FIDELITY:
        best = [own.evidence for own in assessments if own.requirement is Quality.FIDELITY]
    else:
        best = [_closest(wish, own) for own in measured(wish.prefer).values()]
    preferred = max((found.value for found in best if found is not None), default=None)
    near: dict[str, Cell] = {}
    for own, cell in sorted(((seen.fidelity(cell), cell) for cell in cells), key=lambda item: _distance(item[0])):
        if own is not None and own.own_rate and wish.is_near(own):
            near.setdefault(cell.workload.name, cell)
    return Candidate(setup, config, assessments, preferred, near)


def _aspects(quality: Quality, cells: Sequence[Cell]) -> tuple[str | None, ...]:
    """Return which numbers a quality of a workload is judged by: of one that is driven at rates, those of a rate."""
    found = {aspects(quality, cell) for cell in cells}
    return max(found, key=len)


def _distance(found: Evidence | None) -> tuple[float, float]:
    """How far a measurement is from what is wanted, of those that are near it: the smallest events and rates first."""
    return (math.inf, math.inf) if found is None else (found.event_bytes, found.rate_per_s)


def predict(setup: str, config: TracerConfig, cells: Iterable[Cell], capacity: Capacity, wish: Wish) -> Evidence | None:
    """Predict fidelity at the wanted rate; None beyond what was measured, and where nothing validates it.

    Args:
        setup: whose.
        config: in which it need not have been measured, as long as its drain rate is known.
        cells: in which it was.
        capacity: what is known of drain rates.
        wish: what is wanted.
    """
    # A smaller event than any measured is drained at least as fast.
    size = max(wish.event_bytes, min(map(event_bytes, cells)))
    tracer = Tracer.of(setup, config, size, capacity.cpus)
    validated = capacity.predict(tracer, wish.rate_per_s) if tracer else None
    if validated is None:
        return None
    found, error, by = validated
    return Evidence(
        found.percent,
        max(0.0, found.low - error),
        100.0 if found.at_least else min(100.0, found.high + error),
        wish.rate_per_s,
        wish.event_bytes,
        error=error,
        validated_by=by,
        drain_rates=found.basis,
    )


def judge(requirement: Quality, limit: float, found: Evidence) -> Fit:
    """Compare an interval with a limit."""
    if found.share is not None and found.least is not None:
        return _judge_share(limit, found.least, found.share, found)
    if found.low is None or found.high is None:
        return Fit.UNDECIDED
    if requirement.higher_is_better:
        met, failed = found.low >= limit, found.high < limit
    else:
        met, failed = found.high <= limit, found.low > limit
    return Fit.YES if met else Fit.NO if failed else Fit.UNDECIDED


def _judge_share(limit: float, least: float, share: Interval, found: Evidence) -> Fit:
    """Compare what was saved with a limit.

    That it is met is known by what bounded.py says alone: few trials that lost next to nothing scatter next to nothing,
    by luck. Those that lost a lot do scatter, so that an interval by their SD tells, too.
    """
    if share.low >= limit:
        return Fit.YES
    if share.high < limit or (found.high is not None and found.high < limit):
        return Fit.NO
    return Fit.IN_EACH if least >= limit else Fit.UNDECIDED


def _assess(
    requirement: Quality,
    wish: Wish,
    measured: Mapping[Any, Sequence[Evidence]],
    predicted: Evidence | None,
    lacking: str,
) -> Assessment:
    """Judge a requirement by the workload in which it is worst.

    Args:
        requirement: what is required.
        wish: how much of it, and at what rate.
        measured: by workload and aspect; one of which nothing was measured has an empty sequence.
        predicted: what stands in for a measurement that lacks, in any workload.
        lacking: why measurements lack, beside that no trial had such a rate.
    """
    limit, sign = wish.limits[requirement], -1 if requirement.higher_is_better else 1
    found = [_of_workload(requirement, wish, own, predicted) for own in measured.values()]
    fit, evidence = max(found, key=lambda own: (own[0].rank, sign * own[1].value if own[1] else math.inf))
    return Assessment(requirement, limit, fit, evidence, _reason(requirement, limit, fit, evidence, lacking))


def _of_workload(
    requirement: Quality, wish: Wish, measured: Sequence[Evidence], predicted: Evidence | None
) -> tuple[Fit, Evidence | None]:
    """Judge by the nearest measurement, else by one that is harder and good, or easier and bad, else by prediction."""
    limit, near = wish.limits[requirement], _closest(wish, measured)
    fit = judge(requirement, limit, near) if near else Fit.UNKNOWN
    if near and fit is Fit.NO and not wish.is_harder_than(near):
        fit = Fit.UNDECIDED
    if fit.qualifies or fit is Fit.NO:
        return fit, near
    if requirement.monotone:
        for telling, found in _elsewhere(wish, measured):
            if (own := judge(requirement, limit, found)) in telling:
                return own, found
    if near is None and predicted is not None:
        return judge(requirement, limit, predicted), predicted
    return fit, near


def _closest(wish: Wish, measured: Iterable[Evidence]) -> Evidence | None:
    """Return the measurement that stands for a wish: of those near it, that of the rate and size that are nearest."""
    return min((found for found in measured if found.own_rate and wish.is_near(found)), key=_distance, default=None)


def _elsewhere(wish: Wish, measured: Iterable[Evidence]) -> Iterator[tuple[Collection[Fit], Evidence]]:
    """Yield the measurements that can decide what is monotone, the nearest first, each with how it can decide it."""

    def distance(found: Evidence) -> float:
        rate, size = found.rate_per_s / wish.rate_per_s, found.event_bytes / wish.event_bytes
        return abs(math.log(rate)) + abs(math.log(size))

    for found in sorted(measured, key=distance):
        if wish.is_easier_than(found):
            yield (Fit.YES, Fit.IN_EACH), found
        if found.own_rate and wish.is_harder_than(found):
            yield (Fit.NO,), found


def _reason(requirement: Quality, limit: float, fit: Fit, evidence: Evidence | None, lacking: str) -> str:
    what = requirement.word
    match fit:
        case Fit.YES | Fit.IN_EACH:
            return ""
        case Fit.NO:
            return f"{what} is not met"
        case Fit.UNDECIDED if evidence is not None:
            if evidence.alike:
                why = "trials that are all alike do not say how much others may differ"
            elif evidence.low is None:
                why = f"fewer than {ROUNDS_LEAST} rounds say nothing of its error"
            elif evidence.basis == "predicted":
                why = "the error of the prediction reaches over the limit"
            elif judge(requirement, limit, evidence) is Fit.NO:
                why = "it was not met at more than the wanted rate"
            else:
                why = "its interval reaches over the limit"
            return f"{what} is undecided: {why}"
        case _:
            return f"{what} was not measured at such a rate{f': {lacking}' if lacking else ''}"
