# SPDX-License-Identifier: Apache-2.0
"""A run and what a user needs -> which setups and configurations fit, ranked, with the evidence for each.

What is wanted is for a target that has a rate of its own. Each requirement is judged by itself (requirements.py); a
candidate fits if all are met. Fidelity alone can be predicted (capacity.py), for its predictions alone were checked
against trials they had not seen: those of this run, where it has targets with a rate of their own on both sides of the
wanted one, else those of docs/statistics.md. What is not known, the run of `to_measure` would tell.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import polars as pl

from bpfbench import catalogue
from bpfbench.analysis import metrics
from bpfbench.analysis.capacity import (
    DrainRate,
    Observation,
    Source,
    Tracer,
    drain_rates,
    from_table,
    predict,
)
from bpfbench.analysis.capacity_check import HeldOut, validate
from bpfbench.analysis.requirements import (
    KEPT,
    Assessment,
    Basis,
    Evidence,
    Requirement,
    Sample,
    Target,
    Values,
    Verdict,
    assess,
    closest,
    event_bytes,
    fidelity_samples,
    overhead_samples,
    own_samples,
    ratio_samples,
)
from bpfbench.analysis.statistics import analyse
from bpfbench.analysis.table import Cell
from bpfbench.model import BLOCK_BYTES, EVENT_BYTES

DOCUMENTED_ERROR = {EVENT_BYTES: 3.4, 1 << 30: 51.5}
"""By the largest event it holds for: the worst error, in points, of predictions for targets with a rate of their own
from those without. docs/statistics.md, "Held out on a machine of two CPUs"."""

DOCUMENTED = "docs/statistics.md"
THIS_RUN = "this run"


class Preference(StrEnum):
    """What to rank by, among those that qualify."""

    MEMORY = "memory"
    """The tracer's own: peak PSS."""
    CPU = "cpu"
    """The tracer's own: CPU time, in per cent of one CPU."""
    OVERHEAD = "overhead"
    FIDELITY = "fidelity"
    LATENCY = "latency"
    """99th percentile over vanilla's."""
    ENERGY = "energy"
    """Of the CPU packages, over vanilla's."""


class Fit(StrEnum):
    """Whether a candidate qualifies. In the order they are shown."""

    YES = "yes"
    """Every requirement is met."""
    UNDECIDED = "undecided"
    """None is surely not met, and each was measured or predicted."""
    UNKNOWN = "not known"
    """None is surely not met, and one was not measured."""
    NO = "no"


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
    prefer: Preference = Preference.OVERHEAD

    @property
    def limits(self) -> dict[Requirement, float]:
        """What is required."""
        wanted = {
            Requirement.FIDELITY: self.min_fidelity_percent,
            Requirement.OVERHEAD: self.max_overhead_percent,
            Requirement.CPU: self.max_cpu_percent,
            Requirement.MEMORY: self.max_memory_bytes,
        }
        return {requirement: limit for requirement, limit in wanted.items() if limit is not None}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One setup in one configuration."""

    setup: str
    attach: str
    format: str
    ringbuf_bytes: int
    poll_ms: int
    assessments: tuple[Assessment, ...]
    """One per requirement."""
    basis: tuple[DrainRate, ...]
    """The drain rates that its fidelity is predicted from; empty where it was measured."""
    preferred: float | None
    """What the user wants least of (most of, for fidelity) near the wanted rate, in the worst workload; see Preference.
    None where no trial was near."""

    @property
    def fit(self) -> Fit:
        """Whether it qualifies: by the worst of its assessments."""
        fits = {
            Verdict.NOT_MET: Fit.NO,
            Verdict.NOT_MEASURED: Fit.UNKNOWN,
            Verdict.UNDECIDED: Fit.UNDECIDED,
            Verdict.MET: Fit.YES,
        }
        verdicts = {assessment.verdict for assessment in self.assessments}
        return next(fit for verdict, fit in fits.items() if verdict in verdicts)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it does not qualify, or not for sure."""
        return tuple(assessment.reason for assessment in self.assessments if assessment.reason)


@dataclass(frozen=True, slots=True)
class Recommendation:
    """All candidates, the best first."""

    wish: Wish
    candidates: tuple[Candidate, ...]
    to_measure: str | None
    """The command that would measure what is not known; None where everything is."""

    @property
    def qualified(self) -> tuple[Candidate, ...]:
        """Those that do what is wanted."""
        return tuple(candidate for candidate in self.candidates if candidate.fit is Fit.YES)


