# SPDX-License-Identifier: Apache-2.0
"""Inference: numbers worked out by hand or by scipy, and what becomes of simulated studies with known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from validate_statistics import NOISES, SIZES, simulate, validate

from bpfbench.analysis.inference import (
    Interval,
    bootstrap,
    holm,
    ratios,
    regress,
    repetitions_needed,
    sign_flip_p,
    student,
    welch,
)


class TestMethods:
    @pytest.mark.parametrize("n", [3, 5, 8, 12])
    def test_sign_flips_are_scipys_permutation_test(self, n: int) -> None:
        rows = np.random.default_rng(n).normal(0.3, 1.0, (5, n))
        expected = stats.permutation_test(
            (rows,), np.mean, permutation_type="samples", vectorized=True, axis=1, n_resamples=np.inf
        )
        assert sign_flip_p(rows) == pytest.approx(expected.pvalue)

    def test_many_pairs_are_flipped_at_random_and_the_same_every_time(self) -> None:
        rows = np.random.default_rng(1).normal(0.5, 1.0, (3, 20))
        exact = [stats.ttest_1samp(row, 0).pvalue for row in rows]
        assert sign_flip_p(rows) == pytest.approx(exact, abs=0.02)
        assert sign_flip_p(rows) == sign_flip_p(rows)

    def test_the_bootstrap_is_scipys_and_absent_for_few(self) -> None:
        rows = np.random.default_rng(1).normal(0.1, 0.2, (2, 10))
        for row, found in zip(rows, bootstrap(rows), strict=True):
            low, high = stats.bootstrap((row,), np.mean, method="percentile", rng=1).confidence_interval
            assert found is not None
            assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)), rel=0.02)
        assert list(bootstrap(rows[:, :4])) == [None, None]

    def test_holm_by_hand(self) -> None:
        # Sorted: .01 x 4, .02 x 3 = .06, .03 x 2 = .06, .5 x 1.
        assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
        assert holm([0.6, 0.9]) == [1.0, 1.0]

    def test_holm_is_within_families_and_leaves_alone_what_was_not_tested(self) -> None:
        assert holm([0.01, None, 0.02, 0.03], ["a", "a", "b", "a"]) == [0.02, None, 0.02, 0.03]

    def test_a_regression_is_students_test_where_it_has_one_term_or_tells_two_samples_apart(self) -> None:
        one, other = np.random.default_rng(2).normal(0.4, 1.0, (2, 6))
        fitted = regress(one, [np.ones(6)], np.ones(6), taken_out=0)
        alone = stats.ttest_1samp(one, 0)
        assert fitted is not None
        ((mean, interval, p),) = fitted.terms
        assert (mean, p) == pytest.approx((one.mean(), alone.pvalue))
        assert (interval.low, interval.high) == pytest.approx(tuple(alone.confidence_interval()))
        assert (fitted.f, fitted.p) == pytest.approx((alone.statistic**2, p))
        assert fitted.freedom == (1, 5)
        group = np.repeat([0.0, 1.0], 6)
        both = regress(np.concatenate([one, other]), [np.ones(12), group], np.ones(12), taken_out=0)
        assert both is not None
        assert both.terms[1][0] == pytest.approx(other.mean() - one.mean())
        assert both.terms[1][2] == pytest.approx(stats.ttest_ind(other, one).pvalue)

    def test_a_regression_counts_a_value_by_its_weight(self) -> None:
        values, column = np.random.default_rng(3).normal(0.4, 1.0, (2, 7))
        weights = np.array([1.0, 2, 3, 1, 2, 3, 1])
        times = weights.astype(int)
        weighted = regress(values, [column], weights, taken_out=0)
        repeated = regress(values.repeat(times), [column.repeat(times)], np.ones(13), taken_out=13 - 7)
        assert weighted is not None
        assert repeated is not None
        assert weighted.terms[0][::2] == pytest.approx(repeated.terms[0][::2])
        assert weighted.f == pytest.approx(repeated.f)

    def test_students_and_welchs_tests_are_scipys(self) -> None:
        one, other = np.random.default_rng(1).normal(1.0, 1.0, (2, 7)).tolist()
        alone, two = stats.ttest_1samp(one, 0), stats.ttest_ind(other[:4], one, equal_var=False)
        for found, expected in ((student(one), alone), (welch(one, other[:4]), two)):
            ends = expected.confidence_interval(0.95)
            assert found.interval is not None
            assert (found.interval.low, found.interval.high) == pytest.approx((ends.low, ends.high))
            assert found.p == pytest.approx(expected.pvalue)

    def test_values_without_spread_differ_for_certain_or_not_at_all(self) -> None:
        assert student([0.1, 0.1, 0.1]).p is None
        assert welch([1.0, 1.0], [2.0, 2.0]).interval is None

    @pytest.mark.parametrize(("log_sd", "expected"), [(0.02, 10), (0.0198, 10), (0.04, 34), (0.1, 199)])
    def test_repetitions_are_those_of_the_noncentral_t(self, log_sd: float, expected: int) -> None:
        # G*Power's paired t test (two-sided, 5 %, 80 %): dz = 1 needs 10 pairs, 0.5 needs 34, 0.2 needs 199.
        assert repetitions_needed(log_sd, math.expm1(0.02)) == expected


class TestOnSimulatedStudies:
    """The full validation is benchmarks/validate_statistics.py; docs/validation.md has its numbers."""

    @pytest.mark.parametrize("n", SIZES)
    def test_intervals_hold_the_truth_and_no_difference_is_seldom_found_where_there_is_none(self, n: int) -> None:
        # 600 studies: shares of 95 and 5 % come out 93 to 97 and 3 to 7 % by themselves, and are the same every time.
        found = validate(np.random.default_rng(20 + n), 600, n, NOISES["normal"])
        assert 0.93 <= found.coverage <= 0.97
        assert found.false_positive <= 0.07
        assert found.false_positive_sign_flip <= 0.07
        assert found.family_error <= 0.07

    def test_more_blocks_see_more(self) -> None:
        rng = np.random.default_rng(3)
        powers = [validate(rng, 200, n, NOISES["normal"]).power for n in SIZES]
        assert powers == sorted(powers)
        assert powers[-1] > 0.7

    def test_the_simulation_has_the_truth_it_says(self) -> None:
        logs = simulate(np.random.default_rng(1), 2000, 5, [1.0, 1.5], NOISES["normal"])
        assert np.exp(logs.mean(axis=(0, 2))) == pytest.approx([1.0, 1.5], rel=0.01)

    def test_what_is_tested_by_rows_is_what_is_tested_alone(self) -> None:
        rows = [*np.random.default_rng(1).normal(0.1, 0.2, (4, 6)).tolist(), [0.1], [0.1, 0.2, 0.3], [0.2]]
        assert ratios(rows) == [ratios([row])[0] for row in rows]
        assert isinstance(ratios(rows)[0].interval, Interval)


FINITE = st.floats(0, 1e6, allow_nan=False)
INTERVALS = st.tuples(FINITE, FINITE).map(lambda ends: Interval(min(ends), max(ends)))
SHARE = st.floats(0, 1)


class TestIntervals:
    @given(INTERVALS, INTERVALS, SHARE, SHARE)
    def test_arithmetic_encloses_what_it_does_to_values(
        self, one: Interval, other: Interval, here: float, there: float
    ) -> None:
        a, b = (i.low + share * (i.high - i.low) for i, share in ((one, here), (other, there)))
        difference = one.minus(other)
        assert difference.low - 1e-6 <= a - b <= difference.high + 1e-6
        if b:
            quotient = one.over(other)
            assert quotient.low * (1 - 1e-9) <= a / b <= quotient.high * (1 + 1e-9)

    @given(INTERVALS, FINITE, FINITE, SHARE)
    def test_what_is_said_of_an_interval_is_true_of_its_values(
        self, interval: Interval, one: float, other: float, share: float
    ) -> None:
        value = min(interval.high, interval.low + share * (interval.high - interval.low))
        low, high = min(one, other), max(one, other)
        answer = interval.within(low, high)
        assert answer is None or answer is (low <= value <= high)
