# SPDX-License-Identifier: Apache-2.0
"""The decision: which of several contenders is the best, which are equal to it, or that it cannot be told yet.

The one rule of every answer. Two contenders are compared in each round (one block of each case), by the mean of their
differences over the cases; the cases are what was asked about, not a sample of others, so each has the same weight, and
how they differ is no noise. Rounds are the repetitions. A case in which all have the same value in all rounds is no
contest and is left out, as ties are in the sign test (Dixon and Mood 1946).

Around each mean difference lies an interval that holds at every look (anytime.py), for all pairs at once (Bonferroni).
With a margin, it says one of four things of a pair, as in seqbench (Leite, Ospina and Ferraz 2026): the one is better
by more than the margin, the other is, they are equal within the margin, or more rounds are needed.

The contender with the best mean leads. The decision is made when each other is either worse or equal. Where a case is
known to turn a pair round, it depends on the case (a qualitative interaction: Gail and Simon, Biometrics 41, 1985):
the mean over cases would hide what matters.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Generic

import numpy as np

from bpfbench.analysis.gaps import C, Gap, Noise, Truths, Values, ValueTable
from bpfbench.analysis.inference import ALPHA, Matrix

ALPHA_CASES = 0.2 * ALPHA
"""What is spent on the cases by themselves; the rest, on the mean over them."""


class Standing(StrEnum):
    """How a contender stands to the leader."""

    LEADER = "leader"
    EQUAL = "equal"
    """Within the margin."""
    WORSE = "worse"
    """By more than the margin."""
    OPEN = "open"
    """Not told yet."""


class Outcome(StrEnum):
    """What a decision comes to."""

    BEST = "best"
    """One is better than all others, by more than the margin."""
    EQUAL = "equal"
    """Several are equal to the leader within the margin, and each other is worse than one of them by more than it."""
    DEPENDS = "depends"
    """On the case: the one with the best mean is beaten in one of them, by more than the margin."""
    UNDECIDED = "undecided"
    ALONE = "alone"
    """There is one contender."""


@dataclass(frozen=True, eq=False)
class Contenders:
    """Contenders against each other, over one or several cases."""

    order: tuple[str, ...]
    """Best mean first."""
    margin: float
    layout: ValueTable
    """Of these, and of all who are compared beside them."""
    alpha: float
    """Of each pair's interval."""
    ahead: Matrix
    """By how much the row's is ahead of the column's, both in the order of the layout; not a number where unknown."""
    worse: Truths
    """Whether the column's is worse than the row's, by more than the margin."""
    equal: Truths
    """Whether they are equal within it."""

    @cached_property
    def gaps(self) -> Mapping[tuple[str, str], Gap]:
        """Both ways round. Two that share no round have none."""
        found: dict[tuple[str, str], Gap] = {}
        for one, at in self._places.items():
            ahead = self.layout.ahead(at, self.alpha)
            for other, place in self._places.items():
                if place > at and (gap := ahead.gap(place)) is not None:
                    found[one, other], found[other, one] = gap, gap.reversed()
        return found

    def among(self, names: Collection[str]) -> Contenders:
        """Return the same of some of them. What holds of all at once holds of these."""
        return replace(self, order=_ranked([own for own in self.order if own in names], self.layout, self.ahead))

    def standing(self, contender: str) -> Standing:
        """Say how a contender stands to the leader. Who is ruled out by anybody is worse."""
        if contender == self.order[0]:
            return Standing.LEADER
        return Standing.WORSE if contender in self.ruled_out else self.between(self.order[0], contender)

    def between(self, one: str, other: str) -> Standing:
        """Say how the other stands to the one, were that the leader."""
        if one not in self._places or other not in self._places:
            return Standing.OPEN
        pair = self._places[one], self._places[other]
        return Standing.WORSE if self.worse[pair] else Standing.EQUAL if self.equal[pair] else Standing.OPEN

    @cached_property
    def _places(self) -> Mapping[str, int]:
        return {own: at for at, own in enumerate(self.layout.contenders) if own in self.order}

    @cached_property
    def ruled_out(self) -> frozenset[str]:
        """Those that somebody is better than, by more than the margin."""
        places = list(self._places.values())
        out: Truths = np.asarray(self.worse[np.ix_(places, places)].any(axis=0))
        return frozenset(own for own, is_out in zip(self._places, out, strict=True) if is_out)

    def of(self, *standings: Standing) -> tuple[str, ...]:
        """Return the contenders that stand so, best mean first."""
        return tuple(own for own in self.order if self.standing(own) in standings)


