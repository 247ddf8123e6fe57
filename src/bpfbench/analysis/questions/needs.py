# SPDX-License-Identifier: Apache-2.0
"""Which setup for which need: the best by a metric, and everything that the data cannot tell from it.

A need is contested once per workload, tool and attach flavour. The contender with the best mean leads; each other is
compared with it, pair by pair within blocks, as setups are with vanilla (statistics.py), with Holm's correction over
the contest. What comes out without a significant difference shares first place: with few repetitions that is almost
everybody, and then that is the answer. So it is where noise swamps a contest: where vanilla against vanilla of the same
block comes to as much as the best and the worst contender differ by.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bpfbench.analysis import metrics
from bpfbench.analysis.inference import ALPHA, Noise, holm, noise, paired_p
from bpfbench.analysis.metrics import Metric
from bpfbench.analysis.results import Cell, Pairing, Results
from bpfbench.analysis.statistics import Analysis, Statistic
from bpfbench.model import Tool


@dataclass(frozen=True, slots=True)
class Need:
    """What somebody may want most of a tracer."""

    key: str
    title: str
    metric: Metric
    lower_is_better: bool = True
    tools: tuple[Tool, ...] = tuple(Tool)
    limited: bool | None = None
    """Of targets with a limited rate only, or of those without one; None: of all."""

    def concerns(self, cell: Cell) -> bool:
        """Tell whether a tracer has a part in its contests."""
        if cell.is_vanilla or not cell.is_full or cell.tool not in self.tools:
            return False
        return self.limited is None or self.limited == (cell.workload.rate_iops is not None)


NEEDS = (
    Need("overhead", "Lowest overhead", metrics.RUNTIME, limited=False),
    Need("latency", "Lowest latency at a limited rate", metrics.LATENCY, limited=True),
    Need(
        "fidelity",
        "Highest fidelity",
        metrics.SAVED_PERCENT,
        lower_is_better=False,
        tools=(Tool.RW_TRACER, Tool.RW_TRACER_ALL),
    ),
    Need("cpu", "Least CPU", metrics.CPU),
    Need("memory", "Least memory", metrics.PSS_PEAK),
    Need("power", "Least power", metrics.POWER),
)
"""Memory is the tracer's own: what the whole machine has in use also holds everything else that runs on it. At a
limited rate a target takes the time that its rate wants, whatever the tracer costs, as long as it can keep to it."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One setup in one configuration."""

    statistic: Statistic
    pairs: int
    """Blocks that it shares with the leader."""
    tied: bool
    """It leads, or cannot be told from the one that does."""

    @property
    def cell(self) -> Cell:
        """Who it is."""
        return self.statistic.cell


@dataclass(frozen=True, slots=True)
class Swamped:
    """Why a contest has no verdict."""

    noise: float
    """The ratio that vanilla against vanilla comes to over as many blocks, in 95 % of all studies at most."""
    effect: float
    """The largest ratio of a contender to the leader, or of the leader to it."""


@dataclass(frozen=True, slots=True)
class Contest:
    """One need under one workload, tool and attach flavour."""

    need: Need
    contenders: tuple[Contender, ...]
    """Best mean first."""
    swamped: Swamped | None = None
    """None where noise does not swamp it, or is unknown: no block has two vanillas, or vanilla lacks the metric."""

    @property
    def leader(self) -> Contender:
        """The one with the best mean."""
        return self.contenders[0]

    @property
    def first(self) -> tuple[Contender, ...]:
        """All that share first place."""
        return tuple(contender for contender in self.contenders if contender.tied)

    @property
    def undecided(self) -> bool:
        """True where nobody can be told from anybody that leads."""
        return len(self.contenders) > 1 and all(contender.tied for contender in self.contenders)


def contests(results: Results, analysis: Analysis) -> tuple[Contest, ...]:
    """Hold every contest that a run has the numbers for, in the order of NEEDS, workloads and tools."""
    return tuple(contest for need in NEEDS for contest in _contests(need, results, analysis))


