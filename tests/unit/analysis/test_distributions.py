# SPDX-License-Identifier: Apache-2.0
"""Distributions: what scipy says of them, from the middle to the far tail, of few degrees of freedom and of many."""

from __future__ import annotations

import pytest
from scipy import special

from bpfbench.analysis.distributions import f_tail, t_quantile, t_tail

FREEDOMS = (1, 2, 3.7, 9, 40, 700, 3000)


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_t_is_scipys(freedom: float) -> None:
    for t in (0.0, 1e-6, 0.3, 1.0, 2.5, 12.0, 300.0):
        expected = float(special.stdtr(freedom, -t))
        assert t_tail(t, freedom) == t_tail(-t, freedom) == pytest.approx(expected, rel=1e-10, abs=1e-300)
    for p in (0.51, 0.8, 0.95, 0.975, 0.9999, 1 - 1e-9):
        assert t_quantile(freedom, p) == pytest.approx(float(special.stdtrit(freedom, p)), rel=1e-10)


@pytest.mark.parametrize("below", FREEDOMS)
@pytest.mark.parametrize("above", [1, 2, 5, 30])
def test_f_is_scipys(above: int, below: float) -> None:
    for f in (0.0, 1e-6, 0.3, 1.0, 2.5, 12.0, 300.0):
        expected = float(special.fdtrc(above, below, f))
        assert f_tail(above, below, f) == pytest.approx(expected, rel=1e-10, abs=1e-300)
