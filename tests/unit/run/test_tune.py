# SPDX-License-Identifier: Apache-2.0
"""What comes next of a setup that is tuned, where nothing can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from builders import (
    READ,
    make_config,
    make_failure,
    make_fio,
    make_record,
    make_summary,
    make_trial,
)

from bpfbench.analysis.questions.tuning.aim import DEFAULT, DELAY
from bpfbench.analysis.questions.tuning.search import at_random
from bpfbench.analysis.questions.tuning.tuned import TunedSetup, aim, shown
from bpfbench.declare import tuning
from bpfbench.declare.study import parse
from bpfbench.model import Criteria, Format, Record, Step, TracerConfig
from bpfbench.model.tuning import Finalists, TuningGoal
from bpfbench.report.documents.tune_in_words import headline
from bpfbench.run.tune import elapsed_s, following, least_s

STUDY = parse('name = "mine"\n[factors]\nsetups = "libbpf"\nworkloads = "read"\ntools = "rw-tracer"\n', "mine.toml")
GOAL = TuningGoal(("overhead",), 99.0, None, None, ("ringbuf_bytes",), 900.0)
USUAL = make_config()
CONFIGS = {DEFAULT: USUAL, **{f"ring{size}": replace(USUAL, ringbuf_bytes=size) for size in (2**20, 2**21, 2**22)}}


def setup(records: Sequence[Record], goal: TuningGoal = GOAL) -> TunedSetup:
    return TunedSetup("libbpf", goal, aim(goal, READ, Criteria()), CONFIGS, tuple(records), None, shown(goal, READ))


def block(number: int, failing: Sequence[TracerConfig]) -> list[Record]:
    trials = [make_trial("libbpf", number, config=config) for config in CONFIGS.values()]
    return [
        make_failure(trial, "no probe") if trial.config in failing else make_record(trial, fio=make_fio())
        for trial in trials
    ]


def test_a_setup_whose_default_never_ends_well_is_given_up_after_three_blocks() -> None:
    records = [record for number in range(3) for record in block(number, [USUAL])]
    assert following(setup(records[:8]), seed=1, number=2, propose=at_random).members
    own = setup(records)
    assert following(own, seed=1, number=3, propose=at_random).said == (
        "libbpf is given up: no trial of the default ended well; the last: no probe."
    )
    assert headline(own) == (
        "libbpf: nothing can be compared with the default: no trial of the default ended well; the last: no probe."
    )


@pytest.mark.parametrize(
    ("minimise", "failing", "why"),
    [
        (("energy",), [], "there are no numbers for: energy"),
        (("overhead",), [own for own in CONFIGS.values() if own != USUAL], "no trial of anything else ended well"),
    ],
)
def test_so_is_one_of_which_nothing_is_known(minimise: tuple[str, ...], failing: list[TracerConfig], why: str) -> None:
    records = [record for number in range(3) for record in block(number, failing)]
    found = following(setup(records, replace(GOAL, minimise=minimise)), seed=1, number=3, propose=at_random)
    assert (found.members, found.said) == ((), f"libbpf is given up: {why}.")


def test_what_was_not_tried_is_said_to_be_so() -> None:
    assert headline(setup([])) == "libbpf: nothing can be compared with the default: it was not tried."


def events(record: Record, saved: int) -> Record:
    return replace(record, summary=make_summary(record.trial, saved=saved)) if record.summary else record


def test_of_a_target_whose_events_nobody_knew_rings_that_held_a_tenth_of_them_are_tried_no_more() -> None:
    records = [events(record, 100_000) for record in block(0, [])]  # 16.8 MB in a ring, of which 2 MiB are 12 %
    own = setup(records)
    assert own.too_large == {f"ring{2**21}", f"ring{2**22}"}
    assert set(own.tried) == {DEFAULT, f"ring{2**20}"}
    assert following(own, seed=1, number=1, propose=at_random).members == (DEFAULT, f"ring{2**20}")
    assert own.held_percent(CONFIGS[f"ring{2**20}"]) == pytest.approx(6.24, abs=0.01)
    few = setup([events(record, 5000) for number in range(3) for record in block(number, [])])
    assert "a longer target has more" in following(few, seed=1, number=3, propose=at_random).said
    before = replace(own, offered_bytes=2**26)  # where it was known, they were left out before anything was run
    assert not before.too_large
    assert before.held_percent(CONFIGS[f"ring{2**22}"]) == 6.25


def test_a_delay_beyond_the_limit_is_missed_where_the_rate_was_not_known_before() -> None:
    slow = replace(USUAL, format=Format.TEXT)  # of lines of 50 bytes, the same buffer is full after 131 ms
    trials = [make_trial("libbpf", 0, config=config) for config in (USUAL, slow)]
    records = [events(make_record(trial, fio=make_fio(runtime_s=10.0)), 100_000) for trial in trials]
    goal = replace(GOAL, max_delay_ms=50.0)
    wanted = aim(goal, READ, Criteria())
    own = TunedSetup("libbpf", goal, wanted, {DEFAULT: USUAL, "slow": slow}, tuple(records), None, shown(goal, READ))
    assert DELAY.metric.read(records[0]) == pytest.approx(42.0, abs=0.1)
    assert own.tried[DEFAULT].miss == 0
    assert own.tried["slow"].miss > 1


def test_the_time_that_is_used_has_what_is_between_trials_and_not_what_is_between_sessions() -> None:
    def ended(at: str, session: str) -> Record:
        own = make_record(make_trial("libbpf", 0), session=session, started_at=f"2026-01-02T{at}Z")
        return replace(own, steps=(Step("workload", 3.0),))

    first = [ended("03:00:00", "1"), ended("03:00:20", "1")]  # a machine was started between them
    assert elapsed_s(first) == 23
    assert elapsed_s([*first, ended("09:00:00", "2")]) == 26
    assert elapsed_s([ended("03:00:00", "1")] * 3) == 9
    assert elapsed_s([]) == 0


def test_a_search_leaves_the_time_that_the_least_validation_takes() -> None:
    ended = (replace(own, steps=(Step("workload", 10.0),)) for number in range(3) for own in block(number, []))
    own = replace(setup(tuple(ended)), offered_bytes=2**30)  # 120 s; 7 trials more are 70 s, and 3 blocks of 7 are 210
    assert not following(replace(own, goal=replace(GOAL, seconds=400.0)), seed=1, number=3, propose=at_random).said
    least = following(replace(own, goal=replace(GOAL, seconds=399.0)), seed=1, number=3, propose=at_random)
    assert least.said.startswith("libbpf: 3 configurations tried")


def test_more_time_goes_on_with_a_validation_and_never_back_to_the_search() -> None:
    records: list[Record] = []
    for number, runtime_s in enumerate((10.0, 12.0, 9.0, 13.0, 8.0, 11.0)):
        for at, plain in enumerate(block(number, [])):
            slow = replace(plain, fio=make_fio(runtime_s=runtime_s + at * (-1) ** number))
            records.append(replace(slow, steps=(Step("workload", 10.0),)))
    best, *others = (own for own in CONFIGS.values() if own != USUAL)
    known = replace(setup(records), offered_bytes=2**30)
    own = replace(known, goal=replace(GOAL, seconds=240.0), finalists=Finalists("libbpf", 3, best, tuple(others)))
    assert following(own, seed=1, number=6, propose=at_random).said == "libbpf: the time is over after 3 fresh blocks."
    longer = following(replace(own, goal=GOAL), seed=1, number=6, propose=at_random)
    assert set(longer.members) == set(CONFIGS)
    assert longer.finalists is None
    least = replace(own, goal=replace(GOAL, seconds=least_s(own, STUDY)))
    assert following(least, seed=1, number=6, propose=at_random) == longer


def test_the_least_time_in_all_has_what_was_used_and_the_least_that_a_validation_takes() -> None:
    def ended(blocks: int) -> tuple[Record, ...]:
        records = (record for number in range(blocks) for record in block(number, []))
        return tuple(replace(own, steps=(Step("workload", 10.0),)) for own in records)

    own = replace(setup(ended(3)), offered_bytes=2**30)
    assert least_s(own, STUDY) == 120 + 3 * 7 * 10
    best, *others = (config for config in CONFIGS.values() if config != USUAL)
    last = Finalists("libbpf", 3, best, tuple(others))
    assert least_s(replace(own, finalists=last), STUDY) == 120 + 3 * 6 * 10  # the knob set back is the default
    assert least_s(replace(own, records=ended(5), finalists=last), STUDY) == 200 + 1 * 6 * 10
    assert least_s(replace(own, records=ended(6), finalists=last), STUDY) == 240 + 6 * 10  # for one block more
    assert least_s(setup([]), STUDY) == tuning.least_s(STUDY, GOAL)
