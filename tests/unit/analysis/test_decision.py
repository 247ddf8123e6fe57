# SPDX-License-Identifier: Apache-2.0
"""The decision: nobody is named by noise, everybody by evidence, and names do not matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfbench.analysis.decision import Decision, Outcome, Standing, against, decide
from bpfbench.analysis.gaps import BlockId

MARGIN = 0.05
QUIET = (0.001, -0.002, 0.002, -0.001, 0.0015, -0.0015)
"""What a quiet machine adds from round to round."""

Table = Mapping[str, Mapping[str, Sequence[float]]]
"""By setup and case, round by round."""


def decided(table: Table, margin: float = MARGIN) -> Decision[str]:
    values: dict[str, dict[str, dict[BlockId, float]]] = {
        setup: {case: {(n, "b"): value for n, value in enumerate(own)} for case, own in cases.items()}
        for setup, cases in table.items()
    }
    return decide(values, margin)


def steady(**means: float) -> dict[str, dict[str, list[float]]]:
    """Setups that hardly vary, in one case; each with noise of its own."""
    return {
        setup: {"read": [mean + QUIET[(n + at) % len(QUIET)] for n in range(6)]}
        for at, (setup, mean) in enumerate(means.items())
    }


def test_one_that_is_better_than_all_by_more_than_the_margin_is_named() -> None:
    found = decided(steady(libbpf=0.0, bcc=-0.5, go=-0.2))
    assert (found.outcome, found.named) == (Outcome.BEST, ("libbpf",))
    assert found.whole.ruled_out == {"bcc", "go"}


def test_those_within_the_margin_are_equal_and_all_named() -> None:
    found = decided(steady(libbpf=0.0, aya=-0.01, bcc=-0.5))
    assert (found.outcome, found.named) == (Outcome.EQUAL, ("libbpf", "aya"))


def test_noise_decides_nothing_and_says_how_many_rounds_would() -> None:
    noisy = {
        "libbpf": {"read": [0.02, -0.04, 0.03, -0.02, 0.04, 0.01]},
        "bcc": {"read": [-0.03, 0.04, -0.02, 0.02, -0.04, 0.06]},
    }
    found = decided(noisy)
    assert (found.outcome, found.named) == (Outcome.UNDECIDED, ())
    assert found.possible == found.whole.order
    assert found.rounds_needed is not None
    assert found.rounds_needed > found.rounds == 6
    many = {setup: {"read": [10 * value for value in own["read"]]} for setup, own in noisy.items()}
    assert decided(many).rounds_needed is None
    assert decided(many).hardest in many


def test_what_is_known_of_all_holds_of_some_of_them() -> None:
    found = decided(steady(libbpf=0.0, aya=-0.01, bcc=-0.5, go=-0.52))
    few = found.among(("bcc", "go"))
    assert (few.outcome, few.named) == (Outcome.EQUAL, ("bcc", "go"))
    assert few.whole.gaps["bcc", "go"] == found.whole.gaps["bcc", "go"]
    assert found.among(("aya", "bcc")).named == ("aya",)


@pytest.mark.parametrize("rounds", [1, 2])
def test_fewer_than_three_rounds_decide_nothing(rounds: int) -> None:
    found = decided({"libbpf": {"read": [0.0, 0.001][:rounds]}, "bcc": {"read": [-5.0, -5.001][:rounds]}})
    assert found.outcome is Outcome.UNDECIDED


def test_a_case_that_turns_a_pair_round_makes_it_depend() -> None:
    def rounds(mean: float, at: int) -> list[float]:
        return [mean + QUIET[(n + at) % len(QUIET)] for n in range(6)]

    found = decided(
        {
            "libbpf": {"read": rounds(0.0, 0), "write": rounds(-0.3, 1)},
            "go": {"read": rounds(-0.6, 2), "write": rounds(0.0, 3)},
        }
    )
    assert found.outcome is Outcome.DEPENDS
    assert found.leader == "libbpf"
    assert dict(found.turned) == {"write": ("go",)}
    assert found.named == ()


def test_a_case_in_which_all_tie_changes_nothing() -> None:
    without = steady(libbpf=0.0, aya=-0.06, bcc=-0.5)
    beside = {setup: {**own, "idle": [1.0] * 6} for setup, own in without.items()}
    one, other = decided(without), decided(beside)
    assert one.contested == other.contested == ("read",)
    assert (one.outcome, one.named, one.whole.order) == (other.outcome, other.named, other.whole.order)
    assert one.whole.gaps == other.whole.gaps


def test_where_all_tie_in_all_rounds_all_are_equal() -> None:
    found = decided({setup: {"read": [100.0] * 3} for setup in ("libbpf", "bcc", "go")})
    assert (found.outcome, set(found.named)) == (Outcome.EQUAL, {"libbpf", "bcc", "go"})


def test_who_is_ruled_out_by_anybody_is_worse_even_if_the_leader_cannot_tell() -> None:
    table = steady(libbpf=0.0, aya=-0.005, bcc=-1.0)
    late = {"libbpf": {"read": [*table["libbpf"]["read"]]}, **table}
    values: dict[str, dict[str, dict[BlockId, float]]] = {
        setup: {"read": {(n, "b"): value for n, value in enumerate(own["read"])}} for setup, own in late.items()
    }
    values["libbpf"]["read"] = {(n + 3, "b"): value for (n, _), value in values["libbpf"]["read"].items()}
    values["aya"]["read"] |= {(n + 6, "b"): -0.005 + QUIET[n] for n in range(3)}
    found = decide(values, MARGIN)  # libbpf shares 3 rounds with bcc
    assert found.whole.standing("bcc") is Standing.WORSE


def test_values_are_compared_within_a_block_only() -> None:
    one: dict[BlockId, float] = {(1, "first session"): 1.0, (2, "b"): 1.0}
    other: dict[BlockId, float] = {(1, "second session"): 0.0, (2, "b"): 0.5}
    found = against({"a": {"read": one}, "b": {"read": other}}, "b")["a"]
    assert found is not None
    assert (found.rounds, found.mean) == (1, 0.5)


def test_a_round_counts_where_it_has_all_cases() -> None:
    found = decided({"a": {"x": [0.0] * 5, "y": [0.0] * 3}, "b": {"x": [1.0] * 5, "y": [1.0] * 3}})
    assert found.rounds == 3


def test_a_single_setup_has_nobody_to_beat() -> None:
    assert decided(steady(libbpf=0.0)).outcome is Outcome.ALONE


Rows = list[list[list[float]]]
SETUPS = ("aya", "bcc", "go", "libbpf")
values_ = st.floats(-1, 1, allow_nan=False).map(lambda value: round(value, 3))
tables = st.lists(st.lists(st.lists(values_, min_size=5, max_size=5), min_size=2, max_size=2), min_size=4, max_size=4)


def named(rows: Rows, setups: Sequence[str] = SETUPS) -> dict[str, dict[str, list[float]]]:
    cases = (dict(zip(("read", "write"), map(list, own), strict=True)) for own in rows)
    return dict(zip(setups, cases, strict=True))


@given(tables, st.permutations(SETUPS))
def test_swapping_names_swaps_the_answer(rows: Rows, other: list[str]) -> None:
    to = dict(zip(SETUPS, other, strict=True))
    one, two = decided(named(rows)), decided(named(rows, other))
    assert one.outcome is two.outcome
    assert {to[setup] for setup in one.named} == set(two.named)
    assert {to[setup] for setup in one.possible} == set(two.possible)


@given(tables, st.sampled_from(SETUPS), st.floats(0.01, 3))
def test_noise_that_leaves_the_means_never_makes_a_setup_named(rows: Rows, whose: str, by: float) -> None:
    """Each of its values moves away from the others', the sum stays."""
    before = named(rows)
    own = before[whose]
    noisy = {
        case: [v + by * e for v, e in zip(values, (2, -1, -1, 2, -2), strict=True)] for case, values in own.items()
    }
    one, two = decided(before), decided({**before, whose: noisy})
    spread = two.whole.gaps
    wider = all(spread[pair].spread.own >= found.spread.own for pair, found in one.whole.gaps.items() if whose in pair)
    if wider and whose in two.named:
        assert whose in one.named


@given(tables)
def test_the_best_mean_is_never_ruled_out_and_never_left_out_of_the_named(rows: Rows) -> None:
    found = decided(named(rows))
    assert found.leader in found.possible
    assert not found.named or found.leader in found.named
