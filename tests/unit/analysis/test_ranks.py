# SPDX-License-Identifier: Apache-2.0
"""Rank correlation: what scipy's ranks and tests say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bpfbench.analysis import ranks
from bpfbench.analysis.inference import SIGN_FLIPS


@pytest.mark.parametrize("n", [4, 6, 7, 8, 20])
@pytest.mark.parametrize("places", [1, 6], ids=["with ties", "without"])
def test_a_rank_correlation_is_scipys_and_so_is_its_p(n: int, places: int) -> None:
    xs, noise = np.random.default_rng(n).normal(size=(2, n))
    xs, ys = xs.round(places), (xs + noise).round(places)
    rho, ends, p = ranks.spearman(xs.tolist(), ys.tolist())
    assert rho == pytest.approx(stats.spearmanr(xs, ys).statistic)
    expected = stats.permutation_test(
        (xs,), lambda x: stats.spearmanr(x, ys).statistic, permutation_type="pairings", n_resamples=SIGN_FLIPS, rng=3
    )
    assert p == pytest.approx(expected.pvalue, abs=1e-12 if n < 8 else 0.02)
    assert ends is not None
    assert ends.low <= rho <= ends.high


@pytest.mark.parametrize("slope", [0.0, 0.3, -2.0])
def test_a_rank_correlation_of_many_pairs_is_what_resampling_says(
    slope: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(7)
    xs = random.normal(size=300)
    ys = slope * xs + random.normal(size=300)
    rho, ends, p = ranks.spearman(xs.tolist(), ys.tolist())
    monkeypatch.setattr(ranks, "PAIRS_RESAMPLED", 300)
    same, drawn, p_drawn = ranks.spearman(xs.tolist(), ys.tolist())
    assert rho == same
    assert ends is not None
    assert drawn is not None
    assert (ends.low, ends.high) == pytest.approx((drawn.low, drawn.high), abs=0.03)
    assert p == pytest.approx(p_drawn, abs=0.02)
