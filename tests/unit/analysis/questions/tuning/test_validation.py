# SPDX-License-Identifier: Apache-2.0
"""What is called a gain is one: knobs without effect have none, and what helps is told, with what each knob does."""

from __future__ import annotations

from searches import AIM, Machine, useful, useless, validated

from bpfbench.analysis.questions.tuning.aim import DEFAULT
from bpfbench.analysis.questions.tuning.search import LastRound
from bpfbench.analysis.questions.tuning.validation import Gain, Validation, validate

LAST = LastRound("ring3-poll2", ("ring4-poll2", "ring3-poll1"), {"ring": DEFAULT})


def fresh(truth: object, last: LastRound, blocks: int, seed: int = 1) -> Validation:
    machine = Machine(truth, seed)  # type: ignore[arg-type]
    for _ in range(blocks):
        machine.block(last.names)
    return validate(machine.readings, last, AIM)


def test_knobs_without_effect_gain_nothing_in_19_of_20_searches() -> None:
    found = [validated(useless, seed) for seed in range(60)]
    gains = [own for own in found if own is not None and own.gain is not Gain.NONE]
    assert len(gains) <= 3


def test_what_saves_enough_where_the_default_does_not_is_a_gain() -> None:
    found = [validated(useful, seed) for seed in range(5)]
    assert all(own is not None and own.gain is Gain.KEEPS for own in found)
    assert all(own is not None and own.chosen > "ring3" for own in found)


def test_two_blocks_tell_nothing() -> None:
    found = fresh(useful, LAST, 2)
    assert found.gain is Gain.NONE
    assert found.keeps(DEFAULT) is None
    assert not found.is_decided


def test_what_a_knob_contributes_is_what_is_lost_without_it() -> None:
    found = fresh(useful, LAST, 6)
    lost = found.over_best["fidelity"][LAST.backs["ring"]]
    assert lost.interval.high < -30
    assert found.over_best["memory"][LAST.backs["ring"]].interval.low > 0


def test_what_turning_a_knob_does_is_told_for_better_and_worse_and_where_nothing_is_known_not_at_all() -> None:
    last = LastRound("ring3-poll1", (), {"ring": "ring1-poll1", "poll": "ring3-poll2"})
    found = fresh(useful, last, 6)
    saved, overhead, memory = (found.turned(need) for need in AIM.needs)
    assert list(saved) == list(memory) == ["ring"]
    assert saved["ring"].interval.low > 30
    assert memory["ring"].interval.high < 0
    assert overhead == {}
    assert all(fresh(useful, last, 2).turned(need) == {} for need in AIM.needs)


def test_the_knob_that_gains_most_comes_first() -> None:
    last = LastRound("ring3-poll1", (), {"poll": "ring3-poll2", "ring": "ring1-poll1"})
    found = fresh(lambda point: (40.0 + 15.0 * point[0] - 5 * point[1], 10.0, 2e6), last, 6)
    assert list(found.turned(AIM.needs[0])) == ["ring", "poll"]


def test_what_costs_more_and_saves_no_more_is_no_gain() -> None:
    found = fresh(lambda point: (100.0, 10.0, 2e6 * 2 ** point[0]), LAST, 6)
    assert found.told(AIM.minimise[1]) is False
    assert found.gain is Gain.NONE


def test_less_of_one_cost_and_more_of_another_is_a_trade() -> None:
    found = fresh(lambda point: (100.0, 10.0 / 2 ** point[0], 2e6 * 2 ** point[0]), LAST, 8)
    assert found.gain is Gain.TRADE


def test_another_of_the_front_is_taken_where_the_best_does_not_hold() -> None:
    def treacherous(point: tuple[int, ...]) -> tuple[float, float, float]:
        return (98.0 if point == (3, 2) else 99.9 if point[0] > 1 else 60.0), 10.0, 2e6

    found = fresh(treacherous, LAST, 8)
    assert found.keeps("ring3-poll2") is False
    assert found.chosen == "ring4-poll2"
    assert found.gain is Gain.KEEPS
