# SPDX-License-Identifier: Apache-2.0
"""A search tries what is new, repeats what looks best, and leaves alone what is known to be no good."""

from __future__ import annotations

import itertools
from dataclasses import replace

from searches import AIM, RINGS, SPACE, Machine, searched, useful

from bpfbench.analysis.inference import Interval
from bpfbench.analysis.questions.tuning.aim import DEFAULT, Tried, weigh
from bpfbench.analysis.questions.tuning.search import (
    Dial,
    LastRound,
    Place,
    Space,
    at_random,
    last_round,
    next_block,
    out,
    places,
    repeated,
)
from bpfbench.model.tuning import PLACES, SEARCH_TRIALS, VANILLA_TRIALS, validation_trials


def test_the_first_block_is_of_new_ones_alone() -> None:
    names = next_block(SPACE, {}, frozenset(), 1, at_random)
    assert len(set(names)) == PLACES
    assert DEFAULT not in names
    assert set(names) <= set(SPACE.points)


def test_the_same_seed_makes_the_same_search() -> None:
    assert searched(useful, 3, 4) == searched(useful, 3, 4)


def test_what_looks_best_is_tried_most_and_what_misses_the_limit_is_left() -> None:
    tried = searched(useful, 1, 10)
    few = [own.rounds for own in tried.values() if own.name != DEFAULT and own.miss > 0]
    many = [own.rounds for own in tried.values() if own.name != DEFAULT and own.miss == 0]
    assert max(few) < max(many)
    assert sum(few) / len(few) < sum(many) / len(many)


def test_what_failed_is_not_tried_again() -> None:
    failed = frozenset(SPACE.points) - {DEFAULT, "ring0-poll0"}
    assert next_block(SPACE, {}, failed, 1, at_random) == ("ring0-poll0",)


def test_what_is_ruled_out_by_a_test_is_not_repeated() -> None:
    machine = Machine(useful, 1)
    for _ in range(6):
        machine.block((DEFAULT, "ring0-poll0", "ring3-poll0", "ring5-poll0"))
    tried = weigh(machine.readings, AIM)
    assert "ring0-poll0" in out(tried)
    assert "ring3-poll0" not in out(tried)
    assert "ring0-poll0" not in repeated(tried, 2)


def test_where_all_miss_a_limit_nobody_is_ruled_out_for_that() -> None:
    machine = Machine(lambda point: (50.0 + point[0], 10.0, 2e6), 1)
    for _ in range(6):
        machine.block((DEFAULT, "ring0-poll0", "ring3-poll0"))
    assert not out(weigh(machine.readings, AIM)) & {"ring3-poll0"}


def test_what_saves_enough_is_found_and_most_often_the_smallest_ring_that_does() -> None:
    found = [last_round(searched(useful, seed, 10), SPACE) for seed in range(1, 6)]
    rings = [SPACE.points[own.best][0] for own in found if own is not None]
    assert len(rings) == len(found)
    assert min(rings) == 3  # the first that saves all
    assert rings.count(3) >= 4


def test_no_block_has_more_trials_than_are_reckoned_with() -> None:
    first = next_block(SPACE, {}, frozenset(), 1, at_random)
    assert VANILLA_TRIALS + len((DEFAULT, *first)) == SEARCH_TRIALS
    dials = tuple(Dial(str(at), 2, ordered=True) for at in range(3))
    points = itertools.product(range(2), repeat=3)
    space = Space(dials, {"".join(map(str, point)) if any(point) else DEFAULT: point for point in points})
    most = LastRound("111", ("001", "010"), space.set_back("111"))
    assert VANILLA_TRIALS + len(most.names) == validation_trials(3) == 9


def test_each_knob_that_differs_is_set_back_by_itself() -> None:
    assert SPACE.set_back("ring4-poll0") == {("ring",): "ring1-poll0", ("poll",): "ring4-poll2"}
    assert SPACE.set_back("ring4-poll2") == {("ring",): DEFAULT}
    fewer = replace(SPACE, points={name: own for name, own in SPACE.points.items() if own != (1, 0)})
    assert fewer.set_back("ring4-poll0") == {("ring", "poll"): DEFAULT, ("poll",): "ring4-poll2"}


