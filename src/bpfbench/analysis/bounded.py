# SPDX-License-Identifier: Apache-2.0
"""Intervals for the mean of what lies between two bounds, as a share does, that hold at every look.

They take nothing for granted but the bounds, and that each trial has the same mean whatever came before: a share near
100 % is nothing like normal, and trials that all saved everything say nothing of how much others may lose. They invert
tests by betting (I. Waudby-Smith and A. Ramdas, arXiv:2010.09686): who bets a part c of what they have on each trial
that the mean exceeds m multiplies that by 1 - c + c y / m, which in the mean is no gain where the mean is m or less.
That the stakes ever become 1 / alpha times as many has a probability of alpha at most (Ville), however the study is
stopped. They are split among several c, as it is not known which pays most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bpfbench.analysis.inference import Interval

BETS = np.arange(1, 11) / 10
"""Parts that are bet, with a tenth of the stakes each: large ones pay where all trials are alike, small ones where few
stand out."""
LEAST = 1e-9
"""Of what is looked for: below it, it is 0."""
STEPS = 30
"""Halvings of the logarithm; what is found is off by less than one in 10^7."""


def mean(values: Sequence[float], most: float, alpha: float) -> Interval:
    """Return where the mean may be.

    Args:
        values: of trials, each from 0 to `most`; none: it may be anywhere.
        most: the upper bound, in the unit of the values.
        alpha: how likely the mean may ever be outside; half of it on either side.
    """
    shares = np.clip(np.asarray(values, dtype=np.float64) / most, 0.0, 1.0)
    return Interval(most * _at_least(shares, alpha / 2), most * (1 - _at_least(1 - shares, alpha / 2)))


def missing_at_most(trials: int, alpha: float) -> float:
    """Return which part of all trials may miss something that so many did without a miss.

    Were it a larger part, so many without a miss would come with a probability of less than alpha, 1 minus the part to
    the power of their number; at every look, as none after a miss counts.
    """
    return 1 - math.pow(alpha, 1 / trials) if trials else 1.0


def mostly(yes: int, no: int, alpha: float) -> bool:
    """Tell whether what was yes so often, and else no, is yes more often than not: a sign test for every look."""
    return _refuted(np.repeat([1.0, 0.0], [yes, no]), 0.5, alpha)


def _at_least(shares: NDArray[np.float64], alpha: float) -> float:
    """Return the least mean that bets have not refuted; what is left out by rounding is on the safe side."""
    if not shares.any():
        return 0.0
    low, high = math.log(LEAST), 0.0
    if not _refuted(shares, LEAST, alpha):
        return 0.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _refuted(shares, math.exp(middle), alpha) else (low, middle)
    return math.exp(low)


def _refuted(shares: NDArray[np.float64], supposed: float, alpha: float) -> bool:
    """Tell whether bets on more than the supposed mean have won so much that it is not believed."""
    with np.errstate(divide="ignore"):  # who bets all, and loses, has nothing left
        won = np.log(1 - BETS[:, None] + BETS[:, None] * shares[None, :] / supposed).sum(axis=1)
    return bool(np.logaddexp.reduce(won) - math.log(len(BETS)) >= -math.log(alpha))
