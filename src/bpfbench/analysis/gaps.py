# SPDX-License-Identifier: Apache-2.0
"""Gaps: by how much contenders are ahead of each other in the mean over cases, and how sure that is.

Two are compared in each round (one block of each case), by the mean of their differences over the cases that they
share, in the rounds in which they share them all. How much that varies is known from the pair, and from all who took
part in the same rounds. One contender is compared with all others at once: a crossed study has hundreds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bpfbench.analysis import anytime
from bpfbench.analysis.inference import NEGLIGIBLE, Interval, Matrix

BlockId = tuple[int, Hashable]
"""The round it is of, and what tells it from others: values are compared within a block."""

C = TypeVar("C", bound=Hashable)
"""A case."""

Values = Mapping[str, Mapping[C, Mapping[BlockId, float]]]
"""By contender, case and block, on a scale on which differences count, more being better."""

Noise = Mapping[C, float]
"""By case: the SD of the difference of two trials that should not differ. Of cases in which it is known."""

Truths = NDArray[np.bool_]


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
        """Return how far the interval of a mean over so many rounds reaches out on either side."""
        own = max(self.own, self.least)
        return float(_reach(np.array(own), np.array(self.pooled), self.members, self.alpha, rounds))


def _reach(own: Matrix, pooled: Matrix, members: int, alpha: float, rounds: int) -> Matrix:
    """Return how far intervals reach out.

    Each is the narrower of two, each at half of alpha. The one rests on the pair alone, and needs many rounds to know
    its SD; the other on all, and takes the larger of that and the pair's own: who is noisy gains nothing.
    """
    alone = anytime.reach(rounds, rounds - 1, alpha / 2, anytime.PRIOR_OWN)
    together = anytime.reach(rounds, (rounds - 1) * (members - 1), alpha / 2, anytime.PRIOR_POOLED)
    with np.errstate(invalid="ignore"):  # nothing, infinitely often
        found = np.minimum(own * alone, np.maximum(own, pooled) * together)
    return np.where(own > 0, found, 0.0 if rounds >= anytime.ROUNDS_LEAST else math.inf)


@dataclass(frozen=True, slots=True)
class Gap:
    """By how much a contender is ahead of another, on the scale of the values."""

    rounds: int
    """In which both have a value in all cases that they share."""
    mean: float
    interval: Interval
    spread: Spread

    def rounds_needed(self, margin: float, mean: float | None = None) -> int | None:
        """Return with how many rounds it would be told, were SDs as they are, and the mean, unless it is given.

        None: with more than anybody runs.
        """
        room, few, enough = (
            abs(abs(self.mean if mean is None else mean) - margin),
            self.rounds,
            self.rounds + anytime.PLANNED_MOST,
        )
        if self.spread.reach(enough) > room:
            return None
        while enough - few > 1:
            middle = (few + enough) // 2
            few, enough = (few, middle) if self.spread.reach(middle) <= room else (middle, enough)
        return enough

    def reversed(self) -> Gap:
        """Return the same, from the other's side."""
        return Gap(self.rounds, -self.mean, Interval(-self.interval.high, -self.interval.low), self.spread)


@dataclass(frozen=True, eq=False)
class Ahead:
    """By how much one contender is ahead of each, by position, as Gap and Spread have it; without rounds, of nobody."""

    alpha: float
    rounds: NDArray[np.int64]
    members: NDArray[np.int64]
    means: Matrix
    reaches: Matrix
    """How far intervals reach out on either side."""
    own: Matrix
    pooled: Matrix
    least: Matrix

    @classmethod
    def of_nobody(cls, contenders: int, alpha: float) -> Ahead:
        """Return one to be filled in."""
        return cls(alpha, *np.zeros((2, contenders), dtype=np.int64), *np.zeros((5, contenders)))

    def gap(self, other: int) -> Gap | None:
        """Return one of them."""
        if not self.rounds[other]:
            return None
        mean, reach = float(self.means[other]), float(self.reaches[other])
        own, pooled, least = (float(values[other]) for values in (self.own, self.pooled, self.least))
        spread = Spread(own, pooled, int(self.members[other]), least, self.alpha)
        return Gap(int(self.rounds[other]), mean, Interval(mean - reach, mean + reach), spread)


