# SPDX-License-Identifier: Apache-2.0
"""Rounds: how far a run goes, and which trials of a further round are worth running.

A round is one repetition of everything: after each, what is there is a complete study. A run can be given more rounds
than its study has, until a time is over, or its needs are decided, as far as they can be by anybody. Intervals hold at
every look (analysis/anytime.py), so stopping by them does no harm. A further round leaves out what cannot decide
anything any more: setups that no open need may still name, and cases that say nothing of one. Vanilla stays in every
block.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

from bpfbench.analysis import results
from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.decision import Outcome
from bpfbench.analysis.questions.needs import ALL_ROUND, Answer, answers, round_s
from bpfbench.analysis.results import Results
from bpfbench.declare import plan
from bpfbench.model import Study, Trial
from bpfbench.run.progress import ProgressReporter
from bpfbench.store import Run
from bpfbench.units import plural


@dataclass(frozen=True, slots=True)
class Goal:
    """When a run has enough rounds."""

    repetitions: int
    """Rounds that are run in any case."""
    until: tuple[str, ...] = ()
    """Further ones are, until these needs are decided, by key; empty: their being decided ends nothing."""
    seconds: float | None = None
    """Further ones are, as long as they would end by then; None: time ends nothing."""

    @property
    def open_ended(self) -> bool:
        """Whether there are rounds beyond the repetitions."""
        return bool(self.until) or self.seconds is not None


@dataclass(frozen=True, slots=True)
class Further:
    """What comes after the rounds so far."""

    trials: tuple[Trial, ...]
    """Of the next round; empty: the run is over."""
    said: str
    """Why, for people; empty where it goes without saying."""


def further(study: Study, read: Callable[[], Results], goal: Goal, elapsed_s: float) -> Further:
    """Say what comes next.

    Args:
        study: as it is; its repetitions are the rounds so far.
        read: returns what they left; it is asked only where that decides.
        goal: when there are enough.
        elapsed_s: for how long rounds have been run.
    """
    done = study.repetitions
    if done < goal.repetitions:
        return Further(_round(study, done + 1), "")
    if not goal.open_ended:
        return Further((), "")
    following, so_far = _round(study, done + 1), read()
    asked = [
        (own, answer)
        for own in answers(so_far, study.criteria)
        for answer in own.each
        if not goal.until or answer.need.key in goal.until
    ]
    open_ = [(own, answer) for own, answer in asked if answer.decision.outcome is Outcome.UNDECIDED]
    hopeless = [answer for own, answer in open_ if goal.until and own.is_hopeless(answer)]
    hopeful = [answer for own, answer in open_ if not (goal.until and own.is_hopeless(answer))]
    so_long, beside = f"after {plural(done, 'round')}", _beside(goal, [answer for _, answer in asked], hopeless)
    if goal.until and not asked:
        return Further((), f"Nothing that was asked for can be decided.{beside}")
    if goal.until and not hopeful and done >= ROUNDS_LEAST:
        decided = "Nothing more can be decided" if hopeless else "Everything that was asked for is decided"
        return Further((), f"{decided} {so_long}.{beside}")
    worth = worth_repeating(following, hopeful) if hopeful and done >= ROUNDS_LEAST else following
    takes_s = (round_s(so_far) or 0.0) * _longest_share(worth, study) / len(following)
    if goal.seconds is not None and elapsed_s + takes_s > goal.seconds:
        return Further((), f"The time is over {so_long}; undecided: {_named([*hopeful, *hopeless])}.")
    return Further(worth, f"Undecided {so_long}: {_named(hopeful)}.")


def _beside(goal: Goal, asked: Iterable[Answer], hopeless: Sequence[Answer]) -> str:
    """Say what of that which was asked for is not to be decided, and why."""
    lacking = [key for key in goal.until if key not in {answer.need.key for answer in asked}]
    numbers = ", ".join(key for key in lacking if key != ALL_ROUND)
    said = [
        f" Not to be decided here, as things look: {_named(hopeless)}." if hopeless else "",
        f" There are no numbers for: {numbers}." if numbers else "",
        f" Nobody is known to qualify for: {ALL_ROUND}." if ALL_ROUND in lacking else "",
    ]
    return "".join(said)


def _named(found: Iterable[Answer]) -> str:
    """Name needs, by key."""
    return ", ".join(dict.fromkeys(answer.need.key for answer in found)) or "nothing"


def _longest_share(trials: Sequence[Trial], study: Study) -> int:
    """Return how many of a round's trials come one after the other: on a cluster hosts work side by side."""
    if study.testbed != "cluster":
        return len(trials)
    return max(Counter(trial.host for trial in trials).values(), default=0)


def _round(study: Study, number: int) -> tuple[Trial, ...]:
    """Return the trials of one round, as the plan of a longer study has them."""
    trials = plan.unroll(replace(study, repetitions=number)).trials
    return tuple(trial for trial in trials if trial.repetition == number)


def worth_repeating(trials: Sequence[Trial], open_: Iterable[Answer]) -> tuple[Trial, ...]:
    """Leave out the trials of a round that can decide none of the open needs. Vanilla stays in every block."""
    wanted = {
        (setup, contest.vanilla.workload, contest.vanilla.tool, contest.of_variant(answer.need.variant))
        for answer in open_
        for setup in answer.decision.possible
        for contest in answer.decision.contested
    }

    def is_wanted(trial: Trial) -> bool:
        return (trial.setup, trial.workload, trial.tool, trial.config) in wanted

    kept: list[Trial] = []
    for _, block in groupby(trials, key=lambda trial: trial.block):
        own = list(block)
        if any(map(is_wanted, own)):
            kept += [trial for trial in own if trial.is_vanilla or is_wanted(trial)]
    return tuple(kept)


class Extension:
    """Gives a run the rounds that it lacks, one when it is asked."""

    def __init__(self, run: Run, goal: Goal, reporter: ProgressReporter) -> None:
        self._run, self._goal, self._reporter, self._began_s = run, goal, reporter, time.monotonic()

    def __call__(self) -> tuple[Trial, ...]:
        """Add the next round to the plan, and return its trials; nothing: there are enough.

        Raises:
            StoreError: the run cannot be read, or written.
        """
        study = self._run.info.study
        found = further(study, partial(results.load, self._run), self._goal, time.monotonic() - self._began_s)
        if found.said:
            self._reporter.round_ended(found.said)
        if found.trials:
            self._run.extend(replace(study, repetitions=study.repetitions + 1), found.trials)
        return found.trials
