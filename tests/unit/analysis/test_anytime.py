# SPDX-License-Identifier: Apache-2.0
"""Intervals that hold at every look: as published, never narrower than one that holds at a single one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from bpfbench.analysis.anytime import PRIOR_OWN, PRIOR_POOLED, ROUNDS_LEAST, reach
from bpfbench.analysis.inference import t_quantile

PRIORS = (PRIOR_OWN, PRIOR_POOLED)


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("n", [5, 12, 30])
def test_where_it_ends_the_mixture_of_likelihoods_comes_to_one_in_alpha(n: int, prior: float) -> None:
    """By integration of the noncentral t density over effects, which the closed form was derived from."""
    alpha = 0.01
    t = reach(n, n - 1, alpha, prior) * math.sqrt(n)

    def weighed(effect: float) -> float:
        return float(stats.nct.pdf(t, n - 1, effect * math.sqrt(n)) * stats.norm.pdf(effect, 0, prior))

    peak = t / math.sqrt(n)
    mixture, _ = integrate.quad(weighed, peak - 8, peak + 8, points=[peak], limit=400)
    assert mixture / stats.t.pdf(t, n - 1) == pytest.approx(1 / alpha, rel=1e-3)


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("n", [3, 5, 10, 30, 1000])
def test_it_is_wider_than_an_interval_for_one_look(n: int, prior: float) -> None:
    assert reach(n, n - 1, 0.05, prior) > t_quantile(n - 1) / math.sqrt(n)


def test_too_few_rounds_say_nothing() -> None:
    assert reach(ROUNDS_LEAST - 1, 100, 0.05, PRIOR_POOLED) == math.inf
    assert reach(3, 0, 0.05, PRIOR_OWN) == math.inf


def test_it_narrows_with_rounds_and_freedom_and_widens_with_confidence() -> None:
    assert reach(20, 19, 0.05, PRIOR_OWN) < reach(10, 9, 0.05, PRIOR_OWN)
    assert reach(10, 45, 0.05, PRIOR_OWN) < reach(10, 9, 0.05, PRIOR_OWN)
    assert reach(10, 9, 0.01, PRIOR_OWN) > reach(10, 9, 0.05, PRIOR_OWN)


def test_the_mean_leaves_it_at_any_of_forty_looks_in_fewer_studies_than_alpha() -> None:
    alpha, looks = 0.05, 40
    values = np.random.default_rng(1).standard_normal((4000, looks))
    n = np.arange(1, looks + 1)
    means = values.cumsum(axis=1) / n
    sds = np.sqrt(np.maximum(0, (values**2).cumsum(axis=1) - n * means**2) / np.maximum(1, n - 1))
    ends = np.array([reach(int(k), int(k) - 1, alpha, PRIOR_OWN) for k in n])
    with np.errstate(invalid="ignore"):
        left = (abs(means) > sds * ends).any(axis=1).mean()
    assert left <= alpha
