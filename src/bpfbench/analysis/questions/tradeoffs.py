# SPDX-License-Identifier: Apache-2.0
"""Trade-offs: what is traded for what: correlations between the axes, and Pareto fronts.

Axes are what a tracer costs or yields. What it costs the application is its runtime, or at a limited rate, where a
target takes the time that its rate wants, its latency. The front of that and fidelity is that of the means; who is on
it for certain, or may be, is said by the rule of decisions (decision.py), within one case and for both axes at once.
Spearman's rank correlation says whether cells with more of the one have more of the other (C. Spearman, American
Journal of Psychology 15, 1904). Its p is that of the permutation test, its interval the percentile bootstrap over
cells. Setups are few, and cells of one setup are not independent: a correlation over fewer than 10 cells is reported,
and said to be too few to lean on.
"""

from __future__ import annotations

import itertools
import operator
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

from bpfbench.analysis import metrics
from bpfbench.analysis.apart import Told, apart
from bpfbench.analysis.decision import Contenders, Standing, within
from bpfbench.analysis.inference import ALPHA, Interval
from bpfbench.analysis.metrics import Metric
from bpfbench.analysis.questions import needs
from bpfbench.analysis.questions.needs import Need
from bpfbench.analysis.ranks import spearman
from bpfbench.analysis.results import Cell, Results
from bpfbench.analysis.statistics import Analysis, Statistic
from bpfbench.analysis.summary import summarise
from bpfbench.model import COUNTING_TOOLS, Criteria

ENOUGH = 10
"""Cells from which on a correlation is worth leaning on."""
LEAST = 4
"""Cells that a correlation needs: 3 can be ranked in 6 ways only, so that none of them is rare."""


@dataclass(frozen=True, slots=True)
class Axis:
    """What a setup can be good or bad at."""

    key: str
    title: str
    unit: str
    metric: Metric
    higher_is_better: bool = False
    scale: float = 1.0
    """Its unit, in units of the metric."""

    @property
    def over_vanilla(self) -> bool:
        """Whether it is the change against vanilla, in per cent, and not the value itself."""
        return self.metric.versus_vanilla


OVERHEAD = Axis("overhead_percent", "overhead", "% of runtime", metrics.RUNTIME)
LATENCY = Axis("latency_change_percent", "latency", "% more than vanilla", metrics.LATENCY)
FIDELITY = Axis("saved_percent", "fidelity", "% of events", metrics.SAVED_PERCENT, higher_is_better=True)
CPU = Axis("cpu_change_percent", "CPU", "% more than vanilla", metrics.CPU)
MEMORY = Axis("tracer_pss_mib", "memory", "MiB (PSS)", metrics.PSS_PEAK, scale=2**20)
ENERGY = Axis("energy_change_percent", "energy", "% more than vanilla", metrics.ENERGY)

AXES = (OVERHEAD, LATENCY, FIDELITY, CPU, MEMORY, ENERGY)
DECIDED_AS: Mapping[Axis, Need] = {OVERHEAD: needs.OVERHEAD, LATENCY: needs.LATENCY, FIDELITY: needs.FIDELITY}
"""What a front may be of, each with the need by which it is decided."""
COMPARED = tuple(axis.metric for axis in AXES if axis.over_vanilla)


def cost(cell: Cell) -> Axis:
    """Return by what it is told what a tracer costs the application: the one of two axes that says anything there."""
    return OVERHEAD if cell.workload.rate_iops is None else LATENCY


@dataclass(frozen=True, slots=True)
class Coordinate:
    """Where a cell stands on an axis."""

    value: float
    interval: Interval | None
    """Of a change against vanilla, as of all that is compared (apart.py); None where nothing is known, and for values
    themselves."""
    n: int


@dataclass(frozen=True, slots=True)
class Point:
    """A cell on every axis that it has."""

    cell: Cell
    at: Mapping[Axis, Coordinate]


