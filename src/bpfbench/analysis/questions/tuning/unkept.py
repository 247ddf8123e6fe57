# SPDX-License-Identifier: Apache-2.0
"""Limits that nothing kept to: how near to each anything came, and by which configuration.

It is told of what was measured, and of nothing else: what a value of a knob that was not tried would come to, nobody
knows. So no search is refused or ended early for a limit that looks out of reach.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from bpfbench.analysis.gaps import BlockId
from bpfbench.analysis.inference import Interval
from bpfbench.analysis.questions.tuning.aim import Bound, Readings


@dataclass(frozen=True, slots=True)
class Unkept:
    """How near anything came to a limit."""

    limit: Bound
    name: str
    """The configuration: who kept to it in each block, if anybody did; of several, the one with the best mean."""
    mean: float
    level: Interval
    """What the mean may be."""
    trials: int
    within: int
    """Those in which it kept to this limit."""
    is_missed: bool
    """Whether all that were looked at are known to miss it."""

    @property
    def kept(self) -> bool:
        """Whether it was kept to in each trial: then it is all limits together that nothing kept to."""
        return self.within == self.trials


def unkept(
    readings: Readings, levels: Mapping[str, Mapping[str, Interval]], limits: Sequence[Bound]
) -> tuple[Unkept, ...]:
    """Say how near anything came to each limit; nothing where somebody kept to all of them in each block.

    Args:
        readings: of those that are looked at.
        levels: by key of the need and configuration, what its mean may be, all at once.
        limits: which.
    """
    if any(_kept(own, limits) for own in readings.values()):
        return ()
    found = (_unkept(readings, levels.get(limit.need.key, {}), limit) for limit in limits)
    return tuple(own for own in found if own is not None)


def _kept(own: Mapping[str, Mapping[BlockId, float]], limits: Sequence[Bound]) -> bool:
    values = [(limit, value) for limit in limits for value in own.get(limit.need.key, {}).values()]
    return bool(values) and all(limit.keeps(value) for limit, value in values)


def _unkept(readings: Readings, levels: Mapping[str, Interval], limit: Bound) -> Unkept | None:
    trials = {name: list(own[limit.need.key].values()) for name, own in readings.items() if own.get(limit.need.key)}
    if not trials:
        return None
    within = {name: sum(map(limit.keeps, values)) for name, values in trials.items()}
    means = {name: fmean(values) for name, values in trials.items()}
    sign = 1 if limit.need.by_points else -1
    best = max(trials, key=lambda name: (within[name] == len(trials[name]), sign * means[name]))
    missed = all(limit.told(levels.get(name, Interval())) is False for name in trials)
    return Unkept(
        limit, best, means[best], levels.get(best, Interval()), len(trials[best]), within[best], is_missed=missed
    )
