# SPDX-License-Identifier: Apache-2.0
"""A run and what a user needs -> which setups and configurations fit, ranked, with the evidence for each.

Fidelity at the wanted rate and event size is predicted (capacity.py): from `bench drain` for a steady rate and a CPU
for the tracer, from a run for a target that leaves it none, as the run's own did (unless all had a limited rate).
Overhead is that of fio's runtime over vanilla, in the workload where it is worst, scaled down to the wanted rate: what
a tracer costs, it costs per event. Between two measured event sizes everything else is interpolated linearly. What
would go beyond what was measured is named, and does not qualify unless the user wants estimates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

import numpy as np
import polars as pl

from bpfbench.analysis import metrics
from bpfbench.analysis.capacity import (
    Observation,
    Prediction,
    Tracer,
    drain_rates,
    from_table,
    predict,
)
from bpfbench.analysis.statistics import Statistic, analyse
from bpfbench.analysis.table import Cell
from bpfbench.model import EVENT_BYTES


class Preference(StrEnum):
    """What to rank by, among those that qualify."""

    MEMORY = "memory"
    """The tracer's own: peak PSS."""
    CPU = "cpu"
    """CPU time of the tracer per event it saved."""
    OVERHEAD = "overhead"
    FIDELITY = "fidelity"
    LATENCY = "latency"
    """99th percentile over vanilla's."""
    ENERGY = "energy"
    """Of the CPU packages, over vanilla's."""


class Fit(StrEnum):
    """Whether a candidate qualifies."""

    YES = "yes"
    """Also at the unfavourable ends of what is known."""
    LIKELY = "likely"
    """By the best estimates; the unfavourable ends do not."""
    NO = "no"
    UNKNOWN = "unknown"
    """It would take going beyond what was measured."""