class OnFront(StrEnum):
    """Whether a cell is on the front of cost and fidelity: that nothing is as good in both and better in one."""

    CERTAIN = "certain"
    """Each other is known to be worse in one of them, by more than the margin."""
    MEANS = "by the means alone"
    POSSIBLE = "possible"
    """Not by the means, but nothing is known to beat it."""
    NO = "no"
    """Another is known to be better in one of them by more than the margin, and as good in the other within it."""


@dataclass(frozen=True, slots=True)
class Correlation:
    """Whether cells with more of the one have more of the other."""

    axes: tuple[Axis, Axis]
    n: int
    rho: float | None
    """Spearman's; None where it cannot be had, for the reason given."""
    interval: Interval | None = None
    """95 %, by the percentile bootstrap over cells."""
    p: float | None = None
    """Two-sided, of the permutation test."""
    reason: str | None = None

    @property
    def leans(self) -> bool:
        """Whether there are cells enough to lean on it."""
        return self.n >= ENOUGH


@dataclass(frozen=True, slots=True)
class TradeOff:
    """What is traded for what among the tracers that have one vanilla: one workload under one tool."""

    vanilla: Cell
    points: tuple[Point, ...]
    front: tuple[Point, ...]
    """Those that no other beats in fidelity and cost, the cheapest first."""
    front_of_all: tuple[Point, ...]
    """Those that no other beats in all axes which every point has."""
    axes: tuple[Axis, ...]
    """These axes."""
    correlations: tuple[Correlation, ...]
    contenders: Mapping[Axis, Contenders]
    """In cost and in fidelity, each called by its position in `points`; without the axes that nobody has."""

    @property
    def cost(self) -> Axis:
        """What it costs the application."""
        return cost(self.vanilla)

    def on_front(self, point: Point) -> OnFront:
        """Say whether a point is on the front of cost and fidelity."""
        own = next(str(at) for at, other in enumerate(self.points) if other is point)
        others = [str(at) for at, other in enumerate(self.points) if other is not point]

        def stands(one: str, other: str) -> list[Standing]:
            """How the other stands to the one, axis by axis."""
            return [contenders.between(one, other) for contenders in self.contenders.values()]

        if len(self.contenders) == 2 and others:
            if all(Standing.WORSE in stands(own, other) for other in others):
                return OnFront.CERTAIN
            enough = {Standing.WORSE, Standing.EQUAL}
            if any(Standing.WORSE in (found := stands(other, own)) and enough.issuperset(found) for other in others):
                return OnFront.NO
        return OnFront.MEANS if point in self.front else OnFront.POSSIBLE


@dataclass(frozen=True, slots=True)
class TradeOffs:
    """What is traded for what in a run."""

    each: tuple[TradeOff, ...]
    correlations: tuple[Correlation, ...]
    """Over the cells of all of them."""


def trade_offs(results: Results, analysis: Analysis, criteria: Criteria) -> TradeOffs:
    """Find them in a run."""
    points = placed(results, analysis)
    grouped: defaultdict[Cell, list[Point]] = defaultdict(list)
    for point in points:
        grouped[point.cell.vanilla].append(point)
    each = (
        _trade_off(
            vanilla, own, {axis: _contenders(results, own, axis, criteria) for axis in (cost(vanilla), FIDELITY)}
        )
        for vanilla, own in grouped.items()
    )
    return TradeOffs(tuple(each), correlations(points))


def placed(results: Results, analysis: Analysis) -> tuple[Point, ...]:
    """Place cells on the axes. Only tools that can lose events, and tracers that do all of their work, take part."""
    by_cell: defaultdict[Cell, list[Statistic]] = defaultdict(list)
    for statistic in analysis.statistics:
        cell = statistic.cell
        events = cell.tool not in COUNTING_TOOLS and not cell.is_command
        if events and cell.is_full and not cell.is_vanilla:
            by_cell[cell].append(statistic)
    told = dict(
        chain.from_iterable(apart(own, COMPARED).items() for own in summarise(results).groups if not own.emulated)
    )
    return tuple(Point(cell, _coordinates(found, told)) for cell, found in by_cell.items())