@dataclass(frozen=True, eq=False)
class ValueTable:
    """The values of contenders as an array."""

    contenders: tuple[str, ...]
    values: Matrix
    """A row per contender, a column per block, those of one round and case beside each other; not a number where there
    is no value."""
    begins: NDArray[np.int64]
    """The first column of each round of a case."""
    cases: NDArray[np.int64]
    """Of each of these the case,"""
    rounds: NDArray[np.int64]
    """and the round, both counted from 0."""
    noise: Matrix
    """Of each case; 0 where it is not known."""

    @classmethod
    def of(cls, values: Values[C], cases: Sequence[C], noise: Noise[C] | None = None) -> ValueTable:
        """Lay out values, as far as they are of these cases."""
        columns = [
            (at, block)
            for at, case in enumerate(cases)
            for block in sorted({block: 0 for own in values.values() for block in own.get(case, ())}, key=_round)
        ]
        table = [[own.get(cases[at], {}).get(block, math.nan) for at, block in columns] for own in values.values()]
        numbers = {number: at for at, number in enumerate(sorted({_round(block) for _, block in columns}))}
        slots = [(at, numbers[_round(block)]) for at, block in columns]
        begins = [column for column, slot in enumerate(slots) if not column or slot != slots[column - 1]]
        return cls(
            tuple(values),
            np.array(table, dtype=np.float64).reshape(len(values), len(columns)),
            np.array(begins, dtype=np.int64),
            np.array([slots[column][0] for column in begins], dtype=np.int64),
            np.array([slots[column][1] for column in begins], dtype=np.int64),
            np.array([(noise or {}).get(case, 0.0) for case in cases]),
        )

    @property
    def is_one_round(self) -> bool:
        """Whether all values are of one round."""
        return not self.rounds.any()

    def means(self) -> Matrix:
        """By how much the row's is ahead of the column's in a single round; not a number where they share no case."""
        found = np.full((len(self.contenders), len(self.contenders)), math.nan)
        for one in range(len(self.contenders) if len(self.begins) else 0):
            differences = self._differences(one)[:, :, 0]
            known = ~np.isnan(differences)
            known[one] = False
            with np.errstate(invalid="ignore"):  # no case: not a number
                found[one] = np.where(known, differences, 0.0).sum(axis=1) / known.sum(axis=1)
        return found

    def ahead(self, one: int, alpha: float) -> Ahead:
        """Say by how much one is ahead of each; `alpha` is that of each interval."""
        found = Ahead.of_nobody(len(self.contenders), alpha)
        differences = self._differences(one)
        known: Truths = np.asarray(~np.isnan(differences))
        known[one] = False
        shared: Truths = np.asarray(known.any(axis=2))
        complete = (known | ~shared[:, :, None]).all(axis=1)
        whole: Truths = np.logical_and(complete, shared.any(axis=1, keepdims=True))
        for kind in _alike(np.concatenate((shared, whole), axis=1)):
            cases, rounds = shared[kind[0]], whole[kind[0]]
            if rounds.any():
                took_part = known[:, cases][:, :, rounds].all(axis=(1, 2))
                which = np.isin(np.flatnonzero(took_part), kind)
                means, own, pooled = _spread(differences[np.ix_(took_part, cases, rounds)].mean(axis=1))
                at, n, members = np.flatnonzero(took_part)[which], int(rounds.sum()), len(which) + 1
                least = math.hypot(*self.noise[cases]) / int(cases.sum())
                found.rounds[at], found.members[at], found.least[at] = n, members, least
                found.means[at], found.own[at], found.pooled[at] = means[which], own[which], pooled[which]
                found.reaches[at] = _reach(np.maximum(own[which], least), pooled[which], members, alpha, n)
        return found

    def _differences(self, one: int) -> Matrix:
        """By how much one is ahead of each: by contender, case and round, the mean over blocks."""
        found = np.full((len(self.contenders), len(self.noise), int(self.rounds.max(initial=-1)) + 1), math.nan)
        if len(self.begins):
            by_block = self.values[one] - self.values
            known = ~np.isnan(by_block)
            sums = np.add.reduceat(np.where(known, by_block, 0.0), self.begins, axis=1)
            with np.errstate(invalid="ignore"):  # no block: not a number
                found[:, self.cases, self.rounds] = sums / np.add.reduceat(known, self.begins, axis=1, dtype=np.int64)
        return found


def _alike(rows: Truths) -> list[list[int]]:
    """Return the positions of rows that are alike."""
    found: defaultdict[bytes, list[int]] = defaultdict(list)
    for at, row in enumerate(np.packbits(rows, axis=1)):
        found[row.tobytes()].append(at)
    return list(found.values())


def _round(block: BlockId) -> int:
    return block[0]


def _spread(ahead: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    """Return, of each row, mean and SD over rounds, and the SD that all rows say; infinite of one round.

    The latter is that of the contender that all are compared with, or of the row's: by the mean variance of its
    differences with everybody.
    """
    others, n = ahead.shape
    means = ahead.mean(axis=1)
    if n < 2:
        return means, np.full(others, math.inf), np.full(others, math.inf)
    left = ahead - means[:, None]
    variances = (left**2).sum(axis=1) / (n - 1)
    with_one = variances.sum()
    with_row = (others + 1) * variances + with_one - 2 * (left @ left.sum(axis=0)) / (n - 1)
    own = np.sqrt(variances)
    own[own <= NEGLIGIBLE * np.maximum(1.0, abs(means))] = 0.0
    return means, own, np.sqrt(np.maximum(with_row, with_one) / others)
