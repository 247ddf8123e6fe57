# SPDX-License-Identifier: Apache-2.0
"""The knee of a knob: the smallest of its values with which a cost is within the margin of the best.

A knob that is turned up, such as the watermark of wake-ups, gains less and less, and what it takes grows: memory, or
the time that events wait. So the smallest value that is as good as any is looked for, cost by cost, with all else
alike; and of the delay of delivery, which is the price, the largest. It is known as far as the rule of decisions tells
(decision.py), whose intervals hold at every look and for all values at once; of the shape of the curve nothing is taken
for granted.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bpfbench.analysis import metrics
from bpfbench.analysis.decision import Contenders, decide
from bpfbench.analysis.questions import needs
from bpfbench.analysis.questions.needs import Need
from bpfbench.analysis.results import Cell, Results, Sample
from bpfbench.factors import KNOBS
from bpfbench.model import Criteria, Epoll, Variant, Waking

KERNEL = Need(
    "kernel",
    "Shortest BPF programs",
    metrics.BPF_TIME,
    lambda c: c.cpu_margin_percent,
    variant=Variant.RUN_TIME,
)
TRACER = Need("tracer", "Least CPU of the tracer", metrics.TRACER_CPU, lambda c: c.cpu_margin_percent)
COSTS = (needs.FIDELITY, KERNEL, needs.OVERHEAD, needs.LATENCY, needs.CPU, TRACER, needs.DELAY)
"""What is looked at, as far as a run has it."""
PRICE = needs.DELAY
"""What grows as a knob is turned up, so that the largest value is looked for."""

WAKEUP = "wakeup"
ENDS: Mapping[str, float] = {Waking.ADAPTIVE: 0.0, Waking.NEVER: math.inf}
"""Wake-ups that are as watermarks below and above all others."""
EPOLL = "epoll"
ORDERED = (WAKEUP, *(name for name, row in KNOBS.items() if row.knob is not None and row.knob.ordered), EPOLL)
"""Knobs that can be turned up."""


@dataclass(frozen=True, slots=True)
class Knee:
    """Where the smallest value lies with which a cost is within the margin of the best; of the price, the largest."""

    first: str
    """It is none before this: each of them is known to be worse than another by more than the margin."""
    enough: str | None
    """It is none beyond this, which is known to be worse than no other by more than the margin. None: of none is that
    known, as yet."""


@dataclass(frozen=True)
class Curve:
    """What becomes of a cost as a knob is turned up."""

    need: Need
    margin: float
    """Up to which differences do not matter, in per cent, or in points."""
    means: Mapping[str, float]
    """By value, in the unit of the metric; the smallest value first."""
    contenders: Contenders
    """The values against each other."""
    knee: Knee

    @property
    def best(self) -> str:
        """The value with the best mean. Where values share few rounds, another may be ahead in those."""
        return (max if self.need.by_points else min)(self.means, key=self.means.__getitem__)

    @property
    def from_above(self) -> bool:
        """Whether its knee is that of the largest value."""
        return self.need is PRICE

    @property
    def no_smaller_than(self) -> str | None:
        """The knee is no smaller; None: that is not known, as yet."""
        return self.knee.enough if self.from_above else self.knee.first

    @property
    def no_larger_than(self) -> str | None:
        """The knee is no larger; None: that is not known, as yet."""
        return self.knee.first if self.from_above else self.knee.enough


@dataclass(frozen=True)
class Turned:
    """A knob of one setup that was turned, with all else alike."""

    knob: str
    cell: Cell
    """With the knob where it is by default."""
    values: Mapping[str, Any]
    """By how they are called; the smallest first."""
    curves: tuple[Curve, ...]
    waits_ms: Mapping[str, float]
    """By value: how long an event waits at most before its consumer is woken; of those of which that is known."""


def knee(contenders: Contenders, order: Sequence[str]) -> Knee:
    """Find the first value that is within the margin of the best.

    Args:
        contenders: the values against each other.
        order: the same, as they are asked for: the smallest first, or the largest.
    """
    first = next((own for own in order if own not in contenders.ruled_out), order[0])
    enough = (own for own in order if all(_never_worse(contenders, own, other) for other in order if other != own))
    return Knee(first, next(enough, None))


def _never_worse(contenders: Contenders, own: str, other: str) -> bool:
    gap = contenders.gaps.get((other, own))
    return gap is not None and gap.interval.high <= contenders.margin


def knees(results: Results, criteria: Criteria) -> tuple[Turned, ...]:
    """Find the knees of every knob that was turned in a run. An emulated machine has none."""
    turned: defaultdict[tuple[str, Cell], defaultdict[Any, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for cell in results.cells:
        config = cell.config
        if config is None or config.is_command or cell.emulated:
            continue
        for knob in ORDERED:
            row = KNOBS[knob]
            value = getattr(config, row.field)
            if turned_up(knob, value) is not None:
                alike = replace(config, variant=Variant.FULL, **{row.field: row.usual})
                turned[knob, replace(cell, config=alike)][value].append(cell)
    return tuple(_turned(results, *which, own, criteria) for which, own in turned.items() if len(own) > 1)


def turned_up(knob: str, value: Any) -> float | None:
    """Return how far a knob is turned up; None of a value that is in no order with others.

    Wake-ups are in the order of what the ring holds when they come: anything, so many bytes, however much. Edges are on
    or off.
    """
    if value is None:
        return None
    if knob == EPOLL:
        return float(value == Epoll.EDGE)
    if knob != WAKEUP:
        return float(value)
    kind, _, count = str(value).partition(":")
    return float(count) if kind == Waking.WATERMARK else ENDS.get(kind)


def _turned(
    results: Results, knob: str, cell: Cell, by_value: Mapping[Any, Sequence[Cell]], criteria: Criteria
) -> Turned:
    values = {str(value): value for value in sorted(by_value, key=lambda value: turned_up(knob, value) or 0.0)}
    cells = {name: by_value[value] for name, value in values.items()}
    curves = (_curve(results, need, cells, criteria) for need in COSTS)
    waits = {name: _waits_ms(results, own) for name, own in cells.items()} if knob == WAKEUP else {}
    return Turned(
        knob,
        cell,
        values,
        tuple(curve for curve in curves if curve is not None),
        {name: own for name, own in waits.items() if own is not None},
    )


def _waits_ms(results: Results, cells: Sequence[Cell]) -> float | None:
    for cell in cells:
        offered = results.samples.get((cell, metrics.OFFERED))
        if cell.is_full and cell.config is not None and offered is not None:
            return cell.config.waits_ms(offered.spread.mean)
    return None


def _sample(results: Results, need: Need, cells: Sequence[Cell]) -> Sample | None:
    """Return what a knob's value has of a cost: of the trials that say something of it."""
    found = (results.samples.get((cell, need.metric)) for cell in cells if need.concerns(cell))
    return next((own for own in found if own is not None), None)


def _curve(results: Results, need: Need, cells: Mapping[str, Sequence[Cell]], criteria: Criteria) -> Curve | None:
    """Compare values in a cost; None where fewer than two have it."""
    known = {name: found for name, own in cells.items() if (found := _sample(results, need, own)) is not None}
    blocks = {name: {None: own.by_round(need.worth)} for name, own in known.items()}
    blocks = {name: own for name, own in blocks.items() if own[None]}
    if len(blocks) < 2:
        return None
    base = next((own.base for own in known.values() if own.base is not None), None)
    itself = need.noise(base) if base is not None else None
    contenders = decide(blocks, need.scaled(criteria), None if itself is None else {None: itself}).whole
    means = {name: known[name].spread.mean for name in blocks}
    order = tuple(reversed(means)) if need is PRICE else tuple(means)
    return Curve(need, need.margin(criteria), means, contenders, knee(contenders, order))