def _contests(need: Need, results: Results, analysis: Analysis) -> Iterable[Contest]:
    noises = _noises(need.metric, results)
    fields: defaultdict[tuple[object, ...], list[Statistic]] = defaultdict(list)
    for statistic in analysis.find(need.metric.key):
        if need.concerns(statistic.cell):
            fields[statistic.cell.vanilla, statistic.cell.attach].append(statistic)
    return [_contest(need, field, results, noises.get(_under(field[0].cell))) for field in fields.values()]


def _contest(need: Need, field: Sequence[Statistic], results: Results, noise: Noise | None) -> Contest:
    ranked = sorted(field, key=lambda s: s.spread.mean if need.lower_is_better else -s.spread.mean)
    leader, others = ranked[0], ranked[1:]
    best, *rest = (results.samples[own.cell, need.metric] for own in ranked)
    ratios = [list(own.over(best).values()) for own in rest]
    corrected = holm([paired_p(own) for own in ratios])
    swamped = _swamped(ratios, noise)
    found = [Contender(leader, leader.spread.n, tied=True)]
    for other, own, p in zip(others, ratios, corrected, strict=True):
        apart = p is not None and p <= ALPHA
        found.append(Contender(other, len(own), tied=swamped is not None or not apart))
    return Contest(need, tuple(found), swamped)


def _swamped(ratios: Sequence[Sequence[float]], noise: Noise | None) -> Swamped | None:
    told = [own for own in ratios if own]
    if noise is None or not told:
        return None
    effect, blocks = max((abs(statistics.fmean(own)), len(own)) for own in told)
    reach = noise.reach(blocks)
    return Swamped(math.exp(reach), math.exp(effect)) if reach >= effect else None


def _under(cell: Cell) -> Cell:
    """The vanilla of a cell, whatever the tool it ran beside, which does nothing to it."""
    return dataclasses.replace(cell.vanilla, tool=Tool.SYSCOUNT)


def _noises(metric: Metric, results: Results) -> dict[Cell, Noise]:
    """What vanilla against vanilla comes to, on logarithms."""
    blocks: defaultdict[Cell, defaultdict[Pairing, list[float]]] = defaultdict(lambda: defaultdict(list))
    for own in results.measured:
        if own.metric is metric and own.cell.is_vanilla:
            for pair, values in own.by_block(logs=True).items():
                blocks[_under(own.cell)][pair] += values
    found = {cell: noise(own.values()) for cell, own in blocks.items()}
    return {cell: own for cell, own in found.items() if own is not None}


@dataclass(frozen=True, slots=True)
class Choice:
    """What all contests of a need come to."""

    need: Need
    contests: tuple[Contest, ...]
    firsts: Mapping[str, int]
    """By setup: in how many contests it shares first place. In falling order."""

    @property
    def undecided(self) -> bool:
        """True where no contest tells anybody apart."""
        return all(contest.undecided for contest in self.contests)

    @property
    def winners(self) -> tuple[str, ...]:
        """The setups that share first place most often."""
        most = max(self.firsts.values(), default=0)
        return tuple(setup for setup, count in self.firsts.items() if count == most)

    @property
    def everywhere(self) -> bool:
        """Whether those share first place in every contest."""
        return max(self.firsts.values(), default=0) == len(self.contests)


def choices(found: Sequence[Contest]) -> tuple[Choice, ...]:
    """Sum contests up by need."""
    by_need = {need: tuple(contest for contest in found if contest.need is need) for need in NEEDS}
    return tuple(_choice(need, own) for need, own in by_need.items() if own)


def _choice(need: Need, own: tuple[Contest, ...]) -> Choice:
    firsts: Counter[str] = Counter()
    for contest in own:
        firsts.update(dict.fromkeys((contender.cell.setup for contender in contest.contenders), 0))
        firsts.update({contender.cell.setup for contender in contest.first})
    return Choice(need, own, dict(firsts.most_common()))
