# SPDX-License-Identifier: Apache-2.0
"""Rank correlation: Spearman's, its interval, and p. docs/claims.md says how, and why so."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bpfbench.analysis.distributions import NORMAL
from bpfbench.analysis.inference import CONFIDENCE, RESAMPLES, SEED, SIGN_FLIPS, Interval, Matrix, t_p

PAIRS_RESAMPLED = 200
"""Of a rank correlation; of more, what is known of large samples is used."""
SAME = 100 * float(np.finfo(np.float64).eps)
"""Correlations that differ by less, of themselves, differ by rounding only."""
MATRICES_KEPT = 4

Indices = NDArray[np.int64]


def spearman(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, Interval | None, float]:
    """Return Spearman's rank correlation, its percentile bootstrap interval, and p of the permutation test.

    Both sides vary, and are of 4 values at least. The order of the pairs does not matter, although they are resampled.
    Of many pairs, which resampling would add nothing to, the interval is that of Bonett and Wright (Psychometrika 65,
    2000), by Fisher's transformation, and p that of Student's t.
    """
    values = np.array(sorted(zip(xs, ys, strict=True))).T
    n, everything = values.shape[1], np.arange(values.shape[1])[None]
    x, y = (_ranks(side, everything)[0] for side in values)
    rho = float(_correlation(x, y))
    if n > PAIRS_RESAMPLED and abs(rho) < 1:
        half = NORMAL.inv_cdf((1 + CONFIDENCE) / 2) * math.sqrt((1 + rho**2 / 2) / (n - 3))
        ends = Interval(math.atanh(rho) - half, math.atanh(rho) + half).mapped(math.tanh)
        return rho, ends, t_p(rho * math.sqrt((n - 2) / (1 - rho**2)), n - 2)
    drawn = _draws(n)
    # Draws in which one side does not vary say nothing and are left out.
    low, high = np.nanquantile(_correlation(*(_ranks(side, drawn) for side in values)), (0.025, 0.975))
    interval = Interval(float(low), float(high)) if math.isfinite(low) else None
    return rho, interval, _permutation_p(x - x.mean(), y - y.mean())


def _permutation_p(x: Matrix, y: Matrix) -> float:
    """Return the two-sided p of the permutation test of two sides, each of mean 0.

    Exact where all permutations are few enough to be gone through, else by random ones, the pairs as they are counting
    as one of them (Phipson and Smyth 2010). What is permuted are ranks, which are the same for all permutations.
    """
    orders = _orders(len(x))
    # Where not all are gone through, the pairs as they are count beside those drawn.
    beside = int(math.factorial(len(x)) > len(orders))
    products, observed = (x[orders] * y).sum(axis=1), float((x * y).sum())
    reach = SAME * abs(observed)
    less, more = (products <= observed + reach).sum(), (products >= observed - reach).sum()
    return min(1.0, 2 * float((min(less, more) + beside) / (len(orders) + beside)))


def _correlation(x: Matrix, y: Matrix) -> Matrix:
    """Correlate ranks along the last axis; not a number where one side does not vary."""
    x, y = (ranks - ranks.mean(axis=-1, keepdims=True) for ranks in (x, y))
    scale = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    with np.errstate(invalid="ignore"):
        return np.asarray((x * y).sum(axis=-1) / scale, dtype=np.float64)


def _ranks(values: Matrix, drawn: Indices) -> Matrix:
    """Rank each row of what is drawn of some values, by their indices; those that are equal share their mean rank."""
    which = np.unique(values, return_inverse=True)[1][drawn]
    rows, most = len(drawn), len(values)
    places = which + most * np.arange(rows)[:, None]
    times = np.bincount(places.ravel(), minlength=rows * most).reshape(rows, most)
    ranks = times.cumsum(axis=1) - (times - 1) / 2
    return np.asarray(ranks.ravel()[places], dtype=np.float64)


@functools.lru_cache(MATRICES_KEPT)
def _orders(n: int) -> Indices:
    """Return all orders of so many values, or some at random, a row each."""
    if math.factorial(n) <= SIGN_FLIPS:
        return np.array(list(itertools.permutations(range(n))))
    return np.random.default_rng(SEED).permuted(np.tile(np.arange(n), (SIGN_FLIPS, 1)), axis=1)


@functools.lru_cache(MATRICES_KEPT)
def _draws(n: int) -> Indices:
    """Return resamples of so many values, by their indices, a row each."""
    return np.random.default_rng(SEED).integers(n, size=(RESAMPLES, n))