RANK = {fit: place for place, fit in enumerate(Fit)}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user needs."""

    rate_per_s: float
    event_bytes: int
    min_fidelity_percent: float
    max_overhead_percent: float
    prefer: Preference = Preference.OVERHEAD
    extrapolate: bool = False
    """Let what goes beyond what was measured qualify, as an estimate."""


@dataclass(frozen=True, slots=True)
class Overhead:
    """What the tracer adds to the target's runtime, in per cent."""

    percent: float
    low: float | None
    high: float | None
    """95 % confidence; None with fewer than 2 pairs."""
    workload: str
    """Where it is worst."""
    measured_percent: float
    """At the rate it was measured at."""
    measured_rate_per_s: float
    """What vanilla did."""
    pairs: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """One setup in one configuration."""

    setup: str
    attach: str
    format: str
    ringbuf_bytes: int
    poll_ms: int
    fit: Fit
    fidelity: Prediction | None
    overhead: Overhead | None
    preferred: float | None
    """What the user wants least of (most of, for fidelity); see Preference."""
    reasons: tuple[str, ...]
    """Why it does not qualify, or not for sure."""
    beyond: tuple[str, ...]
    """In what the numbers go beyond what was measured."""
    shortfall: float
    """How far it is from qualifying, in percentage points; 0 where it does."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """All candidates, the best first."""

    wish: Wish
    candidates: tuple[Candidate, ...]
    steady: bool
    """Whether fidelity is that of a target with a rate of its own, rather than of one that is as fast as it can be."""

    @property
    def qualified(self) -> tuple[Candidate, ...]:
        """Those that do what is wanted."""
        return tuple(candidate for candidate in self.candidates if candidate.fit in (Fit.YES, Fit.LIKELY))


_Config = tuple[str, str, str, int, int]
"""Setup, attach, format, ring and poll time-out."""


def recommend(table: pl.DataFrame, wish: Wish, bench: Iterable[Observation] = ()) -> Recommendation:
    """Judge every configuration that a run has.

    Args:
        table: the run's tidy table.
        wish: what is needed.
        bench: of `bench drain`. Where given, fidelity is predicted from it: for a tracer with a CPU of its own.
    """
    measured = tuple(bench)
    rates = drain_rates(measured or from_table(table))
    analysis = analyse(table)
    configs: defaultdict[_Config, list[Cell]] = defaultdict(list)
    for statistic in analysis.find(metrics.SAVED_PERCENT.key):
        cell = statistic.cell
        if cell.ringbuf_bytes is not None and cell.is_full:
            key = (cell.setup, cell.attach or "", cell.format or "", cell.ringbuf_bytes, cell.poll_ms or 0)
            configs[key].append(cell)
    values = {(statistic.cell, statistic.metric): statistic for statistic in analysis.statistics}
    steady = bool(measured) or table["rate_iops"].null_count() == 0
    fidelity = partial(predict, rates, steady=steady)
    found = [_candidate(config, cells, values, fidelity, wish) for config, cells in configs.items()]
    sign = -1 if wish.prefer is Preference.FIDELITY else 1
    found.sort(
        key=lambda c: (
            RANK[c.fit],
            c.shortfall,
            c.preferred is None,
            sign * (c.preferred or 0.0),
            c.setup,
            c.ringbuf_bytes,
        )
    )
    return Recommendation(wish, tuple(found), steady)


_Values = Mapping[tuple[Cell, str], Statistic]

_Fidelity = Callable[[Tracer, float], Prediction | None]
"""Of a tracer at a rate."""


def _candidate(config: _Config, cells: Sequence[Cell], values: _Values, fidelity: _Fidelity, wish: Wish) -> Candidate:
    setup, attach, form, ring, _ = config
    prediction = fidelity(Tracer(setup, attach, form, wish.event_bytes, ring), wish.rate_per_s)
    overhead = _overhead(cells, values, wish)
    beyond = [*(prediction.beyond if prediction else ()), *_beyond(cells, values, wish)]
    reasons = tuple(_reasons(prediction, overhead, wish))
    shortfall = _shortfall(prediction, overhead, wish)
    return Candidate(
        *config,
        fit=_fit(reasons, shortfall, unknown=bool(beyond) and not wish.extrapolate),
        fidelity=prediction,
        overhead=overhead,
        preferred=_preferred(cells, values, prediction, overhead, wish),
        reasons=reasons,
        beyond=tuple(dict.fromkeys(beyond)),
        shortfall=shortfall,
    )


def _fit(reasons: Sequence[str], shortfall: float, *, unknown: bool) -> Fit:
    if unknown:
        return Fit.UNKNOWN
    if shortfall > 0:
        return Fit.NO
    return Fit.LIKELY if reasons else Fit.YES


def _beyond(cells: Iterable[Cell], values: _Values, wish: Wish) -> Iterator[str]:
    cells = tuple(cells)
    sizes = sorted({_event_bytes(cell) for cell in cells})
    if not sizes[0] <= wish.event_bytes <= sizes[-1]:
        yield f"events of {wish.event_bytes} bytes: measured are {', '.join(map(str, sizes))}"
    offered = [values[key].spread.max for cell in cells if (key := (cell, metrics.OFFERED.key)) in values]
    if offered and wish.rate_per_s > max(offered):
        yield f"{wish.rate_per_s:.0f} events/s: the highest rate measured is {max(offered):.0f}"


def _shortfall(prediction: Prediction | None, overhead: Overhead | None, wish: Wish) -> float:
    missing = 100.0 if prediction is None else max(0.0, wish.min_fidelity_percent - prediction.percent)
    if overhead is None:
        return missing + 100.0
    return missing + max(0.0, overhead.percent - wish.max_overhead_percent)


def _reasons(prediction: Prediction | None, overhead: Overhead | None, wish: Wish) -> Iterator[str]:
    least, most = wish.min_fidelity_percent, wish.max_overhead_percent
    if prediction is None:
        yield "no trial and no measurement says how fast it drains"
    elif prediction.percent < least:
        known = "at least " if prediction.at_least else ""
        yield f"saves {known}{prediction.percent:.1f} %, {least - prediction.percent:.1f} points too few"
    elif prediction.low < least:
        yield f"may save {prediction.low:.1f} % only, at the least drain rate seen"
    if overhead is None:
        yield "no pair with vanilla says what it costs"
    elif overhead.percent > most:
        excess = overhead.percent - most
        yield f"costs {overhead.percent:.1f} % in {overhead.workload}, {excess:.1f} points too much"
    elif overhead.high is None:
        yield f"the error of its overhead in {overhead.workload} is not known (pairs: {overhead.pairs})"
    elif overhead.high > most:
        yield f"may cost {overhead.high:.1f} % in {overhead.workload}, the upper end of the 95 % interval"


def _overhead(cells: Iterable[Cell], values: _Values, wish: Wish) -> Overhead | None:
    """Return the overhead of the workload where it is worst."""
    by_target: defaultdict[Cell, list[Cell]] = defaultdict(list)
    for cell in cells:
        by_target[replace(cell.vanilla, tool="")].append(cell)
    found = [overhead for group in by_target.values() if (overhead := _overhead_of(group, values, wish)) is not None]
    return max(found, key=lambda overhead: overhead.percent, default=None)


def _overhead_of(cells: Iterable[Cell], values: _Values, wish: Wish) -> Overhead | None:
    known = []
    for cell in cells:
        statistic = values.get((cell, metrics.RUNTIME.key))
        rate = _vanilla_rate(cell, values)
        if statistic is not None and statistic.paired is not None and rate is not None:
            known.append((cell, statistic.paired, rate))
    if not known:
        return None
    sizes = [_event_bytes(cell) for cell, _, _ in known]
    rate = _at(wish.event_bytes, sizes, [rate for _, _, rate in known])
    scale = min(1.0, wish.rate_per_s / rate)

    def percent(ratios: Sequence[float]) -> float:
        return 100 * (_at(wish.event_bytes, sizes, ratios) - 1)

    intervals = [paired.interval for _, paired, _ in known if paired.interval is not None]
    certain = len(intervals) == len(known)
    measured = percent([paired.ratio for _, paired, _ in known])
    return Overhead(
        percent=scale * measured,
        low=scale * percent([interval.low for interval in intervals]) if certain else None,
        high=scale * percent([interval.high for interval in intervals]) if certain else None,
        workload=known[0][0].workload,
        measured_percent=measured,
        measured_rate_per_s=rate,
        pairs=min(paired.n for _, paired, _ in known),
    )


def _vanilla_rate(cell: Cell, values: _Values) -> float | None:
    ios, runtime = (values.get((cell.vanilla, metric.key)) for metric in (metrics.FIO_IOS, metrics.RUNTIME))
    return None if ios is None or runtime is None else ios.spread.mean / runtime.spread.mean


def _preferred(
    cells: Sequence[Cell], values: _Values, prediction: Prediction | None, overhead: Overhead | None, wish: Wish
) -> float | None:
    match wish.prefer:
        case Preference.FIDELITY:
            return None if prediction is None else prediction.percent
        case Preference.OVERHEAD:
            return None if overhead is None else overhead.percent
        case Preference.MEMORY:
            return _mean(cells, wish, {cell: _value(values, cell, metrics.PSS_PEAK) for cell in cells})
        case Preference.CPU:
            return _mean(cells, wish, {cell: _cpu_us_per_event(values, cell) for cell in cells})
        case Preference.LATENCY:
            return _mean(cells, wish, {cell: _ratio(values, cell, metrics.LATENCY_P99) for cell in cells})
        case Preference.ENERGY:
            return _mean(cells, wish, {cell: _ratio(values, cell, metrics.ENERGY) for cell in cells})


def _value(values: _Values, cell: Cell, metric: metrics.Metric) -> float | None:
    statistic = values.get((cell, metric.key))
    return None if statistic is None else statistic.spread.mean


def _ratio(values: _Values, cell: Cell, metric: metrics.Metric) -> float | None:
    statistic = values.get((cell, metric.key))
    return statistic.paired.ratio if statistic is not None and statistic.paired is not None else None


def _cpu_us_per_event(values: _Values, cell: Cell) -> float | None:
    user, system, saved = (
        _value(values, cell, metric) for metric in (metrics.TRACER_USER, metrics.TRACER_SYSTEM, metrics.SAVED)
    )
    return None if user is None or system is None or not saved else 1e6 * (user + system) / saved


def _mean(cells: Iterable[Cell], wish: Wish, found: Mapping[Cell, float | None]) -> float | None:
    """Return the mean over workloads at the wanted event size."""
    by_size: defaultdict[int, list[float]] = defaultdict(list)
    for cell in cells:
        if (value := found[cell]) is not None:
            by_size[_event_bytes(cell)].append(value)
    sizes = sorted(by_size)
    return _at(wish.event_bytes, sizes, [float(np.mean(by_size[size])) for size in sizes]) if sizes else None


def _at(event_bytes: int, sizes: Sequence[int], values: Sequence[float]) -> float:
    """Interpolate linearly between event sizes; beyond them, the nearest."""
    order = np.argsort(sizes)
    return float(np.interp(event_bytes, np.asarray(sizes)[order], np.asarray(values)[order]))


def _event_bytes(cell: Cell) -> int:
    return EVENT_BYTES + (cell.payload_bytes or 0)
