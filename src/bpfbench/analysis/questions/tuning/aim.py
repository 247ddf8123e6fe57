# SPDX-License-Identifier: Apache-2.0
"""What is wanted of a configuration, and how those that were tried do by it.

Costs are compared with the default configuration's in the same block, on the scale of the need (needs.py); limits are
about a configuration by itself. Intervals are those of the rule of decisions: they hold at every look. A share of 100 %
has others (bounded.py), as many trials that save all have no scatter by which to know how much the next one may lose.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bpfbench.analysis import bounded, metrics
from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.decision import against
from bpfbench.analysis.gaps import BlockId, Gap
from bpfbench.analysis.inference import ALPHA, Interval
from bpfbench.analysis.metrics import Metric
from bpfbench.analysis.questions import needs
from bpfbench.analysis.questions.evidence import Quality
from bpfbench.analysis.questions.needs import Need
from bpfbench.analysis.questions.preference import NEED_OF
from bpfbench.analysis.questions.ring_trials import target_cpus
from bpfbench.model import EVENT_TOOLS, Criteria, Record, Variant, Workload

DEFAULT = "default"
NOTHING = "nothing"
"""Who has 0 in every block: compared with it, a mean is what it is."""

Readings = Mapping[str, Mapping[str, Mapping[BlockId, float]]]
"""By configuration, key of the need and block, in the unit of the need's metric."""

TUNABLE = (Quality.OVERHEAD, Quality.MEMORY, Quality.CPU, Quality.LATENCY, Quality.ENERGY, Quality.STARTUP)
"""What can be minimised. What is saved is a limit."""


def _delay_ms(record: Record) -> float | None:
    config, rate = record.trial.config, metrics.OFFERED.read(record)
    if config is None or config.is_command or not rate or record.trial.tool not in EVENT_TOOLS:
        return None
    return config.delay_ms(rate, target_cpus(record))


DELAY = replace(
    needs.DELAY,
    metric=Metric(
        "delay_by_settings_ms",
        "how long the settings let an event wait at most at the mean rate of events, by arithmetic",
        _delay_ms,
    ),
    variant=Variant.FULL,
)
"""What the settings let events wait. It is no measurement, and so in the trials of every configuration."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What a configuration must keep to."""

    need: Need
    bound: float
    """In the unit of the metric: the least share that is saved, or else the most that is taken."""

    def told(self, value: Interval) -> bool | None:
        """Tell whether a value is within it; None where that cannot be told."""
        if self.need.by_points:
            return True if value.low >= self.bound else False if value.high < self.bound else None
        return True if value.high <= self.bound else False if value.low > self.bound else None

    def keeps(self, value: float) -> bool:
        """Tell whether a single value is within it."""
        return value >= self.bound if self.need.by_points else value <= self.bound

    def miss(self, value: float, criteria: Criteria) -> float:
        """Return by how much a value misses it, in margins; 0 within it."""
        if self.need.by_points:
            return max(0.0, self.bound - value) / self.need.scaled(criteria)
        return max(0.0, math.log(value / self.bound)) / self.need.scaled(criteria) if value > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Aim:
    """What is wanted: the least of some costs, within limits."""

    minimise: tuple[Need, ...]
    """The most wanted first."""
    limits: tuple[Bound, ...]
    criteria: Criteria
    """Up to which differences do not matter."""

    @property
    def needs(self) -> tuple[Need, ...]:
        """All that it looks at, each once."""
        found = {need.key: need for need in (*(limit.need for limit in self.limits), *self.minimise)}
        return tuple(found.values())


def need_of(quality: Quality, work: Workload) -> Need:
    """Return by what a quality is compared beside a target: of one as fast as it can be, overhead is its runtime."""
    if quality is Quality.OVERHEAD and work.rate_iops is None:
        return needs.OVERHEAD
    return replace(NEED_OF[quality], key=quality.value)


def fidelity(bound: float) -> Bound:
    """Return the limit that so many per cent of the events are saved."""
    return Bound(replace(needs.FIDELITY, metric=metrics.SAVED_PERCENT), bound)


@dataclass(frozen=True, slots=True)
class Tried:
    """How a configuration does, as far as it was tried."""

    name: str
    rounds: int
    """Blocks that it shares with the default."""
    miss: float
    """By how much it misses the limits in its worst block, in margins, all together; 0: it kept to them in each. A mean
    over few blocks may keep to a limit by luck."""
    keeps: bool | None
    """Whether it keeps to all limits; None where that cannot be told."""
    ahead: tuple[float, ...]
    """By how much it is ahead of the default in each cost, in margins, in the mean."""
    error: tuple[float, ...]
    """The standard error of that, by how much all vary."""
    range: tuple[Interval, ...]
    """What it may be."""

    def beats(self, other: Tried) -> bool:
        """Tell whether it is as good in every cost and better in one, in the mean."""
        pairs = list(zip(self.ahead, other.ahead, strict=True))
        return all(own >= its for own, its in pairs) and any(own > its for own, its in pairs)

    def surely_beats(self, other: Tried) -> bool:
        """Tell whether it is better in every cost, and in one by more than the margin, whatever is noise."""
        leads = [own.low - its.high for own, its in zip(self.range, other.range, strict=True)]
        return all(lead > 0 for lead in leads) and any(lead > 1 for lead in leads)


