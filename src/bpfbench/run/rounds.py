# SPDX-License-Identifier: Apache-2.0
"""Rounds: how far a run goes, and which trials of a further round are worth running.

A round is one repetition of everything: after each, what is there is a complete study. A run can be given more rounds
than its study has, until a time is over or its needs are decided. Intervals hold at every look (analysis/anytime.py),
so stopping by them does no harm. A further round leaves out what cannot decide anything any more: setups that no open
need may still name, and cases that say nothing of one. Vanilla stays in every block.
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
from bpfbench.analysis.questions.needs import Answer, answers, round_s
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
        answer
        for own in answers(so_far, study.criteria)
        for answer in own.needs
        if not goal.until or answer.need.key in goal.until
    ]
    open_ = [answer for answer in asked if answer.decision.outcome is Outcome.UNDECIDED]
    named = ", ".join(answer.need.key for answer in open_) or "nothing"
    so_long = f"after {plural(done, 'round')}"
    lacking = ", ".join(key for key in goal.until if key not in {answer.need.key for answer in asked})
    without = f" There are no numbers for: {lacking}." if lacking else ""
    if goal.until and not asked:
        return Further((), f"Nothing that was asked for can be decided.{without}")
    if goal.until and not open_ and done >= ROUNDS_LEAST:
        return Further((), f"Everything that was asked for is decided {so_long}.{without}")
    worth = worth_repeating(following, open_) if open_ and done >= ROUNDS_LEAST else following
    takes_s = (round_s(so_far) or 0.0) * _longest_share(worth, study) / len(following)
    if goal.seconds is not None and elapsed_s + takes_s > goal.seconds:
        return Further((), f"The time is over {so_long}; undecided: {named}.")
    return Further(worth, f"Undecided {so_long}: {named}.")


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
        (setup, contest.vanilla.workload, contest.vanilla.tool, contest.config)
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
