# SPDX-License-Identifier: Apache-2.0
"""Validation: what fresh blocks of the best, the default and a few others say, of which nothing had been chosen by.

Everybody is in the first blocks, so that all are paired; as long as it is open who keeps to the limits, later ones are
of those alone whom that is about. Intervals hold at every look, so that validation ends when all is
decided, and all at once: of what may go wrong, two fifths are for limits, two for how far who may be chosen is ahead of
the default, and the last is for what else is told. The default was not chosen by anything: whether it keeps to the
limits is told by all of its blocks, those of the search as well.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from statistics import fmean

from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.decision import Standing, standing
from bpfbench.analysis.gaps import BlockId, Gap
from bpfbench.analysis.inference import ALPHA, Interval
from bpfbench.analysis.questions.needs import Need
from bpfbench.analysis.questions.tuning.aim import DEFAULT, Aim, Readings, by_itself, over_default
from bpfbench.analysis.questions.tuning.search import LastRound
from bpfbench.model import VANILLA

ALL_FIRST = 4
"""Blocks that everybody is in."""


class Gain(StrEnum):
    """What a search came to."""

    KEEPS = "keeps-to-limits"
    """It keeps to limits that the default misses."""
    BETTER = "better"
    """Both keep to them, or nobody is known to, and it is better in something, and known to be worse in nothing."""
    TRADE = "trade"
    """The same, but it is worse in something else."""
    NONE = "no-gain"


@dataclass(frozen=True)
class Validation:
    """What fresh blocks say."""

    aim: Aim
    last: LastRound
    rounds: int
    """In which there is something of the default and of the best."""
    means: Mapping[str, Mapping[str, float]]
    """By key of the need and configuration, in the unit of the metric."""
    levels: Mapping[str, Mapping[str, Interval]]
    """The same: what the mean may be."""
    over_default: Mapping[str, Mapping[str, Gap]]
    """By key of the need and configuration: how far it is ahead of the default."""
    over_best: Mapping[str, Mapping[str, Gap]]
    """The same of the best, the negative of what is lost with another."""
    over_vanilla: Mapping[str, Mapping[str, Gap]]
    """The same of vanilla, in needs that it has."""

    def keeps(self, name: str) -> bool | None:
        """Tell whether a configuration keeps to all limits; None where that cannot be told."""
        told = [
            limit.told(self.levels[limit.need.key].get(name, Interval())) if self.rounds >= ROUNDS_LEAST else None
            for limit in self.aim.limits
        ]
        return False if False in told else None if None in told else True

    def told(self, need: Need) -> bool | None:
        """Tell whether the chosen is better than the default in a need: it is, it is worse, or that is not known."""
        gap = self.over_default[need.key].get(self.chosen)
        if gap is None or gap.rounds < ROUNDS_LEAST or self.chosen == DEFAULT:
            return None
        return True if gap.interval.low > 0 else False if gap.interval.high < 0 else None

    def turned(self, need: Need) -> dict[str, Gap]:
        """Return, by knob, what turning it does for a need, from the best with it set back, where that is known.

        The knob that gains most comes first; one that is known to make it worse, last.
        """
        back = {knob: self.over_best[need.key].get(name) for knob, name in self.last.backs.items()}
        gaps = {knob: gap.reversed() for knob, gap in back.items() if gap is not None and gap.rounds >= ROUNDS_LEAST}
        told = {knob: gap for knob, gap in gaps.items() if gap.interval.low > 0 or gap.interval.high < 0}
        return dict(sorted(told.items(), key=lambda own: own[1].mean, reverse=True))

    @cached_property
    def chosen(self) -> str:
        """The best of the search; another of its front where that keeps to the limits for sure, and the best does not.

        The default where the best is known to miss a limit that the default keeps to.
        """
        if self.keeps(self.last.best) is not True:
            for name in self.last.nearest:
                if self.keeps(name):
                    return name
        if self.keeps(self.last.best) is False and self.keeps(DEFAULT):
            return DEFAULT
        return self.last.best

    @cached_property
    def gain(self) -> Gain:
        """What it comes to."""
        if self.chosen == DEFAULT:
            return Gain.NONE
        if self.keeps(self.chosen) and self.keeps(DEFAULT) is False:
            return Gain.KEEPS
        looked_at = self.aim.minimise if self.keeps(self.chosen) else self.aim.needs
        told = [self.told(need) for need in looked_at]
        if True not in told or (self.keeps(self.chosen) is False and self.keeps(DEFAULT) is not False):
            return Gain.NONE
        return Gain.TRADE if False in told else Gain.BETTER

    @property
    def members(self) -> tuple[str, ...]:
        """Who comes into the next block."""
        told = [self.keeps(name) for name in (DEFAULT, self.chosen)]
        if self.rounds < ALL_FIRST or None not in told:
            return self.last.names
        return tuple(dict.fromkeys((DEFAULT, self.last.best, self.chosen)))

    @property
    def is_decided(self) -> bool:
        """Tell whether further blocks would change nothing: of limits, and of the chosen against all but who is back.

        What is asked of costs is whether they differ by more than the margin.
        """
        if self.rounds < ROUNDS_LEAST:
            return False
        rivals = [DEFAULT, self.last.best, *self.last.nearest]
        if any(self.keeps(name) is None for name in (DEFAULT, self.chosen)):
            return False
        sound = [name for name in rivals if name != self.last.best and (name == DEFAULT or self.keeps(name))]
        gaps = [(self.over_best[need.key].get(name), need) for need in self.aim.minimise for name in sound]
        gaps += [(self.over_default[need.key].get(self.chosen), need) for need in self.aim.minimise]
        return all(gap is not None and _is_told(gap, need.scaled(self.aim.criteria)) for gap, need in gaps)


def _is_told(gap: Gap, margin: float) -> bool:
    return any(standing(own, margin) is not Standing.OPEN for own in (gap, gap.reversed()))


def validate(
    readings: Readings,
    last: LastRound,
    aim: Aim,
    needs: Sequence[Need] = (),
    noise: Mapping[str, float] | None = None,
    before: Readings | None = None,
) -> Validation:
    """Say what fresh blocks come to.

    Args:
        readings: of these blocks alone, with vanilla's where there are any.
        last: who is in them.
        aim: what is wanted.
        needs: what is told of them, the aim's among them; nothing: the aim's.
        noise: by key of the need, the SD of the difference of two vanilla trials of a block, where it is known.
        before: of the search.
    """
    needs, noise = needs or aim.needs, noise or {}
    own = {name: readings[name] for name in last.names if name in readings}
    rivals = {name: of for name, of in own.items() if name in (DEFAULT, last.best, *last.nearest)}
    beside = {**rivals, **({VANILLA: readings[VANILLA]} if VANILLA in readings else {})}
    limits, aims = {limit.need.key for limit in aim.limits}, {need.key for need in aim.needs}
    claimed, aside = 0.4 * ALPHA, 0.2 * ALPHA / (4 * len(needs))

    def over(of: Readings, base: str, alpha: float, keys: Collection[str] = ()) -> dict[str, dict[str, Gap]]:
        shares = {need.key: alpha / len(keys) if need.key in keys else aside for need in needs}
        return {need.key: over_default(of, need, base, shares[need.key], noise.get(need.key)) for need in needs}

    usual = {
        key: {**blocks, **own.get(DEFAULT, {}).get(key, {})} for key, blocks in (before or {}).get(DEFAULT, {}).items()
    }
    alone = {**rivals, **({DEFAULT: usual} if usual else {})}
    levels = {
        need.key: by_itself(alone, need, claimed / len(limits) if need.key in limits else aside) for need in needs
    }
    means = {
        need.key: {n: fmean(by[need.key].values()) for n, by in {**own, **alone}.items() if by.get(need.key)}
        for need in needs
    }
    bases = over(rivals, DEFAULT, claimed, aims), over(own, last.best, aside), over(beside, VANILLA, aside)
    claimed_of = [own[name] for name in (DEFAULT, last.best) if name in own]
    rounds = _rounds(claimed_of, aim.needs) if len(own) == len(last.names) else 0
    return Validation(aim, last, rounds, means, levels, *bases)


def _rounds(readings: Sequence[Mapping[str, Mapping[BlockId, float]]], needs: Sequence[Need]) -> int:
    """Return in how many blocks there is something of all of them."""
    blocks = [set(own.get(need.key, ())) for own in readings for need in needs]
    return len(set.intersection(*blocks)) if blocks else 0