def weigh(readings: Readings, aim: Aim) -> dict[str, Tried]:
    """Say how every configuration does that shares a block with the default, and that itself."""
    gaps = [over_default(readings, need, DEFAULT) for need in aim.minimise]
    sds = [_sd(by.values()) for by in gaps]
    margins = [need.scaled(aim.criteria) for need in aim.minimise]
    kept = {limit.need.key: by_itself(readings, limit.need) for limit in aim.limits}
    found = {}
    for name, own in readings.items():
        ahead = [by.get(name) for by in gaps]
        if name != DEFAULT and not all(ahead):
            continue
        told = [limit.told(kept[limit.need.key].get(name, Interval())) for limit in aim.limits]
        found[name] = Tried(
            name,
            min((gap.rounds for gap in ahead if gap), default=_blocks(own, aim)),
            sum(
                max(limit.miss(value, aim.criteria) for value in values.values())
                for limit in aim.limits
                if (values := own.get(limit.need.key))
            ),
            False if False in told else None if None in told else True,
            tuple(gap.mean / margin if gap else 0.0 for gap, margin in zip(ahead, margins, strict=True)),
            tuple(
                sd / margin / math.sqrt(gap.rounds) if gap else 0.0
                for gap, sd, margin in zip(ahead, sds, margins, strict=True)
            ),
            tuple(
                gap.interval.times(1 / margin) if gap else Interval(0.0, 0.0)
                for gap, margin in zip(ahead, margins, strict=True)
            ),
        )
    return found


def _sd(gaps: Iterable[Gap]) -> float:
    """Return how much a difference with the default varies from block to block; 0 where nothing was repeated."""
    known = [(gap.rounds - 1, gap.spread.own) for gap in gaps if gap.rounds > 1]
    freedom = sum(own for own, _ in known)
    return math.sqrt(sum(own * sd**2 for own, sd in known) / freedom) if freedom else 0.0


def _blocks(own: Mapping[str, Mapping[BlockId, float]], aim: Aim) -> int:
    return min((len(own.get(need.key, ())) for need in aim.minimise), default=0)


def over_default(
    readings: Readings, need: Need, base: str, alpha: float = ALPHA, noise: float | None = None
) -> dict[str, Gap]:
    """Say by how much each is ahead of one of them in a need, all at once. Who shares no block with it is left out."""
    values = {name: {None: _scaled(own, need)} for name, own in readings.items()}
    values = {name: own for name, own in values.items() if own[None]}
    gaps = dict(against(values, base, alpha, {None: noise} if noise else None)) if base in values else {}
    return {name: _as_noisy_as_all(gap) for name, gap in gaps.items()} if need.by_points else gaps


def _as_noisy_as_all(gap: Gap) -> Gap:
    """Return a gap in points that varies no less than those of all who took part; where all are alike, any.

    Two that saved all in a few blocks differ by nothing, and so little scatter is luck, not knowledge. Who always loses
    as much, where others lose nothing, is no such case.
    """
    spread = replace(gap.spread, least=max(gap.spread.least, gap.spread.pooled))
    reach = spread.reach(gap.rounds) if gap.mean or max(spread.own, spread.least) > 0 else math.inf
    return replace(gap, interval=Interval(gap.mean - reach, gap.mean + reach), spread=spread)


def by_itself(readings: Readings, need: Need, alpha: float = ALPHA) -> dict[str, Interval]:
    """Say what the mean of each may be, in the unit of the metric, all at once; of fewer than 3 blocks, anything."""
    values = {name: {None: blocks} for name, own in readings.items() if (blocks := _scaled(own, need))}
    if need.by_points:
        known = {name: list(own[None].values()) for name, own in values.items()}
        each = alpha / max(1, len(known))
        return {n: bounded.mean(own if len(own) >= ROUNDS_LEAST else (), 100.0, each) for n, own in known.items()}
    zero = {block: 0.0 for own in values.values() for block in own[None]}
    gaps = against({**values, NOTHING: {None: zero}}, NOTHING, alpha) if values else {}
    return {name: _in_unit(gap.interval) for name, gap in gaps.items()}


def _in_unit(scaled: Interval) -> Interval:
    """Return what a mean of logarithms, more being better, is in the unit of its metric."""
    return Interval(*(math.exp(min(-end, 700.0)) for end in (scaled.high, scaled.low)))


def _scaled(own: Mapping[str, Mapping[BlockId, float]], need: Need) -> dict[BlockId, float]:
    worth = {block: need.worth(value) for block, value in own.get(need.key, {}).items()}
    return {block: value for block, value in worth.items() if value is not None}
