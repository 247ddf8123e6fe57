# SPDX-License-Identifier: Apache-2.0
"""A gate: whether what changed between two runs goes beyond a limit, for sure.

A limit is held against every tracer's cell of the run before; vanilla's own change is the machine's. Of each that both
runs have, two things are tested, one-sided, as `compare` tests (Welch): that the change lies beyond the limit, that it
lies within. p is corrected over the cells of the limit (Holm), so that of a change that only just reaches the limit, in
however many cells, one gate in twenty fails at most. What neither test tells is undecided, and fails nothing; so is
what has fewer trials on a side than anything is told of, and what the run after has no trial of.

Runtime is not judged where the rate is limited: a program that keeps a rate takes as long as the rate makes it take.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.inference import holm, welch
from bpfbench.analysis.metrics import RUNTIME, Metric
from bpfbench.analysis.questions.compare import by_difference, is_difference, on_scale, sides
from bpfbench.analysis.results import Cell, Results, Sample
from bpfbench.values import choice_message

LEVEL = 0.05
"""The most that p may be, corrected, where something is told."""


class GateVerdict(StrEnum):
    """How a change stands to a limit."""

    FAILED = "failed"
    """It lies beyond."""
    PASSED = "passed"
    """It lies within."""
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Limit:
    """What a metric may change by."""

    metric: str
    above: bool
    """Whether more than this is too much; else less."""
    change: float
    """In per cent of what is compared by ratios, else in the unit of the metric."""
    text: str
    """As the user wrote it."""


@dataclass(frozen=True, slots=True)
class Gated:
    """One cell, held against a limit."""

    limit: Limit
    cell: Cell
    change: float | None
    """In per cent of what is compared by ratios, else in the unit of the metric; None: the run after has no value."""
    is_ratio: bool
    unit: str
    n_before: int
    n_after: int
    verdict: GateVerdict


@dataclass(frozen=True, slots=True)
class Unjudged:
    """One cell that a limit is not held against, because its rate is limited."""

    limit: Limit
    cell: Cell


WRITTEN = re.compile(r"([a-z][a-z0-9_]*)\s*([<>])\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*(\S*)")
POINTS = ("pp", "points", "point")
BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def limit(text: str, metrics: Iterable[Metric]) -> Limit:
    """Read a limit, such as `runtime_s > 5 %` or `saved_percent < -2 pp`.

    Raises:
        ValueError: it is none, or of no such metric, or in another unit than the metric changes in.
    """
    known = {metric.key: metric for metric in metrics}
    found = WRITTEN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no limit; write METRIC > NUMBER UNIT, or <, as in 'runtime_s > 5 %'")
    name, sign, number, unit = found.groups()
    if name not in known:
        raise ValueError(choice_message(name, tuple(known)))
    units = _units(known[name])
    if unit not in units:
        raise ValueError(f"{text!r}: {name} changes in {next(iter(units)) or 'numbers without a unit'}")
    change = float(number) * units[unit]
    if "%" in units and change <= -100:
        raise ValueError(f"{text!r}: nothing changes by -100 % or less; choose more")
    return Limit(name, sign == ">", change, text.strip())


def _units(metric: Metric) -> Mapping[str, float]:
    """Return what a change of a metric is written in, first what is usual."""
    if not is_difference(metric, versus_vanilla=metric.versus_vanilla):
        return {"%": 1}
    if metric.unit == "bytes":
        return {name: BYTES[name] for name in ("MiB", "B", "KiB", "GiB")}
    return dict.fromkeys(POINTS if metric.unit == "%" else (metric.unit,), 1)


def gated(before: Results, after: Results, limits: Iterable[Limit]) -> tuple[Gated, ...]:
    """Hold what changed between two runs against limits; nothing of a metric that no tracer's cell has had before."""
    first, second = sides(before, after)
    pairs = [(own, second.get(key)) for key, own in first.items() if not own.cell.is_vanilla]
    return tuple(found for limit in limits for found in _held(limit, pairs))


def unjudged(before: Results, limits: Iterable[Limit]) -> tuple[Unjudged, ...]:
    """Return the tracers' cells that a limit is not held against."""
    own = [sample for sample in before.measured if not sample.cell.is_vanilla and not _is_judged(sample)]
    return tuple(
        Unjudged(limit, sample.cell) for limit in limits for sample in own if sample.metric.key == limit.metric
    )


def _is_judged(own: Sample) -> bool:
    return own.metric.key != RUNTIME.key or own.cell.workload.rate_iops is None


def _held(limit: Limit, pairs: Iterable[tuple[Sample, Sample | None]]) -> Iterable[Gated]:
    wanted = [own for own in pairs if own[0].metric.key == limit.metric and _is_judged(own[0])]
    scaled = [(first, on_scale(first), on_scale(second) if second else []) for first, second in wanted]
    scaled = [own for own in scaled if own[1]]
    beyond = [_beyond(first, old, new, limit) for first, old, new in scaled]
    fails = holm(beyond)
    passes = holm([None if p is None else 1 - p for p in beyond])
    for (first, old, new), failing, passing in zip(scaled, fails, passes, strict=True):
        verdict = GateVerdict.UNDECIDED
        if failing is not None and failing <= LEVEL:
            verdict = GateVerdict.FAILED
        elif (passing is not None and passing <= LEVEL) or _unchanged(old, new, limit):
            verdict = GateVerdict.PASSED
        change, is_ratio = _change(first, old, new), not by_difference(first)
        yield Gated(limit, first.cell, change, is_ratio, first.metric.unit, len(old), len(new), verdict)


def _change(own: Sample, old: list[float], new: list[float]) -> float | None:
    if not new:
        return None
    mean = welch(old, new).mean
    return mean if by_difference(own) else 100 * math.expm1(mean)


def _beyond(own: Sample, old: list[float], new: list[float], limit: Limit) -> float | None:
    """Return the one-sided p of a change within the limit; None where nothing can be tested, as of few trials."""
    if not new:
        return None
    bound = limit.change if by_difference(own) else _log(limit.change)
    tested = welch(old, [value - bound for value in new])
    if tested.p is None or tested.n < ROUNDS_LEAST:
        return None
    is_beyond = tested.mean > 0 if limit.above else tested.mean < 0
    return tested.p / 2 if is_beyond else 1 - tested.p / 2


def _log(percent: float) -> float:
    """Return the logarithm of a change: one of -100 % or less is never reached."""
    return math.log1p(percent / 100) if percent > -100 else -math.inf


def _unchanged(old: list[float], new: list[float], limit: Limit) -> bool:
    """Tell whether a number is the very same in all trials of both runs, as a share of 100 % is, and may be."""
    allowed = limit.change >= 0 if limit.above else limit.change <= 0
    return allowed and len(set(old + new)) == 1 and min(len(old), len(new)) >= ROUNDS_LEAST
