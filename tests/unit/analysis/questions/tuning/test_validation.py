# SPDX-License-Identifier: Apache-2.0
"""What is called a gain is one: knobs without effect have none, and what helps is told, with what each knob does."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from searches import AIM, SPACE, Machine, Truth, useful, useless, validated

from bpfbench.analysis.gaps import BlockId
from bpfbench.analysis.questions import needs
from bpfbench.analysis.questions.tuning.aim import DEFAULT, Aim, fidelity
from bpfbench.analysis.questions.tuning.search import LastRound
from bpfbench.analysis.questions.tuning.validation import Gain, Keeping, Validation, validate
from bpfbench.model import Criteria

LAST = LastRound("ring3-poll2", ("ring4-poll2", "ring3-poll1"), {("ring",): DEFAULT})


def fresh(
    truth: Truth, last: LastRound, blocks: int, seed: int = 1, without: dict[str, int] | None = None
) -> Validation:
    """What so many blocks say, of which some lack the last trials of some."""
    machine, without = Machine(truth, seed), without or {}
    for number in range(blocks):
        machine.block([name for name in last.names if number < blocks - without.get(name, 0)])
    return validate(machine.readings, last, AIM, failed=without)


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
    assert found.kept(DEFAULT) is Keeping.OPEN
    assert not found.is_decided


def test_what_a_knob_contributes_is_what_is_lost_without_it() -> None:
    found = fresh(useful, LAST, 6)
    lost = found.over_best["fidelity"][LAST.backs["ring",]]
    assert lost.interval.high < -30
    assert found.over_best["memory"][LAST.backs["ring",]].interval.low > 0


def test_what_turning_a_knob_does_is_told_for_better_and_worse_and_where_nothing_is_known_not_at_all() -> None:
    last = LastRound("ring3-poll1", (), {("ring",): "ring1-poll1", ("poll",): "ring3-poll2"})
    found = fresh(useful, last, 6)
    saved, overhead, memory = (found.turned(need) for need in AIM.needs)
    assert list(saved) == list(memory) == [("ring",)]
    assert saved["ring",].interval.low > 30
    assert memory["ring",].interval.high < 0
    assert overhead == {}
    assert all(fresh(useful, last, 2).turned(need) == {} for need in AIM.needs)


def test_the_knob_that_gains_most_comes_first() -> None:
    last = LastRound("ring3-poll1", (), {("poll",): "ring3-poll2", ("ring",): "ring1-poll1"})
    found = fresh(lambda point: (40.0 + 15.0 * point[0] - 5 * point[1], 10.0, 2e6), last, 6)
    assert list(found.turned(AIM.needs[0])) == [("ring",), ("poll",)]


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

    found = fresh(treacherous, LAST, 16)
    assert found.kept("ring3-poll2") is Keeping.MISSED
    assert found.chosen == "ring4-poll2"
    assert found.gain is Gain.KEEPS


def test_a_default_that_saves_all_in_the_same_blocks_is_not_beaten_in_that() -> None:
    """As after a busy hour, in which the search was: its blocks are no part of it."""
    found = fresh(lambda _: (100.0, 10.0, 2e6), LAST, 8)
    assert found.gain is Gain.NONE
    assert found.kept(DEFAULT) is found.kept(LAST.best) is Keeping.IN_EACH
    assert found.means["fidelity"][DEFAULT] == 100


def test_limits_that_the_default_misses_are_no_gain_unless_the_same_blocks_tell_the_two_apart() -> None:
    """Its trials lose a lot or nothing; that it misses the limit is known before that the other saves more."""
    last, blocks = LastRound("ring3-poll2", (), {}), 6
    readings: dict[str, dict[str, dict[BlockId, float]]] = defaultdict(lambda: defaultdict(dict))
    for number, lost in enumerate((95.0, 0.0, 95.0, 95.0, 95.0, 20.0)[:blocks]):
        for name, saved in ((DEFAULT, 100 - lost), (last.best, 100.0)):
            readings[name]["fidelity"][number, ""] = saved
            readings[name]["overhead"][number, ""] = 10.0 + number / 10
            readings[name]["memory"][number, ""] = 2e6 + number
    found = validate(readings, last, AIM)
    assert found.kept(DEFAULT) is Keeping.MISSED
    assert found.kept(last.best) is Keeping.IN_EACH
    assert found.told(AIM.needs[0]) is None
    assert found.gain is Gain.NONE


def test_who_keeps_to_limits_more_often_in_the_same_blocks_is_a_gain_however_much_losses_vary() -> None:
    last = LastRound("ring3-poll2", (), {})
    readings: dict[str, dict[str, dict[BlockId, float]]] = defaultdict(lambda: defaultdict(dict))
    for number in range(20):
        for name, saved in ((DEFAULT, 99.9 if number % 5 == 0 else 98.0 - 3.0 ** (number % 4)), (last.best, 100.0)):
            readings[name]["fidelity"][number, ""] = saved
            readings[name]["overhead"][number, ""] = 10.0 + number / 10
            readings[name]["memory"][number, ""] = 2e6 + number
    found = validate(readings, last, AIM)
    assert found.only == {last.best: (16, 0)}
    assert found.told(AIM.needs[0]) is None
    assert found.gain is Gain.KEEPS


def test_clean_trials_are_told_as_such_and_not_as_knowledge() -> None:
    found = fresh(useful, LAST, 12)
    assert found.kept(LAST.best) is Keeping.IN_EACH
    assert (found.within[LAST.best], found.trials[LAST.best]) == (12, 12)
    level = found.levels["fidelity"][LAST.best]
    assert level.high == 100
    assert 45 < level.low < 60
    assert found.missing_at_most(LAST.best) == pytest.approx(1 - (0.05 / 4) ** (1 / 12))
    gap = found.over_best["fidelity"][LAST.nearest[1]]
    assert gap.mean == 0
    assert gap.interval.low < 0 < gap.interval.high


def test_that_clean_trials_differ_by_nothing_is_not_known_where_nobody_scatters() -> None:
    found = fresh(lambda _: (100.0, 10.0, 2e6), LAST, 6)
    assert found.over_default["fidelity"][LAST.best].interval.ends is None


def test_what_loses_a_lot_now_and_then_is_hardly_ever_known_to_keep_to_the_limit() -> None:
    """One trial in ten loses 20 %: twelve without a miss come in a quarter of validations, and are no knowledge."""
    aim, ends = Aim((needs.MEMORY,), (fidelity(99.9),), Criteria()), []
    for seed in range(40):
        random = np.random.default_rng(seed)
        readings: dict[str, dict[str, dict[BlockId, float]]] = defaultdict(lambda: defaultdict(dict))
        members = LAST.names
        for block in range(12):
            for name in members:
                readings[name]["fidelity"][block, ""] = 100.0 - 20.0 * (random.random() < 0.1)
                readings[name]["memory"][block, ""] = 2e6 * np.exp(random.normal(0, 0.01))
            found = validate(readings, LAST, aim)
            members = found.members
        ends.append(found)
    assert not any(found.kept(name) is Keeping.KNOWN for found in ends for name in LAST.names)
    assert sum(found.gain is not Gain.NONE for found in ends) <= 2


@pytest.mark.parametrize("failures", [1, 4, 8])
def test_who_fails_in_a_fresh_trial_is_no_gain(failures: int) -> None:
    last = LastRound("ring3-poll2", (), {("ring",): DEFAULT})
    found = fresh(useful, last, 8, without={last.best: failures})
    assert found.failed == {last.best: failures}
    assert found.kept(last.best) is Keeping.OPEN
    assert found.gain is Gain.NONE
    assert found.is_decided


def test_another_is_taken_where_the_best_fails() -> None:
    found = fresh(useful, LAST, 8, without={LAST.best: 8})
    assert (found.chosen, found.gain, found.rounds) == ("ring4-poll2", Gain.KEEPS, 8)


def test_what_is_not_known_to_keep_to_a_limit_is_no_gain_over_what_kept_to_it() -> None:
    def cheaper(point: tuple[int, ...]) -> tuple[float, float, float]:
        return (100.0, 10.0, 4e6) if point == SPACE.points[DEFAULT] else (99.0, 10.0, 1e6)

    last = LastRound("ring3-poll2", (), {("ring",): DEFAULT})
    found = fresh(cheaper, last, 8)
    assert found.kept(DEFAULT) is Keeping.IN_EACH
    assert found.kept(last.best) is Keeping.OPEN
    assert found.told(needs.MEMORY)
    assert found.gain is Gain.NONE


def test_a_set_back_that_never_ends_well_stops_nobody_else() -> None:
    last = LastRound("ring3-poll2", ("ring4-poll2",), {("ring",): DEFAULT, ("poll",): "ring3-poll1"})
    found = fresh(useful, last, 12, without={"ring3-poll1": 12})
    assert (found.rounds, found.gain) == (12, Gain.KEEPS)


def test_fewer_than_three_blocks_are_no_gain() -> None:
    assert fresh(useful, LAST, 2).gain is Gain.NONE
