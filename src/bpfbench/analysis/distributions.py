# SPDX-License-Identifier: Apache-2.0
"""Distributions: Student's t and Fisher's F, of single numbers.

Nearly every verb needs a quantile of t; for that alone, importing scipy.special takes longer than all it says. Both are
the regularised incomplete beta function (NIST Handbook of Mathematical Functions, 8.17), by its continued fraction; the
tests hold them against scipy's.
"""

from __future__ import annotations

import functools
import math
from statistics import NormalDist

NORMAL = NormalDist()
"""The standard one."""
GAMMA_MOST = 170.0
"""Up to here the gamma function is a number; its logarithm has fewer digits left where two of them are subtracted."""
ENOUGH = 1e-16
"""What a factor of the fraction may be from 1 when it ends."""
ALMOST = 4e-16
"""What a quantile may change by, of itself, when it is found."""
TERMS_MOST = 10_000


@functools.cache
def t_quantile(freedom: float, p: float) -> float:
    """Return what Student's t stays below with a probability of p, above one half."""
    # From the normal distribution's, which is below it, Newton's steps come up to it, as the tail is convex.
    tail, found = 1 - p, NORMAL.inv_cdf(p)
    scale = 1 / (math.sqrt(freedom) * _beta(freedom / 2, 0.5))
    while True:
        density = scale * math.exp(-(freedom + 1) / 2 * math.log1p(found**2 / freedom))
        step = (t_tail(found, freedom) - tail) / density
        found += step
        if step <= ALMOST * found:
            return found


def t_tail(t: float, freedom: float) -> float:
    """Return the probability that Student's t exceeds |t|."""
    whole = freedom + t * t
    return _incomplete_beta(freedom / 2, 0.5, freedom / whole, t * t / whole) / 2


def f_tail(above: float, below: float, f: float) -> float:
    """Return the probability that Fisher's F, of these degrees of freedom, exceeds f."""
    whole = below + above * f
    return _incomplete_beta(below / 2, above / 2, below / whole, above * f / whole)


def _beta(a: float, b: float) -> float:
    if a + b < GAMMA_MOST:
        return math.gamma(a) / math.gamma(a + b) * math.gamma(b)
    return math.exp(math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b))


def _incomplete_beta(a: float, b: float, x: float, rest: float) -> float:
    """Return the share of the beta function up to x; `rest` is 1 - x, with all of its digits."""
    if x <= 0 or rest <= 0:
        return float(rest <= 0)
    # The fraction converges fast below the mean of the distribution.
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, rest, x)
    powers = a * (math.log(x) if x < 0.5 else math.log1p(-rest)) + b * (math.log1p(-x) if x < 0.5 else math.log(rest))
    return math.exp(powers) / (a * _beta(a, b)) * _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    """Evaluate the continued fraction, 8.17.22, by Lentz's method."""
    value = upper = 1.0
    lower = 0.0
    for term in range(TERMS_MOST):
        m, odd = divmod(term + 1, 2)
        if odd:
            factor = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            factor = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        lower = 1 / (1 + factor * lower)
        upper = 1 + factor / upper
        value *= upper * lower
        if abs(upper * lower - 1) < ENOUGH:
            break
    return 1 / value