_Config = tuple[str, str, str, int, int]
"""Setup, attach, format, ring and poll time-out."""


def recommend(table: pl.DataFrame, wish: Wish, bench: Iterable[Observation] = ()) -> Recommendation:
    """Judge every configuration that a run has.

    Args:
        table: the run's tidy table.
        wish: what is needed.
        bench: of `bench drain`. Where given, fidelity is predicted from it: for a tracer with a CPU of its own.
    """
    analysis = analyse(table)
    values = {(statistic.cell, statistic.metric): statistic for statistic in analysis.statistics}
    configs: defaultdict[_Config, list[Cell]] = defaultdict(list)
    for statistic in analysis.find(metrics.SAVED_PERCENT.key):
        cell = statistic.cell
        if cell.ringbuf_bytes is not None and cell.is_full:
            key = (cell.setup, cell.attach or "", cell.format or "", cell.ringbuf_bytes, cell.poll_ms or 0)
            configs[key].append(cell)
    learnt = tuple(bench)
    capacity = _Capacity(drain_rates(learnt or from_table(table)), validate(table, learnt))
    found = [_candidate(config, cells, values, capacity, wish) for config, cells in configs.items()]
    sign = -1 if wish.prefer is Preference.FIDELITY else 1
    order = list(Fit)
    found.sort(
        key=lambda c: (
            order.index(c.fit),
            sum(assessment.excess for assessment in c.assessments),
            c.preferred is None,
            sign * (c.preferred or 0.0),
            c.setup,
            c.ringbuf_bytes,
        )
    )
    return Recommendation(wish, tuple(found), _to_measure(found, configs, wish))


@dataclass(frozen=True, slots=True)
class _Capacity:
    """What a run, or `bench drain`, predicts of fidelity, and how far that was off where it could be checked."""

    rates: tuple[DrainRate, ...]
    checked: tuple[HeldOut, ...]

    def predict(
        self, config: _Config, cells: Sequence[Cell], values: Values, wish: Wish
    ) -> tuple[Evidence | None, tuple[DrainRate, ...]]:
        """Predict fidelity at the wanted rate, and say from which drain rates.

        None beyond what was measured, and where nothing validates it.
        """
        setup, attach, form, ring, _ = config
        sizes = [event_bytes(cell) for cell in cells]
        # A smaller event than any measured is drained at least as fast.
        tracer = Tracer(setup, attach, form, max(wish.event_bytes, min(sizes)), ring)
        offered = max(values[cell, metrics.OFFERED.key].spread.max for cell in cells)
        found = predict(self.rates, tracer, wish.rate_per_s, steady=True)
        if found is None or found.beyond or wish.rate_per_s > offered:
            return None, ()
        validated = self._error(tracer, found.basis, wish.rate_per_s)
        if validated is None:
            return None, ()
        error, by = validated
        evidence = Evidence(
            Basis.PREDICTED,
            found.percent,
            max(0.0, found.low - error),
            100.0 if found.at_least else min(100.0, found.high + error),
            wish.rate_per_s,
            wish.event_bytes,
            error=error,
            validated_by=by,
        )
        return evidence, found.basis

    def _error(self, tracer: Tracer, basis: Sequence[DrainRate], rate_per_s: float) -> tuple[float, str] | None:
        """Return the worst error found with this tracer at rates on both sides, else the documented one."""
        own = [
            held
            for rate in basis
            if (held := [found for found in self.checked if _alike(found, tracer, rate)])
            and min(h.rate_per_s for h in held) * KEPT <= rate_per_s <= max(h.rate_per_s for h in held) / KEPT
        ]
        if len(own) == len(basis):
            return max(abs(found.error) for held in own for found in held), THIS_RUN
        if any(rate.source is Source.BENCH for rate in basis):
            return None
        return next(error for size, error in DOCUMENTED_ERROR.items() if tracer.event_bytes <= size), DOCUMENTED


def _alike(found: HeldOut, tracer: Tracer, rate: DrainRate) -> bool:
    """Whether what was checked is of the tracer that is predicted, at the size that a drain rate is known of."""
    own = found.tracer
    return (own.setup, own.attach, own.format, own.ringbuf_bytes, own.event_bytes) == (
        tracer.setup,
        tracer.attach,
        tracer.format,
        tracer.ringbuf_bytes,
        rate.tracer.event_bytes,
    )