@dataclass(frozen=True)
class Decision(Generic[C]):
    """What the rounds so far say."""

    whole: Contenders
    """By the means over cases."""
    cases: Mapping[C, Contenders]
    """Each by itself."""
    contested: tuple[C, ...]
    """The cases that are not the same for all, which the means are over."""

    def among(self, names: Collection[str]) -> Decision[C]:
        """Return what the same rounds say of some of the contenders."""
        return Decision(
            self.whole.among(names), {case: by.among(names) for case, by in self.cases.items()}, self.contested
        )

    @property
    def leader(self) -> str:
        """Who has the best mean."""
        return self.whole.order[0]

    @cached_property
    def turned(self) -> Mapping[C, tuple[str, ...]]:
        """By case: those that are known to be better there than the leader, which is known to be better elsewhere."""

        def better(one: str, other: str, by: Contenders) -> bool:
            return by.between(one, other) is Standing.WORSE

        beaten = [
            own
            for own in self.whole.order[1:]
            if any(better(self.leader, own, by) for by in (self.whole, *self.cases.values()))
        ]
        found = {case: tuple(own for own in beaten if better(own, self.leader, by)) for case, by in self.cases.items()}
        return {case: own for case, own in found.items() if own}

    @cached_property
    def outcome(self) -> Outcome:
        """What it comes to."""
        if len(self.whole.order) == 1:
            return Outcome.ALONE
        if self.turned:
            return Outcome.DEPENDS
        if any(self.whole.standing(own) is Standing.OPEN for own in self.whole.order):
            return Outcome.UNDECIDED
        return Outcome.EQUAL if len(self.named) > 1 else Outcome.BEST

    @cached_property
    def named(self) -> tuple[str, ...]:
        """Who is the best, or equal to it; empty as long as that is open, or depends on the case."""
        if self.turned or self.whole.of(Standing.OPEN):
            return ()
        return self.whole.of(Standing.LEADER, Standing.EQUAL)

    @cached_property
    def possible(self) -> tuple[str, ...]:
        """Who may still be the best: all that nobody is known to be better than, by more than the margin."""
        return tuple(own for own in self.whole.order if own not in self.whole.ruled_out)

    @property
    def rounds(self) -> int:
        """How many there are of those who are still open, or of all that were compared."""
        open_ = self.whole.of(Standing.OPEN) or self.whole.order[1:]
        gaps = (self.whole.gaps.get((self.leader, own)) for own in open_)
        return min((gap.rounds if gap else 0 for gap in gaps), default=0)

    @property
    def rounds_needed(self) -> int | None:
        """Return how many it takes until nothing is open, as far as can be told; None: more than anybody runs."""
        gaps = [self.whole.gaps.get((self.leader, own)) for own in self.whole.of(Standing.OPEN)]
        found = [gap.rounds_needed(self.whole.margin) if gap else None for gap in gaps]
        known = [own for own in found if own is not None]
        return max(known) if known and len(known) == len(found) else None

    @property
    def hardest(self) -> str | None:
        """Who is the hardest to tell from the leader; None where nobody is open that shares a round with it."""

        def more(own: str) -> float:
            needed = self.whole.gaps[self.leader, own].rounds_needed(self.whole.margin)
            return math.inf if needed is None else needed

        return max(
            (own for own in self.whole.of(Standing.OPEN) if (self.leader, own) in self.whole.gaps),
            key=more,
            default=None,
        )


