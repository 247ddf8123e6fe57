# SPDX-License-Identifier: Apache-2.0
"""Rounds: a run stops when it knows, or when its time is over, and repeats what can still decide something."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

import pytest
from builders import make_delivery, make_fio, make_record, make_summary, make_usage

from bpfbench.analysis.results import Results, of
from bpfbench.declare import plan
from bpfbench.declare.study import parse
from bpfbench.model import Record, Study, Trial, Variant
from bpfbench.run.rounds import Further, Goal, further

STUDY = replace(
    parse(
        'name = "mine"\n[factors]\nsetups = ["bcc", "libbpf", "aya-sync"]\nworkloads = "read"\ntools = "rw-tracer"', ""
    ),
    repetitions=4,
)
STEADY = {"bcc": 130e6, "libbpf": 2e6, "aya-sync": 2.01e6}
NOISE = (1.002, 0.999, 1.0015, 0.998, 1.0, 1.0005)


def record_of(trial: Trial, factor: float, pss_bytes: Mapping[str, float]) -> Record:
    noise = NOISE[trial.index % len(NOISE)]
    own = make_record(trial, fio=make_fio(runtime_s=10 * factor), summary=make_summary(trial))
    if trial.is_vanilla:
        return own
    return replace(own, usage=make_usage(pss_peak_bytes=round(pss_bytes[trial.setup] * noise)))


LITTLE = (1.0, 1.04, 0.98, 1.02, 0.97, 1.03, 1.01)
MUCH = (1.7, 0.8, 1.2, 0.6)


def results_of(study: Study, pss_bytes: Mapping[str, float] = STEADY) -> Results:
    """What a study left in which runtime is noise, and memory is not."""
    noisy = itertools.cycle(LITTLE)
    return of(record_of(trial, next(noisy), pss_bytes) for trial in plan.unroll(study).trials)


def noisy_results_of(study: Study) -> Results:
    """The same with much noise, around the same mean for all."""
    places = {setup: at for at, setup in enumerate(("vanilla", *STEADY))}
    trials = plan.unroll(study).trials
    return of(record_of(own, MUCH[(own.repetition + places[own.setup]) % len(MUCH)], STEADY) for own in trials)


def after(goal: Goal, study: Study = STUDY, elapsed_s: float = 0.0) -> Further:
    return further(study, lambda: results_of(study), goal, elapsed_s)


def test_a_run_without_a_goal_has_the_rounds_of_its_study() -> None:
    assert after(Goal(4)) == Further((), "")


def test_more_repetitions_are_the_rounds_that_a_longer_study_has() -> None:
    longer = plan.unroll(replace(STUDY, repetitions=6)).trials
    assert after(Goal(6)).trials == tuple(trial for trial in longer if trial.repetition == 5)
    assert longer[: len(plan.unroll(STUDY).trials)] == plan.unroll(STUDY).trials


def test_it_ends_when_what_was_asked_for_is_decided() -> None:
    found = after(Goal(1, until=("memory",)))
    assert found == Further((), "Everything that was asked for is decided after 4 rounds.")


def test_of_an_open_delay_the_trials_that_time_it_are_repeated_and_no_others() -> None:
    study = replace(STUDY, factors=replace(STUDY.factors, variants=(Variant.FULL, Variant.DELAY)))
    noisy = itertools.cycle(LITTLE)

    def recorded(trial: Trial) -> Record:
        own = record_of(trial, 1.0, STEADY)
        timed = trial.config is not None and trial.config.variant is Variant.DELAY
        return replace(own, delivery=make_delivery(p99_ms=4.0 * next(noisy))) if timed else own

    found = further(study, lambda: of(map(recorded, plan.unroll(study).trials)), Goal(1, until=("delay",)), 0.0)
    assert found.said == "Undecided after 4 rounds: delay."
    assert {trial.config.variant for trial in found.trials if trial.config} == {Variant.DELAY}
    assert any(trial.is_vanilla for trial in found.trials)


def test_what_there_are_no_numbers_for_is_not_called_decided() -> None:
    found = after(Goal(1, until=("power",)))
    assert found == Further((), "Nothing that was asked for can be decided. There are no numbers for: power.")
    some = after(Goal(1, until=("memory", "latency")))
    said = "Everything that was asked for is decided after 4 rounds. There are no numbers for: latency."
    assert some == Further((), said)


def test_nothing_is_decided_by_two_rounds() -> None:
    assert after(Goal(1, until=("memory",)), replace(STUDY, repetitions=2)).trials


def test_it_goes_on_while_something_is_open_and_says_what() -> None:
    found = after(Goal(1, until=("memory", "overhead")))
    assert found.said == "Undecided after 4 rounds: overhead."
    assert {trial.repetition for trial in found.trials} == {5}


def test_what_is_not_to_be_decided_by_anybody_ends_it_and_is_said() -> None:
    def after_much(*until: str) -> Further:
        return further(STUDY, lambda: noisy_results_of(STUDY), Goal(1, until=until), 0.0)

    said = "Nothing more can be decided after 4 rounds. Not to be decided here, as things look: overhead."
    assert after_much("overhead") == Further((), said)
    assert after_much("memory", "overhead") == Further((), said)
    assert further(STUDY, lambda: noisy_results_of(STUDY), Goal(1, seconds=600.0), 0.0).trials


def test_the_best_all_round_choice_can_be_asked_for() -> None:
    assert after(Goal(1, until=("all-round",))).said == "Undecided after 4 rounds: all-round."
    records = results_of(STUDY).records
    lossy = {"ring_full": 600}
    all_lose = of(
        own if own.trial.is_vanilla else replace(own, summary=make_summary(own.trial, saved=400, lost=lossy))
        for own in records
    )
    found = further(STUDY, lambda: all_lose, Goal(1, until=("all-round",)), 0.0)
    said = "Nothing that was asked for can be decided. Nobody is known to qualify for: all-round."
    assert found == Further((), said)


def test_who_can_decide_nothing_any_more_is_left_out_and_vanilla_stays() -> None:
    near = {**STEADY, "aya-sync": 2.12e6}  # worse than libbpf by a bit more than the margin
    found = further(STUDY, lambda: results_of(STUDY, near), Goal(1, until=("memory",)), 0.0)
    assert [trial.setup for trial in found.trials if not trial.is_vanilla and trial.setup == "bcc"] == []
    assert {trial.setup for trial in found.trials} == {"vanilla", "libbpf", "aya-sync"}


@pytest.mark.parametrize(("elapsed_s", "ends"), [(0.0, False), (10_000.0, True)])
def test_a_round_that_would_not_end_in_time_does_not_begin(elapsed_s: float, ends: bool) -> None:
    found = after(Goal(1, seconds=600.0), elapsed_s=elapsed_s)
    assert (not found.trials) == ends
    if ends:
        assert found.said.startswith("The time is over after 4 rounds; undecided: ")