def test_when_all_was_tried_the_best_go_on() -> None:
    machine, names = Machine(useful, 1), list(SPACE.points)
    for _ in range(2):
        machine.block(names)
    again = next_block(SPACE, weigh(machine.readings, AIM), frozenset(), 1, at_random)
    assert len(again) == PLACES
    assert all(SPACE.points[name][0] >= 3 for name in again)
    assert RINGS > 3


def test_a_knob_that_cannot_be_set_back_alone_is_set_back_with_as_few_others_as_need_be() -> None:
    dials = (Dial("ring", 2, ordered=True), Dial("watermark", 2, ordered=True), Dial("poll", 2, ordered=True))
    points = {point: "-".join(map(str, point)) for point in itertools.product((0, 1), repeat=3) if point[:2] != (0, 1)}
    space = Space(dials, {DEFAULT if point == (0, 0, 0) else name: point for point, name in points.items()})
    assert space.set_back("1-1-1") == {
        ("ring", "watermark"): "0-0-1",  # a watermark is never beyond its ring
        ("watermark",): "1-0-1",
        ("poll",): "1-1-0",
    }
    assert space.set_back("1-1-0")["ring", "watermark"] == DEFAULT


def test_what_goes_together_alone_is_one_row() -> None:
    dials = (Dial("ring", 2, ordered=True), Dial("watermark", 2, ordered=True))
    assert Space(dials, {DEFAULT: (0, 0), "both": (1, 1)}).set_back("both") == {("ring", "watermark"): DEFAULT}


def test_what_is_known_to_fail_is_nobodys_set_back() -> None:
    assert SPACE.set_back("ring4-poll0", {"ring1-poll0"}) == {
        ("ring", "poll"): DEFAULT,
        ("poll",): "ring4-poll2",
    }
    found = last_round(searched(useful, 1, 10), SPACE, set(SPACE.points) - {DEFAULT})
    assert found is not None
    assert set(found.backs.values()) == {DEFAULT}


def known(name: str, *ahead: float, miss: float = 0.0, rounds: int = 3) -> Tried:
    own = (0.0,) * len(ahead)
    return Tried(name, rounds, miss, None, ahead, own, (Interval(),) * len(ahead))


def line(*tried: Tried) -> tuple[Space, dict[str, Tried]]:
    """A space of one knob, whose default keeps to the limits and is beaten by all of these that do."""
    found = {own.name: own for own in (known(DEFAULT, 0.0, 0.0), *tried)}
    return Space((Dial("ring", len(found), ordered=True),), {name: (at,) for at, name in enumerate(found)}), found


def test_the_nearest_are_of_the_front_however_near_others_are() -> None:
    space, tried = line(
        known("best", 20.0, 20.0),
        known("far", 30.0, 1.0, rounds=9),
        known("cheap", 1.0, 30.0),
        known("behind", 19.9, 19.9),
        known("missed", 20.0, 20.0, miss=0.1),
        known("new", 40.0, 40.0, rounds=1),
    )
    tried["far"] = replace(tried["far"], ahead=(20.5, 1.0))
    found = last_round(tried, space)
    assert found is not None
    assert (found.best, found.nearest) == ("best", ("far", "cheap"))
    assert places(tried) == {
        DEFAULT: Place.BEHIND,
        "best": Place.FRONT,
        "far": Place.FRONT,
        "cheap": Place.FRONT,
        "behind": Place.BEHIND,
        "missed": Place.MISSED,
        "new": Place.LEFT_OUT,
    }


def test_where_the_front_has_too_few_those_behind_it_follow_and_last_who_misses_least() -> None:
    space, tried = line(known("best", 20.0, 20.0), known("behind", 5.0, 5.0), known("missed", 20.0, 20.0, miss=1.0))
    found = last_round(tried, space)
    assert found is not None
    assert found.nearest == ("behind", "missed")
    space, tried = line(known("best", 20.0, 20.0), *(known(f"m{at}", 20.0, 20.0, miss=at) for at in (3.0, 1.0, 2.0)))
    found = last_round(tried, space)
    assert found is not None
    assert found.nearest == ("m1.0", "m2.0")