def decide(values: Values[C], margin: float, noise: Noise[C] | None = None) -> Decision[C]:
    """Decide who is the best.

    Args:
        values: of one contender at least.
        margin: up to which differences do not matter, on the same scale.
        noise: what is known of the machine's.
    """
    noise = noise or {}
    cases = _cases(values)
    contested = tuple(case for case in cases if not _tied(values, case)) or cases
    whole = _contenders(values, contested, margin, noise, ALPHA - ALPHA_CASES)
    alone = {case: _contenders(values, (case,), margin, noise, ALPHA_CASES / len(contested)) for case in cases}
    return Decision(whole, alone, contested)


def within(values: Values[C], margin: float = 0.0, alpha: float = ALPHA) -> Contenders:
    """Compare each two by the mean over the cases that both have, all pairs at once."""
    return _contenders(values, _cases(values), margin, {}, alpha)


def against(values: Values[C], base: str, alpha: float = ALPHA, noise: Noise[C] | None = None) -> Mapping[str, Gap]:
    """Say of each by how much it is ahead of one of them, all at once; who shares no round with that is left out."""
    layout = ValueTable.of(values, _cases(values), noise)
    ahead = layout.ahead(layout.contenders.index(base), alpha / max(1, len(values) - 1))
    found = {own: ahead.gap(at) for at, own in enumerate(layout.contenders)}
    return {own: gap.reversed() for own, gap in found.items() if gap is not None}


def standing(gap: Gap, margin: float) -> Standing:
    """Say how the other stands to the one that the gap is ahead of it, were that the leader."""
    if gap.interval.low > margin:
        return Standing.WORSE
    return Standing.EQUAL if gap.interval.within(-margin, margin) else Standing.OPEN


def _cases(values: Values[C]) -> tuple[C, ...]:
    return tuple(dict.fromkeys(case for own in values.values() for case in own))


def _tied(values: Values[C], case: C) -> bool:
    """Tell whether all have the same value in all rounds."""
    return len({value for own in values.values() for value in own.get(case, {}).values()}) < 2


def _contenders(values: Values[C], cases: Sequence[C], margin: float, noise: Noise[C], alpha: float) -> Contenders:
    part = {own: by_case for own, by_case in values.items() if any(by_case.get(case) for case in cases)}
    layout, alpha = ValueTable.of(part, cases, noise), alpha / max(1, math.comb(len(part), 2))
    worse, equal = np.zeros((2, len(part), len(part)), dtype=bool)
    if layout.is_one_round:  # which tells nothing but means
        means = layout.means()
        return Contenders(_ranked(tuple(part), layout, means), margin, layout, alpha, means, worse, equal)
    means = np.full((len(part), len(part)), math.nan)
    for one in range(len(part) - 1):
        ahead = layout.ahead(one, alpha)
        others = one + 1 + np.flatnonzero(ahead.rounds[one + 1 :])
        low, high = ahead.means[others] - ahead.reaches[others], ahead.means[others] + ahead.reaches[others]
        means[one, others], means[others, one] = ahead.means[others], -ahead.means[others]
        worse[one, others], worse[others, one] = low > margin, -high > margin
        equal[one, others] = equal[others, one] = (-margin <= low) & (high <= margin)
    return Contenders(_ranked(tuple(part), layout, means), margin, layout, alpha, means, worse, equal)


def _ranked(part: Sequence[str], layout: ValueTable, means: Matrix) -> tuple[str, ...]:
    """Put them in order, by how far each is ahead of its strongest rival; those compared with nobody last."""
    places = [layout.contenders.index(own) for own in part]
    among = means[np.ix_(places, places)]
    lead = np.where(np.isnan(among), math.inf, among).min(axis=1, initial=math.inf)
    by_name = dict(zip(part, np.where(np.isposinf(lead), -math.inf, lead).tolist(), strict=True))
    return tuple(sorted(part, key=by_name.__getitem__, reverse=True))
