# SPDX-License-Identifier: Apache-2.0
"""Validation: what fresh blocks of the best, the default and a few others say, of which nothing had been chosen by.

Everybody is in the first blocks, so that all are paired; as long as it is open who keeps to the limits, later ones are
of those alone whom that is about. Intervals hold at every look, so that validation ends when all is
decided, and all at once: of what may go wrong, two fifths are for limits, two for how far who may be chosen is ahead of
the default, and the last is for what else is told. Nothing that is told here is of the search's blocks: the machine may
have been another by then.

That a limit is kept to is known of few trials only where it is far away: a dozen that saved all cannot rule out that
one of ten loses a lot. So there is a fact besides: that it was kept to in each fresh trial.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from statistics import fmean

from bpfbench.analysis import bounded
from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.decision import Standing, standing
from bpfbench.analysis.gaps import BlockId, Gap
from bpfbench.analysis.inference import ALPHA, Interval
from bpfbench.analysis.questions.needs import Need
from bpfbench.analysis.questions.tuning.aim import DEFAULT, Aim, Bound, Readings, by_itself, over_default
from bpfbench.analysis.questions.tuning.search import Knobs, LastRound
from bpfbench.model import VANILLA

ALL_FIRST = 4
"""Blocks that everybody is in."""
ENOUGH_KEPT = 12
"""Trials without a miss after which limits count as looked at: more would tell more, but ever less of it."""
LIMITS = AGAINST_DEFAULT = 0.4 * ALPHA
"""Of what may go wrong, for limits, and for how far who may be chosen is ahead of the default."""


class Keeping(StrEnum):
    """How a configuration stands to the limits, by fresh trials."""

    KNOWN = "known"
    """Its means are known to be within all."""
    IN_EACH = "in-each-trial"
    """That is not known, but each trial was. It is a fact about these trials, and no more."""
    OPEN = "open"
    MISSED = "missed"
    """The mean is known to be beyond one of them."""

    @property
    def holds(self) -> bool:
        """Whether nothing was seen that speaks against it."""
        return self in (Keeping.KNOWN, Keeping.IN_EACH)


class Gain(StrEnum):
    """What a search came to."""

    KEEPS = "keeps-to-limits"
    """It kept to limits that the default is known to miss, and in the same blocks is known to be better in these."""
    BETTER = "better"
    """It is better in something, and known to be worse in nothing, limits included unless both kept to them."""
    TRADE = "trade"
    """The same, but it is worse in something else."""
    NONE = "no-gain"


@dataclass(frozen=True)
class Validation:
    """What fresh blocks say."""

    aim: Aim
    last: LastRound
    shared: Mapping[str, int]
    """By configuration: in how many blocks there is all of it and of the default that is wanted."""
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
    trials: Mapping[str, int]
    """By configuration: fresh blocks that have of it all that limits are about."""
    within: Mapping[str, int]
    """Of these, those in which it kept to all limits."""
    only: Mapping[str, tuple[int, int]]
    """By configuration that may be chosen: blocks in which it kept to all limits and the default did not, and those in
    which the default alone did."""
    failed: Mapping[str, int]
    """By configuration: fresh trials that did not end well, of those that had any."""

    @cached_property
    def rounds(self) -> int:
        """In how many blocks there is something of the default and of the chosen."""
        return self.shared.get(self.chosen, 0)

    def kept(self, name: str) -> Keeping:
        """Tell how a configuration stands to all limits. Who failed in a trial did not keep to them in each."""
        if self.trials.get(name, 0) < ROUNDS_LEAST:
            return Keeping.OPEN
        told = [self._told_of(limit, name) for limit in self.aim.limits]
        if False in told:
            return Keeping.MISSED
        if self.failed.get(name):
            return Keeping.OPEN
        if None not in told:
            return Keeping.KNOWN
        return Keeping.IN_EACH if self.within[name] == self.trials[name] else Keeping.OPEN

    def _told_of(self, limit: Bound, name: str) -> bool | None:
        return limit.told(self.levels[limit.need.key].get(name, Interval()))

    def missing_at_most(self, name: str) -> float:
        """Return which part of its trials may miss a limit, where none did so far.

        With an error of 5 % for all who may be chosen, as the one that happened to do well is.
        """
        return bounded.missing_at_most(self.trials.get(name, 0), ALPHA / len(self.rivals))

    @property
    def rivals(self) -> tuple[str, ...]:
        """The default, and those that may be chosen."""
        return tuple(dict.fromkeys((DEFAULT, self.last.best, *self.last.nearest)))

    def _is_settled(self, name: str) -> bool:
        """Tell whether further blocks are not needed for how it stands to the limits."""
        if self.kept(name) is Keeping.IN_EACH:
            return self.trials[name] >= ENOUGH_KEPT
        if self.kept(name) is Keeping.OPEN:  # who failed once can only be told to miss them, where it does by far
            return bool(self.failed.get(name)) and self.trials.get(name, 0) >= ENOUGH_KEPT
        return True

    def told(self, need: Need) -> bool | None:
        """Tell whether the chosen is better than the default in a need: it is, it is worse, or that is not known."""
        gap = self.over_default[need.key].get(self.chosen)
        if gap is None or gap.rounds < ROUNDS_LEAST or self.chosen == DEFAULT:
            return None
        return True if gap.interval.low > 0 else False if gap.interval.high < 0 else None

    def turned(self, need: Need) -> dict[Knobs, Gap]:
        """Return, by knob, what turning it does for a need, from the best with it set back, where that is known.

        The knob that gains most comes first; one that is known to make it worse, last.
        """
        back = {knobs: self.over_best[need.key].get(name) for knobs, name in self.last.backs.items()}
        gaps = {knobs: gap.reversed() for knobs, gap in back.items() if gap is not None and gap.rounds >= ROUNDS_LEAST}
        told = {knobs: gap for knobs, gap in gaps.items() if gap.interval.low > 0 or gap.interval.high < 0}
        return dict(sorted(told.items(), key=lambda own: own[1].mean, reverse=True))

    @cached_property
    def chosen(self) -> str:
        """The best of the search; another of its front where that kept to the limits, and the best did not.

        The default where the best is known to miss a limit that the default kept to.
        """
        if not self.kept(self.last.best).holds:
            for name in self.last.nearest:
                if self.kept(name).holds:
                    return name
        if self.kept(self.last.best) is Keeping.MISSED and self.kept(DEFAULT).holds:
            return DEFAULT
        return self.last.best

    @cached_property
    def gain(self) -> Gain:
        """What it comes to."""
        if self.chosen == DEFAULT or self.rounds < ROUNDS_LEAST or self.failed.get(self.chosen):
            return Gain.NONE
        own, usual = self.kept(self.chosen), self.kept(DEFAULT)
        if own.holds and usual is Keeping.MISSED and self.is_ahead_in_limits:
            return Gain.KEEPS
        if (usual.holds and not own.holds) or (own is Keeping.MISSED and usual is not Keeping.MISSED):
            return Gain.NONE
        both = own.holds and usual.holds
        told = [self.told(need) for need in (self.aim.minimise if both else self.aim.needs)]
        if True not in told:
            return Gain.NONE
        return Gain.TRADE if False in told else Gain.BETTER

    @property
    def is_ahead_in_limits(self) -> bool:
        """Whether blocks tell, in pairs, that the chosen is better than the default in the limits that this misses.

        It is ahead in the mean of each, or keeps to all more often: where trials differ a lot, that is told sooner.
        """
        missed = [limit.need for limit in self.aim.limits if self._told_of(limit, DEFAULT) is False]
        each = AGAINST_DEFAULT / (len(self.aim.needs) + 1) / max(1, len(self.rivals) - 1)
        return all(map(self.told, missed)) or bounded.mostly(*self.only.get(self.chosen, (0, 0)), each)

    @property
    def _are_limits_settled(self) -> bool:
        own, usual = self.kept(self.chosen), self.kept(DEFAULT)
        is_open = own.holds and usual is Keeping.MISSED and not self.is_ahead_in_limits
        return not is_open and all(map(self._is_settled, (DEFAULT, self.chosen)))

    @property
    def members(self) -> tuple[str, ...]:
        """Who comes into the next block."""
        if self.rounds < ALL_FIRST or self._are_limits_settled:
            return self.last.names
        return tuple(dict.fromkeys((DEFAULT, self.last.best, self.chosen)))

    @property
    def is_decided(self) -> bool:
        """Tell whether further blocks would change nothing: of limits, and of the chosen against all but who is back.

        What is asked of costs is whether they differ by more than the margin. Who failed has no gain, whatever follows.
        """
        if self.failed.get(self.chosen):
            return self.trials.get(DEFAULT, 0) >= ROUNDS_LEAST  # by then another would have been chosen
        if self.rounds < ROUNDS_LEAST:
            return False
        if not self._are_limits_settled:
            return False
        rivals = [name for name in self.rivals if name != self.last.best]
        sound = [name for name in rivals if name == DEFAULT or self.kept(name).holds]
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
    failed: Mapping[str, int] | None = None,
) -> Validation:
    """Say what fresh blocks come to.

    Args:
        readings: of these blocks alone, with vanilla's where there are any.
        last: who is in them.
        aim: what is wanted.
        needs: what is told of them, the aim's among them; nothing: the aim's.
        noise: by key of the need, the SD of the difference of two vanilla trials of a block, where it is known.
        failed: trials of these blocks that did not end well, by configuration.
    """
    needs, noise = needs or aim.needs, noise or {}
    own = {name: readings[name] for name in last.names if name in readings}
    rivals = {name: of for name, of in own.items() if name in (DEFAULT, last.best, *last.nearest)}
    beside = {**rivals, **({VANILLA: readings[VANILLA]} if VANILLA in readings else {})}
    limits, aims = {limit.need.key for limit in aim.limits}, {need.key for need in aim.needs}
    aside = (ALPHA - LIMITS - AGAINST_DEFAULT) / (4 * len(needs))
    claimed = AGAINST_DEFAULT * len(aims) / (len(aims) + 1)  # the rest is for keeping to limits more often

    def over(of: Readings, base: str, alpha: float, keys: Collection[str] = ()) -> dict[str, dict[str, Gap]]:
        shares = {need.key: alpha / len(keys) if need.key in keys else aside for need in needs}
        return {need.key: over_default(of, need, base, shares[need.key], noise.get(need.key)) for need in needs}

    levels = {
        need.key: by_itself(rivals, need, LIMITS / len(limits) if need.key in limits else aside) for need in needs
    }
    means = {
        need.key: {name: fmean(by[need.key].values()) for name, by in own.items() if by.get(need.key)} for need in needs
    }
    bases = over(rivals, DEFAULT, claimed, aims), over(own, last.best, aside), over(beside, VANILLA, aside)
    keys, usual = [need.key for need in aim.needs], own.get(DEFAULT, {})
    shared = {name: len(_shared([usual, of], keys)) for name, of in own.items()}
    trials = {name: _shared([of], sorted(limits)) for name, of in own.items()}
    within = {
        name: {at for at in blocks if all(limit.keeps(own[name][limit.need.key][at]) for limit in aim.limits)}
        for name, blocks in trials.items()
    }
    counts = {name: len(blocks) for name, blocks in trials.items()}, {name: len(own) for name, own in within.items()}
    only = {name: _only(name, trials, within) for name in rivals if name != DEFAULT and DEFAULT in own}
    return Validation(aim, last, shared, means, levels, *bases, *counts, only, dict(failed or {}))


def _only(
    name: str, trials: Mapping[str, Collection[BlockId]], within: Mapping[str, Collection[BlockId]]
) -> tuple[int, int]:
    """Count the blocks in which one alone, and in which the default alone, kept to all limits."""
    both = set(trials[name]) & set(trials[DEFAULT])
    return len(both & set(within[name]) - set(within[DEFAULT])), len(both & set(within[DEFAULT]) - set(within[name]))


def _shared(readings: Sequence[Mapping[str, Mapping[BlockId, float]]], keys: Sequence[str]) -> set[BlockId]:
    """Return the blocks in which there is something of all of them."""
    blocks = [set(own.get(key, ())) for own in readings for key in keys]
    return set.intersection(*blocks) if blocks else set()
