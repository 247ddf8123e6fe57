# SPDX-License-Identifier: Apache-2.0
"""Inference: the one place of intervals, tests and corrections. Numbers in, statements out; it knows no metric.

Everything about a ratio is done on its logarithm, over pairs of one block. docs/statistics.md has every formula with
its source, docs/validation.md what benchmarks/validate_statistics.py found of them in simulation.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import scipy  # whose parts are imported when they are used, which is seldom: they take longer than all else here
from numpy.typing import NDArray

from bpfbench.analysis import distributions

CONFIDENCE = 0.95
ALPHA = 0.05
POWER_WANTED = 0.8
WORTH_SEEING = 0.02
"""The effect that repetitions are counted for: 2 %."""

BOOTSTRAP_LEAST = 5
"""Pairs from which on a bootstrap is shown: 3 have but 10 different resamples."""
NOISE_LEAST = 2
"""Blocks with two vanilla trials that the SD of noise takes."""
RESAMPLES = 2000
SIGN_FLIPS = 9999
"""From 14 pairs on, where there are more than these, the permutation test draws them at random."""
MOST_DRAWN = 500_000
"""Random numbers that are in memory at once."""
SEED = 1
"""Of the resampling, so that a run's numbers are the same every time."""
NEGLIGIBLE = 1e-12
"""An SD is taken for that of equal values up to this, or this times the mean: rounding scatters so."""
SQUARES_LEAST = 1e-18
"""Of what a regression leaves: so little is rounding."""

Matrix = NDArray[np.float64]


class Finding(StrEnum):
    """What a comparison amounts to, at a family-wise error of 5 %."""

    HIGHER = "higher"
    LOWER = "lower"
    INCONCLUSIVE = "inconclusive"
    """The corrected p is above 0.05: the interval says how large a difference is still possible."""
    TOO_FEW = "too-few"
    """Fewer than 2 pairs, or pairs without any spread: nothing can be tested."""


def finding(p_corrected: float | None, *, higher: bool) -> Finding:
    """Say what a corrected p amounts to, of an estimate that is higher or lower than nothing."""
    if p_corrected is None:
        return Finding.TOO_FEW
    if p_corrected > ALPHA:
        return Finding.INCONCLUSIVE
    return Finding.HIGHER if higher else Finding.LOWER


