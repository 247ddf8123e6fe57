# SPDX-License-Identifier: Apache-2.0
"""What Optuna proposes follows from what is known, and is always something that may be tried and is new."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from searches import RINGS, SPACE, searched, useful

from bpfbench.analysis.inference import Interval
from bpfbench.analysis.questions.tuning.aim import DEFAULT, Tried
from bpfbench.analysis.questions.tuning.estimator import most_promising
from bpfbench.analysis.questions.tuning.search import Dial, Space, next_block
from bpfbench.model.tuning import PLACES

LETTERS, COUNTS = 4, 5
MIXED = Space(
    (Dial("letter", LETTERS, ordered=False), Dial("count", COUNTS, ordered=True), Dial("only", 1, ordered=True)),
    {
        DEFAULT if point == (0, 0) else f"{point[0]}-{point[1]}": (*point, 0)
        for point in itertools.product(range(LETTERS), range(COUNTS))
        if point != (1, 1)  # which contradicts itself
    },
)


def tried(names: list[str], *, miss: float = 0.0, costs: int = 2) -> dict[str, Tried]:
    none = (0.0,) * costs
    return {name: Tried(name, 1, miss, None, none, none, (Interval(),) * costs) for name in names}


def test_the_same_seed_and_history_make_the_same_block_and_another_seed_another() -> None:
    known = searched(useful, 1, 4)
    one, again, other = (next_block(SPACE, dict(known), frozenset(), seed, most_promising) for seed in (7, 7, 8))
    assert one == again
    assert one != other


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("miss", [0.0, 3.0])
@pytest.mark.parametrize("costs", [1, 3])
def test_a_proposal_may_be_tried_and_was_neither_tried_nor_failed(
    miss: float, costs: int, capfd: pytest.CaptureFixture[str]
) -> None:
    known, failed = [DEFAULT], ["0-1", "2-2"]
    while len(known) + len(failed) < len(MIXED.points):
        new = [name for name in MIXED.points if name not in (*known, *failed)]
        found = most_promising(MIXED, tried(known, miss=miss, costs=costs), new, PLACES, 2**40 + len(known))
        assert len(set(found)) == len(found) == min(PLACES, len(new))
        assert set(found) <= set(new)
        known += found
    assert {*known, *failed} == set(MIXED.points)
    assert capfd.readouterr() == ("", "")


def test_what_failed_does_not_come_again_and_when_few_are_left_all_come() -> None:
    left = {"ring3-poll1", "ring5-poll0"}
    failed = frozenset(SPACE.points) - {DEFAULT} - left
    assert set(next_block(SPACE, {}, failed, 1, most_promising)) == left
    assert next_block(SPACE, tried([DEFAULT]), failed | left, 1, most_promising) == ()


def test_what_it_never_thinks_of_is_drawn_at_random() -> None:
    points = {name: own for name, own in SPACE.points.items() if own[0] == RINGS - 1} | {DEFAULT: (1, 2)}
    beyond = replace(SPACE, dials=(Dial("ring", 2**30, ordered=True), SPACE.dials[1]), points=points)
    new = [name for name in points if name != DEFAULT]
    assert len(set(most_promising(beyond, {}, new, 3, 1)) & set(new)) == 3


def test_it_proposes_what_saves_enough_more_often_than_chance_does() -> None:
    known = searched(useful, 1, 5)
    new = [name for name in SPACE.points if name not in known]
    proposed = [most_promising(SPACE, known, new, 1, seed)[0] for seed in range(20)]
    saving = [name for name in proposed if useful(SPACE.points[name])[0] >= 99]
    chance = sum(useful(SPACE.points[name])[0] >= 99 for name in new) / len(new)
    assert len(saving) / len(proposed) > chance
