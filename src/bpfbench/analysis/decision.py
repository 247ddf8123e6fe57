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
from collections import defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np

from bpfbench.analysis import anytime
from bpfbench.analysis.inference import ALPHA, NEGLIGIBLE, Interval

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


BlockId = tuple[int, Hashable]
"""The round it is of, and what tells it from others: values are compared within a block."""

C = TypeVar("C", bound=Hashable)
"""A case."""

Values = Mapping[str, Mapping[C, Mapping[BlockId, float]]]
"""By contender, case and block, on a scale on which differences count, more being better."""


@dataclass(frozen=True, slots=True)
class Gap:
    """By how much a contender is ahead of another, on the scale of the values."""

    rounds: int
    """In which both have a value in all cases that they share."""
    mean: float
    interval: Interval
    spread: Spread

    def standing(self, margin: float) -> Standing:
        """Say how the other stands to this one, were it the leader."""
        if self.interval.low > margin:
            return Standing.WORSE
        if -margin <= self.interval.low and self.interval.high <= margin:
            return Standing.EQUAL
        return Standing.OPEN

    def rounds_needed(self, margin: float) -> int | None:
        """Return with how many rounds it would be told, were mean and SDs as they are; None: more than anybody runs."""
        room, few, enough = abs(abs(self.mean) - margin), self.rounds, self.rounds + anytime.PLANNED_MOST
        if self.spread.reach(enough) > room:
            return None
        while enough - few > 1:
            middle = (few + enough) // 2
            few, enough = (few, middle) if self.spread.reach(middle) <= room else (middle, enough)
        return enough

    def reversed(self) -> Gap:
        """Return the same, from the other's side."""
        return Gap(self.rounds, -self.mean, Interval(-self.interval.high, -self.interval.low), self.spread)


@dataclass(frozen=True, slots=True)
class Spread:
    """What is known of how much a difference varies from round to round."""

    own: float
    """SD of the differences themselves."""
    pooled: float
    """The same from all who took part in the same rounds, as in a randomised block design: of either of the two, how
    much it differs from all others in the mean; the larger."""
    members: int
    """How many those are."""
    least: float
    """What two that are the same thing differ by, as far as that is known: a few rounds can be alike by luck."""
    alpha: float
    """How likely the mean may ever be outside of the interval."""

    def reach(self, rounds: int) -> float:
        """Return how far the interval of a mean over so many rounds reaches out on either side.

        It is the narrower of two, each at half of alpha. The one rests on the pair alone, and needs many rounds to know
        its SD; the other on all, and takes the larger of that and the pair's own: who is noisy gains nothing.
        """
        own = max(self.own, self.least)
        if own == 0:
            return 0.0 if rounds >= anytime.ROUNDS_LEAST else math.inf
        alone = own * anytime.reach(rounds, rounds - 1, self.alpha / 2, anytime.PRIOR_OWN)
        freedom = (rounds - 1) * (self.members - 1)
        together = anytime.reach(rounds, freedom, self.alpha / 2, anytime.PRIOR_POOLED)
        return min(alone, max(own, self.pooled) * together)


@dataclass(frozen=True)
class Contenders:
    """Contenders against each other, over one or several cases."""

    order: tuple[str, ...]
    """Best mean first."""
    gaps: Mapping[tuple[str, str], Gap]
    """Both ways round. Two that share no round have none."""
    margin: float

    def among(self, names: Collection[str]) -> Contenders:
        """Return the same of some of them. What holds of all at once holds of these."""
        return _ranked(
            [own for own in self.order if own in names],
            {pair: gap for pair, gap in self.gaps.items() if set(pair) <= set(names)},
            self.margin,
        )

    def standing(self, contender: str) -> Standing:
        """Say how a contender stands to the leader. Who is ruled out by anybody is worse."""
        if contender == self.order[0]:
            return Standing.LEADER
        return Standing.WORSE if contender in self.ruled_out else self.between(self.order[0], contender)

    def between(self, one: str, other: str) -> Standing:
        """Say how the other stands to the one, were that the leader."""
        gap = self.gaps.get((one, other))
        return Standing.OPEN if gap is None else gap.standing(self.margin)

    @cached_property
    def ruled_out(self) -> frozenset[str]:
        """Those that somebody is better than, by more than the margin."""
        return frozenset(worse for (_, worse), gap in self.gaps.items() if gap.standing(self.margin) is Standing.WORSE)

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


Noise = Mapping[C, float]
"""By case: the SD of the difference of two trials that should not differ. Of cases in which it is known."""