@dataclass(frozen=True, slots=True)
class Interval:
    """All values from `low` to `high`, both included; a number known exactly has the two alike."""

    low: float = -math.inf
    high: float = math.inf

    @property
    def ends(self) -> list[float] | None:
        """Its two ends, for programs; None where one of them is not known."""
        return [self.low, self.high] if math.isfinite(self.low) and math.isfinite(self.high) else None

    def mapped(self, function: Callable[[float], float]) -> Interval:
        """Return what a rising function makes of it."""
        return Interval(function(self.low), function(self.high))

    def within(self, low: float, high: float) -> bool | None:
        """Tell whether a value of this interval lies between two bounds; None where it cannot be told."""
        if low <= self.low and self.high <= high:
            return True
        return False if self.high < low or high < self.low else None

    def exceeds(self, bound: float) -> bool | None:
        """Tell whether a value of this interval is larger than a bound. A tie, however well known, is not told."""
        return True if self.low > bound else False if self.high < bound else None

    def minus(self, other: Interval) -> Interval:
        """Subtract. Infinite minus infinite is taken as unbounded."""
        low, high = self.low - other.high, self.high - other.low
        return Interval(-math.inf if math.isnan(low) else low, math.inf if math.isnan(high) else high)

    def over(self, other: Interval) -> Interval:
        """Divide by another interval; both hold no negative value."""
        low = 0.0 if math.isinf(other.high) or not self.low else self.low / other.high if other.high else math.inf
        high = math.inf if math.isinf(self.high) or not other.low else self.high / other.low
        return Interval(low, high)

    def times(self, factor: float) -> Interval:
        """Multiply by a positive number."""
        return Interval(self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean difference, of pairs or of two samples, in the unit of the values."""

    n: int
    """Values, or those of the smaller sample."""
    mean: float
    interval: Interval | None = None
    """By Student's t. None as for TOO_FEW."""
    p: float | None = None
    """Two-sided, of the t test."""
    p_corrected: float | None = None
    """The same after Holm's correction over its family."""

    @property
    def finding(self) -> Finding:
        """What this amounts to."""
        return finding(self.p_corrected, higher=self.mean > 0)


@dataclass(frozen=True, slots=True)
class Paired:
    """value / vanilla's value, over pairs of the same host, session and block."""

    n: int
    ratio: float
    """Geometric mean; 1: no difference."""
    interval: Interval | None = None
    """95 % confidence, by Student's t on the logarithms; the one to report. None as for TOO_FEW."""
    bootstrap: Interval | None = None
    """The percentile bootstrap of the same, beside it: it is too narrow for few pairs. None below 5 pairs."""
    log_sd: float | None = None
    """SD of the logarithms of the ratios."""
    p: float | None = None
    """Two-sided, of the paired t test on the logarithms."""
    p_corrected: float | None = None
    """The same after Holm's correction over all that is compared with the same vanilla in this metric."""
    p_sign_flip: float | None = None
    """Two-sided, of the paired permutation test; exact below 14 pairs."""
    p_sign_flip_corrected: float | None = None
    effect: float | None = None
    """Hedges' g of paired data: mean / SD of the logarithms, times 1 - 3 / (4 (n - 1) - 1). None for 2 pairs, where it
    is 0."""

    @property
    def repetitions_needed(self) -> int | None:
        """How many pairs would show a difference of 2 % with a power of 80 %, were the spread as it is here."""
        return repetitions_needed(self.log_sd) if self.log_sd else None

    @property
    def finding(self) -> Finding:
        """What this amounts to."""
        return finding(self.p_corrected, higher=self.ratio > 1)


@dataclass(frozen=True, slots=True)
class Noise:
    """What a run makes of nothing: by how much two vanilla trials of one block differ, in a metric under a workload.

    It is what a difference between setups must exceed to be one, whatever a few pairs of theirs, alike by luck, seem to
    say.
    """

    n: int
    """Blocks it is known from."""
    sd: float
    """Of the difference between two trials that should not differ: of logarithms, or of what is not compared so."""

    def reach(self, blocks: int, confidence: float = CONFIDENCE) -> float:
        """Return what it makes of a mean difference over so many blocks, in `confidence` of all studies at most."""
        return t_quantile(self.n, confidence) * self.sd / math.sqrt(blocks)


def noise(blocks: Iterable[Sequence[float]]) -> Noise | None:
    """Return the noise that blocks show; of each, the values of its vanilla trials. None where too few have two.

    The two are of random places in the block, so their difference is 0 on average, and its SD that about 0.
    """
    squares = [(values[0] - values[1]) ** 2 for values in blocks if len(values) > 1]
    if len(squares) < NOISE_LEAST:
        return None
    return Noise(len(squares), math.sqrt(sum(squares) / len(squares)))


def percent(log_ratio: float) -> float:
    """Return what a logarithm of a ratio is as a change in per cent; what is beyond all numbers is a large one."""
    return 100 * math.expm1(min(log_ratio, 700.0))


def t_quantile(freedom: float, confidence: float = CONFIDENCE) -> float:
    """Return by how many standard errors an interval reaches out on either side."""
    return distributions.t_quantile(freedom, (1 + confidence) / 2)


def student(values: Sequence[float], confidence: float = CONFIDENCE) -> Difference:
    """Estimate the mean of values, 1 at least, and test whether it is 0 (Student 1908)."""
    n = len(values)
    error = math.sqrt(float(np.var(values, ddof=1)) / n) if n > 1 else 0.0
    return _tested(n, float(np.mean(values)), error, n - 1, confidence)


def welch(before: Sequence[float], after: Sequence[float], confidence: float = CONFIDENCE) -> Difference:
    """Estimate mean(after) - mean(before) of independent samples, and test whether it is 0 (Welch 1947)."""
    n, mean = min(len(before), len(after)), float(np.mean(after) - np.mean(before))
    if n < 2:
        return Difference(n, mean)
    errors = [float(np.var(sample, ddof=1)) / len(sample) for sample in (before, after)]
    error = math.sqrt(sum(errors))
    weights = [part**2 / (len(sample) - 1) for part, sample in zip(errors, (before, after), strict=True)]
    freedom = sum(errors) ** 2 / sum(weights) if any(weights) else 0.0
    return _tested(n, mean, error, freedom, confidence)


def alike_scatter_p(before: Sequence[float], after: Sequence[float]) -> float | None:
    """Return the two-sided p of Student's t test that two samples which scatter alike have one mean.

    It takes the scatter from both together, so that a few values are enough on one side. None where nothing scatters.
    """
    sizes, freedom = (len(before), len(after)), len(before) + len(after) - 2
    if min(sizes) < 1 or freedom < 1:
        return None
    squares = sum(float(np.var(sample)) * len(sample) for sample in (before, after))
    error = math.sqrt(squares / freedom * sum(1 / size for size in sizes))
    tested = _tested(min(sizes), float(np.mean(after) - np.mean(before)), error, freedom, CONFIDENCE)
    return tested.p


def _tested(n: int, mean: float, error: float, freedom: float, confidence: float) -> Difference:
    """Estimate and test a mean by its standard error; one of values that do not scatter is neither."""
    if error <= NEGLIGIBLE * max(1.0, abs(mean)):
        return Difference(n, mean)
    half = t_quantile(freedom, confidence) * error
    return Difference(n, mean, Interval(mean - half, mean + half), t_p(mean / error, freedom))


def t_p(t: float, freedom: float) -> float:
    """Return the two-sided p of Student's t."""
    return 2 * distributions.t_tail(t, freedom)


def ratios(rows: Sequence[Sequence[float]]) -> list[Paired]:
    """Say of each row of log ratios, one per pair and 1 at least, what can be said of it alone.

    Rows of one length are tested at once, which takes seconds off a large run. Holm's correction is not done.
    """
    by_length: defaultdict[int, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        by_length[len(row)].append(number)
    found: dict[int, Paired] = {}
    for n, numbers in by_length.items():
        logs = np.array([rows[number] for number in numbers], dtype=np.float64)
        tested = _equally_long(logs) if n > 1 else [Paired(1, math.exp(log)) for (log,) in logs]
        found |= zip(numbers, tested, strict=True)
    return [found[number] for number in range(len(rows))]


def _equally_long(logs: Matrix) -> list[Paired]:
    n = logs.shape[1]
    means, sds = logs.mean(axis=1), logs.std(axis=1, ddof=1)
    spreads = sds > NEGLIGIBLE * np.maximum(1.0, abs(means))
    halves = t_quantile(n - 1) * sds / math.sqrt(n)
    correction = 1 - 3 / (4 * (n - 1) - 1)
    flips = iter(sign_flip_p(logs[spreads]))
    resampled = bootstrap(logs[spreads])
    return [
        Paired(
            n=n,
            ratio=math.exp(mean),
            interval=Interval(math.exp(mean - half), math.exp(mean + half)),
            bootstrap=next(resampled),
            log_sd=float(sd),
            p=t_p(abs(mean) * math.sqrt(n) / sd, n - 1),
            p_sign_flip=next(flips),
            effect=float(correction * mean / sd) if n > 2 else None,
        )
        if varies
        else Paired(n, math.exp(mean), log_sd=0.0)
        for mean, sd, half, varies in zip(means, sds, halves, spreads, strict=True)
    ]


def sign_flip_p(logs: Matrix) -> list[float]:
    """Return the two-sided p of the paired permutation test of each row, by flipping the signs of its log ratios.

    Exact where all flips are few enough to be gone through, else by random ones, the row itself counting as one of them
    (Phipson and Smyth 2010).
    """
    n = logs.shape[1]
    least = abs(logs.sum(axis=1)) * (1 - 1e-12)  # sums that differ by rounding only are equal
    if 2**n <= SIGN_FLIPS:
        signs = 1.0 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
        return [
            float(p) for rows in _chunks(len(logs)) for p in (abs(signs @ logs[rows].T) >= least[rows]).mean(axis=0)
        ]
    random, extreme = np.random.default_rng(SEED), np.zeros(len(logs))
    for flips in _chunks(SIGN_FLIPS, MOST_DRAWN // n):
        signs = random.choice((-1.0, 1.0), (flips.stop - flips.start, n))
        for rows in _chunks(len(logs)):
            extreme[rows] += (abs(signs @ logs[rows].T) >= least[rows]).sum(axis=0)
    return [float(count + 1) / (SIGN_FLIPS + 1) for count in extreme]


def bootstrap(logs: Matrix) -> Iterator[Interval | None]:
    """Yield the percentile bootstrap interval of each row's geometric mean, the same resamples for all rows."""
    n = logs.shape[1]
    if n < BOOTSTRAP_LEAST:
        yield from [None] * len(logs)
        return
    random, means = np.random.default_rng(SEED), np.empty((RESAMPLES, len(logs)))
    for draws in _chunks(RESAMPLES, MOST_DRAWN // n):
        means[draws] = random.multinomial(n, [1 / n] * n, draws.stop - draws.start) / n @ logs.T
    tail = (1 - CONFIDENCE) / 2
    for rows in _chunks(len(logs)):
        for low, high in np.exp(np.quantile(means[:, rows], (tail, 1 - tail), axis=0)).T.tolist():
            yield Interval(low, high)


def _chunks(rows: int, most: int = 500) -> Iterator[slice]:
    """Yield so many rows at a time that what is made of them stays below a few dozen megabytes."""
    for begin in range(0, rows, max(1, most)):
        yield slice(begin, min(rows, begin + max(1, most)))


def repetitions_needed(log_sd: float, effect: float = WORTH_SEEING) -> int:
    """Return how many pairs a paired t test at 5 % needs to show a ratio of 1 + `effect` with a power of 80 %.

    By the noncentral t distribution, starting from what the normal one says, which is too few.
    """
    d, normal = math.log1p(effect) / log_sd, distributions.NORMAL
    n = max(2, math.ceil(((normal.inv_cdf(1 - ALPHA / 2) + normal.inv_cdf(POWER_WANTED)) / d) ** 2))
    while n < 1000 and 1 - scipy.special.nctdtr(n - 1, d * math.sqrt(n), t_quantile(n - 1, 1 - ALPHA)) < POWER_WANTED:
        n += 1
    return int(n)


def holm(ps: Sequence[float | None], families: Sequence[object] = ()) -> list[float | None]:
    """Correct p values for having tested several (Holm 1979).

    Args:
        ps: None where nothing was tested, which stays None.
        families: which tests are corrected together, one entry per p; empty: all of them.
    """
    members: defaultdict[object, list[tuple[float, int]]] = defaultdict(list)
    for number, (p, family) in enumerate(zip(ps, families or [None] * len(ps), strict=True)):
        if p is not None:
            members[family].append((p, number))
    corrected: list[float | None] = [None] * len(ps)
    for own in members.values():
        worst = 0.0
        for rank, (p, number) in enumerate(sorted(own)):
            worst = max(worst, min(1.0, (len(own) - rank) * p))
            corrected[number] = worst
    return corrected


def alike_p(samples: Sequence[Sequence[float]]) -> float | None:
    """Return the p of Alexander and Govern's test that samples have one mean, however differently they scatter.

    None where a sample has fewer than 2 values, or values that differ by rounding alone.
    """
    if any(len(sample) < 2 or math.isclose(min(sample), max(sample), abs_tol=1e-9) for sample in samples):
        return None
    return float(scipy.stats.alexandergovern(*samples).pvalue)


@dataclass(frozen=True, slots=True)
class Regression:
    """A weighted least squares fit of some terms, other columns having been taken out of values and terms before."""

    freedom: tuple[int, int]
    """Degrees of freedom of F: of the terms, and left."""
    f: float | None = None
    """Of all terms together; None where nothing is left that they do not say."""
    p: float | None = None
    terms: tuple[tuple[float, Interval, float], ...] = ()
    """Coefficient, interval and two-sided p of each by itself."""


def regress(values: Matrix, terms: Sequence[Matrix], weights: Matrix, taken_out: int) -> Regression | None:
    """Fit terms, of which none follows from the others; None where no degree of freedom is left.

    Args:
        values: one per trial.
        terms: columns of as many; one at least.
        weights: 1 / variance of each value.
        taken_out: the rank of what has been taken out of values and terms, which was fitted, too.
    """
    freedom = len(terms), len(values) - taken_out - len(terms)
    if freedom[1] <= 0:
        return None
    scale = np.sqrt(weights)
    columns, weighted = np.column_stack(terms) * scale[:, None], values * scale
    inverse = np.linalg.pinv(columns)
    found = inverse @ weighted
    squares = float(np.sum((weighted - columns @ found) ** 2))
    if squares <= SQUARES_LEAST:
        return Regression(freedom)
    covariance = inverse @ inverse.T * squares / freedom[1]
    errors = np.sqrt(np.diag(covariance))
    f = float(found @ np.linalg.solve(covariance, found)) / freedom[0]
    each = tuple(
        (float(mean), Interval(float(mean - half), float(mean + half)), t_p(mean / error, freedom[1]))
        for mean, error, half in zip(found, errors, t_quantile(freedom[1]) * errors, strict=True)
    )
    return Regression(freedom, f, distributions.f_tail(*freedom, f), each)
