# SPDX-License-Identifier: Apache-2.0
"""Intervals of means between two bounds hold at every look, whatever the noise, and are never of zero width."""

from __future__ import annotations

import numpy as np
import pytest

from bpfbench.analysis import bounded


@pytest.mark.parametrize("trials", [1, 3, 12, 100])
def test_trials_that_are_all_at_the_bound_leave_room_for_others(trials: int) -> None:
    found = bounded.mean([100.0] * trials, 100.0, 0.05)
    assert found.high == 100
    assert 0 < found.low < 100 * 0.025 ** (1 / trials) + 1e-6  # one bet of all would come to this


def test_nothing_says_nothing() -> None:
    found = bounded.mean((), 100.0, 0.05)
    assert (found.low, found.high) == (0, 100)


def test_the_two_sides_are_alike() -> None:
    own, turned = bounded.mean([0.2, 0.7, 0.4], 1.0, 0.05), bounded.mean([0.8, 0.3, 0.6], 1.0, 0.05)
    assert own.low == pytest.approx(1 - turned.high)
    assert own.high == pytest.approx(1 - turned.low)


def test_many_trials_leave_little() -> None:
    values = np.random.default_rng(1).uniform(60, 70, 2000)
    found = bounded.mean(values.tolist(), 100.0, 0.05)
    assert 60 < found.low < values.mean() < found.high < 70


def test_what_loses_much_is_soon_known_to() -> None:
    assert bounded.mean([66.0] * 4, 100.0, 0.005).high < 95
    assert bounded.mean([97.0] * 12, 100.0, 0.005).high < 99


@pytest.mark.parametrize("chance", [0.02, 0.1, 0.5, 0.9])
def test_the_mean_seldom_ever_leaves_it(chance: float) -> None:
    """Read after each trial, of trials that lose 20 % or nothing."""
    random, studies, left = np.random.default_rng(2), 100, 0
    for _ in range(studies):
        values = (100.0 - 20.0 * (random.random(12) < chance)).tolist()
        looks = [bounded.mean(values[:trials], 100.0, 0.1) for trials in range(3, 13)]
        left += any(not own.low <= 100 - 20 * chance <= own.high for own in looks)
    assert left <= 0.1 * studies


def test_how_many_may_miss_what_none_of_so_many_did() -> None:
    assert bounded.missing_at_most(0, 0.05) == 1
    assert bounded.missing_at_most(59, 0.05) == pytest.approx(0.05, abs=0.001)


def test_what_is_yes_more_often_than_not_takes_some_ten_trials_to_be_told() -> None:
    assert not bounded.mostly(0, 0, 0.01)
    assert not bounded.mostly(6, 0, 0.01)
    assert bounded.mostly(10, 0, 0.01)
    assert not bounded.mostly(10, 5, 0.01)
    assert not bounded.mostly(0, 10, 0.01)