def decide(values: Values[C], margin: float, noise: Noise[C] | None = None) -> Decision[C]:
    """Decide who is the best.

    Args:
        values: of one contender at least.
        margin: up to which differences do not matter, on the same scale.
        noise: what is known of the machine's.
    """
    noise = noise or {}
    cases = tuple(dict.fromkeys(case for own in values.values() for case in own))
    contested = tuple(case for case in cases if not _tied(values, case)) or cases
    whole = _contenders(values, contested, margin, noise, ALPHA - ALPHA_CASES)
    alone = {case: _contenders(values, (case,), margin, noise, ALPHA_CASES / len(contested)) for case in cases}
    return Decision(whole, alone, contested)


def within(values: Values[C], margin: float = 0.0, alpha: float = ALPHA) -> Contenders:
    """Compare each two by the mean over the cases that both have, all pairs at once."""
    return _contenders(values, tuple(dict.fromkeys(case for own in values.values() for case in own)), margin, {}, alpha)


def against(values: Values[C], base: str, alpha: float = ALPHA, noise: Noise[C] | None = None) -> Mapping[str, Gap]:
    """Say of each by how much it is ahead of one of them, all at once; who shares no round with that is left out."""
    ahead = {own: _ahead(values[base], theirs) for own, theirs in values.items() if own != base}
    found = {own: _gap(ahead, own, noise or {}, alpha / len(ahead)) for own in ahead}
    return {own: gap.reversed() for own, gap in found.items() if gap is not None}


def _tied(values: Values[C], case: C) -> bool:
    """Tell whether all have the same value in all rounds."""
    return len({value for own in values.values() for value in own.get(case, {}).values()}) < 2


def _contenders(values: Values[C], cases: Sequence[C], margin: float, noise: Noise[C], alpha: float) -> Contenders:
    shown = {own: {case: by_case[case] for case in cases if by_case.get(case)} for own, by_case in values.items()}
    part = [own for own, by_case in shown.items() if by_case]
    pairs = max(1, math.comb(len(part), 2))
    gaps: dict[tuple[str, str], Gap] = {}
    for number, one in enumerate(part):
        ahead = {own: _ahead(shown[one], shown[own]) for own in part if own != one}
        for other in part[number + 1 :]:
            if (found := _gap(ahead, other, noise, alpha / pairs)) is not None:
                gaps[one, other], gaps[other, one] = found, found.reversed()
    return _ranked(part, gaps, margin)


def _ranked(part: Sequence[str], gaps: Mapping[tuple[str, str], Gap], margin: float) -> Contenders:
    """Put them in order, by how far each is ahead of its strongest rival."""

    def lead(own: str) -> float:
        return min((gaps[own, other].mean for other in part if (own, other) in gaps), default=-math.inf)

    return Contenders(tuple(sorted(part, key=lead, reverse=True)), gaps, margin)


Ahead = Mapping[C, Mapping[int, float]]
"""By how much one is ahead of another: by case and round."""


def _ahead(one: Mapping[C, Mapping[BlockId, float]], other: Mapping[C, Mapping[BlockId, float]]) -> Ahead[C]:
    found: dict[C, dict[int, float]] = {}
    for case in (own for own in one if own in other):  # not as sets have them: sums depend on the order
        rounds: defaultdict[int, list[float]] = defaultdict(list)
        for block in (own for own in one[case] if own in other[case]):
            rounds[block[0]].append(one[case][block] - other[case][block])
        if rounds:
            found[case] = {number: sum(own) / len(own) for number, own in rounds.items()}
    return found


def _gap(ahead: Mapping[str, Ahead[C]], other: str, noise: Noise[C], alpha: float) -> Gap | None:
    """Compare one with another, by how far it is ahead of each."""
    cases = list(ahead[other])
    rounds = sorted(set.intersection(*map(set, ahead[other].values()))) if cases else []
    if not rounds:
        return None
    layout = [
        [sum(own[case][number] for case in cases) / len(cases) for number in rounds]
        for own in (ahead[other], *(own for name, own in ahead.items() if name != other))
        if all(case in own and own[case].keys() >= set(rounds) for case in cases)
    ]
    means, n, members = layout[0], len(rounds), len(layout) + 1
    pooled = math.inf
    if n > 1:
        # Of each of the two: the mean variance of its differences with all others.
        covariance = np.cov([[0.0] * n, *layout])
        variances = covariance.diagonal()
        differences = variances[:2, None] + variances - 2 * covariance[:2]
        pooled = math.sqrt(float(differences.sum(axis=1).max()) / (members - 1))
    mean = sum(means) / n
    own_sd = math.sqrt(sum((value - mean) ** 2 for value in means) / (n - 1)) if n > 1 else math.inf
    negligible = NEGLIGIBLE * max(1.0, abs(mean))
    least = math.hypot(*(noise.get(case, 0.0) for case in cases)) / len(cases)
    spread = Spread(own_sd if own_sd > negligible else 0.0, pooled, members, least, alpha)
    half = spread.reach(n)
    return Gap(n, mean, Interval(mean - half, mean + half), spread)