def _contenders(results: Results, points: Sequence[Point], axis: Axis, criteria: Criteria) -> Contenders:
    """Compare points in one axis of the front, each called by its position."""
    need = DECIDED_AS[axis]
    samples = {str(at): results.samples.get((point.cell, need.metric)) for at, point in enumerate(points)}
    values = {name: {None: sample.by_round(need.worth)} for name, sample in samples.items() if sample}
    return within(values, need.scaled(criteria), ALPHA / 2)


def _trade_off(vanilla: Cell, points: Sequence[Point], contenders: Mapping[Axis, Contenders]) -> TradeOff:
    axes = tuple(axis for axis in AXES if all(axis in point.at for point in points))
    of_two, of_all = front(points, (cost(vanilla), FIDELITY)), front(points, axes)
    known = {axis: own for axis, own in contenders.items() if own.order}
    return TradeOff(vanilla, tuple(points), of_two, of_all, axes, correlations(points), known)


def front(points: Sequence[Point], axes: Sequence[Axis]) -> tuple[Point, ...]:
    """Return the points that no other beats: is at least as good on every axis, and better on one.

    Points alike on all axes do not beat each other. A point that lacks an axis takes no part. They are in the order of
    the first axis, best first.
    """
    complete = [point for point in points if all(axis in point.at for axis in axes)]
    gains = {id(point): tuple(_gain(point, axis) for axis in axes) for point in complete}

    def beaten(point: Point) -> bool:
        own = gains[id(point)]
        return any(other != own and all(map(operator.ge, other, own)) for other in gains.values())

    return tuple(sorted((p for p in complete if not beaten(p)), key=lambda point: gains[id(point)], reverse=True))


def correlations(points: Sequence[Point]) -> tuple[Correlation, ...]:
    """Correlate each two axes over the points that have both; no point has both costs."""
    pairs = (pair for pair in itertools.combinations(AXES, 2) if pair != (OVERHEAD, LATENCY))
    return tuple(_correlation(pair, points) for pair in pairs)


def _coordinates(statistics: Sequence[Statistic], told: Told) -> dict[Axis, Coordinate]:
    by_metric, own_cost = {own.metric: own for own in statistics}, cost(statistics[0].cell)
    axes = [axis for axis in AXES if axis not in (OVERHEAD, LATENCY) or axis is own_cost]
    found = {axis: _coordinate(axis, by_metric.get(axis.metric.key), told) for axis in axes}
    return {axis: coordinate for axis, coordinate in found.items() if coordinate is not None}


def _coordinate(axis: Axis, statistic: Statistic | None, told: Told) -> Coordinate | None:
    if statistic is None:
        return None
    if not axis.over_vanilla:
        return Coordinate(statistic.spread.mean / axis.scale, None, statistic.spread.n)
    paired = statistic.paired
    if paired is None:
        return None
    known = told.get((statistic.cell, axis.metric))
    return Coordinate(100 * (paired.ratio - 1), known.interval if known else None, paired.n)


def _gain(point: Point, axis: Axis) -> float:
    value = point.at[axis].value
    return value if axis.higher_is_better else -value


def _correlation(axes: tuple[Axis, Axis], points: Sequence[Point]) -> Correlation:
    one, other = axes
    both = [point for point in points if one in point.at and other in point.at]
    if len(both) < LEAST:
        return Correlation(axes, len(both), None, reason=f"it takes {LEAST} cells that have both")
    xs, ys = ([point.at[axis].value for point in both] for axis in axes)
    if min(xs) == max(xs) or min(ys) == max(ys):
        return Correlation(axes, len(both), None, reason="all cells have the same value on one of them")
    return Correlation(axes, len(both), *spearman(xs, ys))