def _candidate(config: _Config, cells: Sequence[Cell], values: Values, capacity: _Capacity, wish: Wish) -> Candidate:
    target = Target(wish.rate_per_s, wish.event_bytes)
    whole = [cell for cell in cells if values[cell, metrics.SAVED_PERCENT.key].spread.mean >= wish.min_fidelity_percent]
    workloads = tuple(dict.fromkeys(cell.workload for cell in cells))
    samples = {
        Requirement.FIDELITY: fidelity_samples(cells, values),
        Requirement.OVERHEAD: overhead_samples(whole, values),
        Requirement.CPU: own_samples(whole, values, metrics.TRACER_CPU),
        Requirement.MEMORY: own_samples(cells, values, metrics.PSS_PEAK),
    }
    measured = {requirement: _by_workload(found, workloads) for requirement, found in samples.items()}
    predicted, basis = capacity.predict(config, cells, values, wish)
    lost = fidelity_samples((cell for cell in cells if cell not in whole), values)
    lossy = any(target.is_near(sample.evidence) for sample in lost)
    assessments = tuple(
        assess(
            requirement,
            limit,
            target,
            measured[requirement],
            predicted if requirement is Requirement.FIDELITY else None,
            "trials that lost events do not count for it" if lossy and not requirement.monotone else "",
        )
        for requirement, limit in wish.limits.items()
    )
    used = predicted is not None and any(assessment.evidence is predicted for assessment in assessments)
    preferred = _preferred(target, measured, assessments, whole, values, wish)
    return Candidate(*config, assessments, basis if used else (), preferred)


def _preferred(
    target: Target,
    measured: dict[Requirement, dict[str, list[Sample]]],
    assessments: Iterable[Assessment],
    whole: Sequence[Cell],
    values: Values,
    wish: Wish,
) -> float | None:
    match wish.prefer:
        case Preference.FIDELITY:
            by = {assessment.requirement: assessment.evidence for assessment in assessments}
            found = by[Requirement.FIDELITY]
            return None if found is None else found.value
        case Preference.LATENCY | Preference.ENERGY:
            metric = metrics.LATENCY_P99 if wish.prefer is Preference.LATENCY else metrics.ENERGY
            samples = _by_workload(ratio_samples(whole, values, metric), ())
        case _:
            samples = measured[Requirement(wish.prefer.value)]
    near = (closest(target, own) for own in samples.values())
    return max((found.value for found in near if found is not None), default=None)


def _by_workload(samples: Iterable[Sample], workloads: Iterable[str]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {workload: [] for workload in workloads}
    for sample in samples:
        found.setdefault(str(sample.evidence.workload), []).append(sample)
    return found


TRIAL_S = 10
"""About what a trial takes that is proposed."""
REPETITIONS = 5


def _to_measure(found: Sequence[Candidate], configs: dict[_Config, list[Cell]], wish: Wish) -> str | None:
    """Return the command that measures what candidates are not known or not decided for, at the wanted rate."""
    open_ = [candidate for candidate in found if candidate.fit in (Fit.UNKNOWN, Fit.UNDECIDED)]
    if not open_:
        return None
    cells = [cell for config in configs.values() for cell in config]
    (processes, _), *_ = Counter(cell.processes for cell in cells).most_common(1)
    rate_iops = max(2, math.ceil(wish.rate_per_s / processes))
    payload = wish.event_bytes - EVENT_BYTES
    ios = 2 ** math.ceil(math.log2(rate_iops * TRIAL_S))
    options = {
        "setups": dict.fromkeys(candidate.setup for candidate in open_),
        "tools": ["rw-tracer-all" if payload > 0 else "rw-tracer"],
        "workloads": dict.fromkeys(cell.workload for cell in cells),
        "processes": [processes],
        "scale": [ios * BLOCK_BYTES / catalogue.FULL_BYTES_PER_PROCESS],
        "rate-iops": [rate_iops],
        "attach": dict.fromkeys(candidate.attach for candidate in open_),
        "format": dict.fromkeys(candidate.format for candidate in open_),
        "ringbuf-bytes": dict.fromkeys(candidate.ringbuf_bytes for candidate in open_),
        "poll-ms": dict.fromkeys(candidate.poll_ms for candidate in open_),
        **({"payload-bytes": [payload]} if payload > 0 else {}),
        "repetitions": [REPETITIONS],
    }
    words = (f"--{name} {','.join(map(str, given))}" for name, given in options.items())
    return f"bpfbench run quick {' '.join(words)}"
