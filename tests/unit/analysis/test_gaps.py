# SPDX-License-Identifier: Apache-2.0
"""Gaps between contenders: each is what its own values say, however many others take part, or lack what."""

from __future__ import annotations

import itertools
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfbench.analysis.gaps import BlockId, Gap, Values, ValueTable

numbers = st.floats(-1, 1, allow_nan=False).map(lambda value: round(value, 3))
blocks = st.dictionaries(st.tuples(st.integers(1, 4), st.sampled_from(("a", "b"))), numbers, max_size=6)
tables = st.lists(st.fixed_dictionaries({"read": blocks, "write": blocks}), min_size=2, max_size=5)


def gap(values: Values[str], one: int, other: int, alpha: float = 0.05) -> Gap | None:
    return ValueTable.of(values, ("read", "write")).ahead(one, alpha).gap(other)


@given(tables)
def test_a_gap_is_the_mean_over_rounds_of_the_mean_over_cases_of_what_shares_a_block(
    rows: list[dict[str, dict[BlockId, float]]],
) -> None:
    values = {str(at): row for at, row in enumerate(rows)}
    shared: dict[str, dict[int, float]] = {}
    for case in ("read", "write"):
        ahead = {
            block: rows[0][case][block] - rows[1][case][block] for block in rows[0][case] if block in rows[1][case]
        }
        if ahead:
            rounds = {number for number, _ in ahead}
            shared[case] = {
                n: statistics.fmean(own for (number, _), own in ahead.items() if number == n) for n in rounds
            }
    common = set.intersection(*map(set, shared.values())) if shared else set[int]()
    found = gap(values, 0, 1)
    if not common:
        assert found is None
        return
    means = [statistics.fmean(own[n] for own in shared.values()) for n in common]
    assert found is not None
    assert found.rounds == len(common)
    assert found.mean == pytest.approx(statistics.fmean(means), abs=1e-9)
    assert found.spread.own == pytest.approx(statistics.stdev(means) if len(means) > 1 else math.inf, abs=1e-9)
    back = gap(values, 1, 0)
    assert back is not None
    assert back.rounds == found.rounds
    assert back.mean == pytest.approx(-found.mean, abs=1e-9)


@given(tables)
def test_the_means_of_a_single_round_are_those_of_its_gaps(rows: list[dict[str, dict[BlockId, float]]]) -> None:
    values = {
        str(at): {case: {block: own for block, own in known.items() if block[0] == 1} for case, known in row.items()}
        for at, row in enumerate(rows)
    }
    layout = ValueTable.of(values, ("read", "write"))
    assert layout.is_one_round
    means = layout.means()
    for one, other in itertools.permutations(range(len(rows)), 2):
        found = layout.ahead(one, 0.05).gap(other)
        assert math.isnan(means[one, other]) if found is None else means[one, other] == pytest.approx(found.mean)
        assert found is None or found.interval.low == -math.inf


def test_who_took_no_part_in_the_rounds_says_nothing_of_how_much_they_vary() -> None:
    one: dict[str, dict[BlockId, float]] = {"read": {(n, "a"): 0.01 * n for n in range(5)}}
    other: dict[str, dict[BlockId, float]] = {"read": {(n, "a"): 0.02 * n for n in range(5)}}
    late: dict[str, dict[BlockId, float]] = {"read": {(n, "a"): 9.0 * n for n in range(3)}}
    two, three = gap({"a": one, "b": other}, 0, 1), gap({"a": one, "b": other, "c": late}, 0, 1)
    assert two == three
    assert two is not None
    assert two.spread.members == 2
