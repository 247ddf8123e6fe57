# SPDX-License-Identifier: Apache-2.0
"""Intervals that hold at every look: a study may be read after each round, and stopped by what it says.

They invert the scale-invariant mixture of t statistics: the likelihood ratio of normal values of unknown variance,
mixed over effects of N(0, prior^2) standard deviations (H. Wang and A. Ramdas, arXiv:2310.03722, after T. L. Lai,
Annals of Statistics 4, 1976; for contrasts in a linear model, as in blocks, M. Lindon and others, arXiv:2210.08589).
By Ville's inequality the mean leaves them at any time with a probability of alpha at most, however the study is
stopped. What they take for granted is that noise is about normal; benchmarks/validate_answer.py tries them on noise
that is not.
"""

from __future__ import annotations

import math

PRIOR_OWN = 20.0
"""Of a variance known from few rounds. Any prior keeps the promise, and makes widths; this one lets 3 rounds tell."""
PRIOR_POOLED = 3.0
"""Of a variance known from all contenders together."""

ROUNDS_LEAST = 3
"""Two values say next to nothing of how much a third may differ."""

PLANNED_MOST = 200
"""More rounds than this nobody runs to decide something."""


def reach(n: int, freedom: float, alpha: float, prior: float) -> float:
    """Return by how many SDs the interval of a mean of `n` differences reaches out; infinite where they are too few.

    With A = 1 + n prior^2, the mixture is below 1 / alpha while
    (1 + t^2 / freedom) / (1 + t^2 / (freedom A)) < (A / alpha^2)^(1 / (freedom + 1)), which is solved for t.

    Args:
        n: rounds.
        freedom: degrees of freedom of the SD.
        alpha: how likely the mean may ever leave the interval.
        prior: SD of the effects mixed over, in SDs of a difference.
    """
    if n < ROUNDS_LEAST or freedom < 1:
        return math.inf
    spread = 1 + n * prior**2
    ratio = math.exp((math.log(spread) - 2 * math.log(alpha)) / (freedom + 1))
    if ratio >= spread:
        return math.inf
    return math.sqrt(freedom * (ratio - 1) / (1 - ratio / spread) / n)
