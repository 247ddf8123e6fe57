# SPDX-License-Identifier: Apache-2.0
"""Tuning: block after block, what the next one has follows from what all before it left.

Setup after setup is searched, and validated in fresh blocks. Nothing is kept but the records and who is validated
(tune.json), which is written before the first of these blocks is in the plan: a run that was killed goes on with the
block that it was in.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bpfbench.analysis import results
from bpfbench.analysis.questions.tuning.aim import DEFAULT
from bpfbench.analysis.questions.tuning.search import Propose, at_random, last_round, next_block
from bpfbench.analysis.questions.tuning.tuned import TunedSetup, tuned
from bpfbench.declare import plan, tuning
from bpfbench.errors import UsageError
from bpfbench.factors import KNOBS
from bpfbench.model import Record, Study, TracerConfig, Trial, TunedValues
from bpfbench.model.tuning import SEARCH_TRIALS, VANILLA_TRIALS, Finalists, Tuning, validation_trials
from bpfbench.run import memory
from bpfbench.run.progress import ProgressReporter
from bpfbench.store import Run
from bpfbench.units import exactly, plural

VALIDATION_MOST = 100
"""Blocks of a validation, however long it may take."""
BESIDE_BYTES = 2**30
"""Of memory that stays free for the target, and a tracer that compiles."""


def extend(run: Run, seconds: float) -> None:
    """Give each setup of a run so much time in all, what it had included.

    What is validated stays so: time decides when a search or a validation ends, and not which of them a setup is in.

    Raises:
        StoreError: it tunes nothing, cannot be written, or is being run.
        UsageError: so little time would leave a setup without a validation; says how much does not.
    """
    with run.locked():
        if (known := run.tuning()) is not None and known.goal.seconds != seconds:
            _require_time(run, seconds)
            run.keep_tuning(replace(known, goal=replace(known.goal, seconds=seconds)))


def _require_time(run: Run, seconds: float) -> None:
    study = run.info.study
    needed = {own.setup: least_s(own, study) for own in read(run) if _goes_on(own, study.seed)}
    setup = max(needed, key=needed.__getitem__, default=None)
    if setup is not None and seconds < needed[setup]:
        minutes = math.ceil(needed[setup] / 60)
        raise UsageError(
            f"option --for: {exactly(seconds)} in all is too short: what {setup} has used, and a validation at least, "
            f"take {minutes} min",
            f"choose {minutes}min or more",
        )


def _goes_on(own: TunedSetup, seed: int) -> bool:
    """Tell whether more time would be used."""
    endless = replace(own, goal=replace(own.goal, seconds=math.inf))
    number = max((record.trial.block for record in own.records), default=-1) + 1
    return bool(following(endless, seed, number, at_random).members)


def least_s(own: TunedSetup, study: Study) -> float:
    """Return in which time in all a setup comes to a validation: what it used, and what that takes at least.

    A validation that has its least blocks takes one more. What was not begun takes what is estimated.
    """
    if not own.records:
        return tuning.least_s(study, own.goal)
    members = own.validation.members if own.validation else ()
    trials = len(members) + VANILLA_TRIALS if members else validation_trials(len(own.goal.knobs))
    blocks = len({record.trial.block for record in own.fresh})
    return elapsed_s(own.records) + _trial_s(own.records) * trials * max(1, tuning.VALIDATION_LEAST - blocks)


@dataclass(frozen=True, slots=True)
class Next:
    """What comes next of a setup."""

    members: tuple[str, ...] = ()
    """Of its next block, by name; nobody: it is done with."""
    said: str = ""
    finalists: Finalists | None = None
    """Who is validated from that block on."""


def following(own: TunedSetup, seed: int, number: int, propose: Propose) -> Next:
    """Say what comes next of a setup, by what is known of it.

    Args:
        own: what is known.
        seed: of the run.
        number: of the next block.
        propose: who thinks of new configurations.
    """
    elapsed, each = elapsed_s(own.records), _trial_s(own.records)
    if not own.is_searched and len({record.trial.block for record in own.records}) >= tuning.SEARCH_LEAST:
        return Next(said=f"{own.setup} is given up: {own.unsearched}.")
    if own.finalists is None:
        block_s = each * SEARCH_TRIALS
        reserve_s = max(
            each * validation_trials(len(own.goal.knobs)) * tuning.VALIDATION_LEAST,
            tuning.SHARE_OF_VALIDATION * own.goal.seconds,
        )
        if elapsed + block_s + reserve_s <= own.goal.seconds or not own.tried:
            names = next_block(own.space, own.tried, own.failed | own.too_large, 1000 * seed + number, propose)
            if names:
                return Next((DEFAULT, *names))
        last = last_round(own.tried, own.space, own.failed) if own.tried else None
        searched = f"{own.setup}: {plural(len(own.tried) - 1, 'configuration')} tried"
        if last is None:
            return Next(said=f"{searched}; none looks better than the default by more than the margin.")
        configs = own.configs
        chosen = Finalists(own.setup, number, configs[last.best], tuple(configs[name] for name in last.nearest))
        return Next(last.names, f"{searched}; {last.best} is validated in fresh blocks.", chosen)
    found = own.validation
    if found is None:
        return Next()
    blocks = len({record.trial.block for record in own.fresh})
    block_s = each * (VANILLA_TRIALS + len(found.members))
    over = elapsed + block_s > own.goal.seconds and blocks >= tuning.VALIDATION_LEAST
    if found.is_decided:
        return Next(said=f"{own.setup}: decided after {plural(blocks, 'fresh block')}.")
    if over or blocks >= VALIDATION_MOST:
        return Next(said=f"{own.setup}: the time is over after {plural(blocks, 'fresh block')}.")
    return Next(found.members)


def elapsed_s(records: Sequence[Record]) -> float:
    """Return how long trials took, with warm-ups and the start of machines between them, by sessions.

    What a session does before its first trial is not in it.
    """
    sessions = defaultdict[str, list[Record]](list)
    for record in records:
        sessions[record.session].append(record)
    return sum(map(_session_s, sessions.values()))


def _session_s(records: Sequence[Record]) -> float:
    began = [datetime.fromisoformat(record.started_at).timestamp() for record in records]
    ended = max(at + record.seconds for at, record in zip(began, records, strict=True))
    return max(ended - min(began), sum(record.seconds for record in records))


def _trial_s(records: Sequence[Record]) -> float:
    return elapsed_s(records) / len(records) if records else 0.0


def is_over(run: Run) -> bool:
    """Tell whether there is nothing left to be run.

    Raises:
        StoreError: it cannot be read.
    """
    planned = run.plan()
    number = max((trial.block for trial in planned), default=-1) + 1
    if {trial.id for trial in planned} - run.done():
        return False
    # Whether there is a block follows from what is left, whoever is drawn of it.
    return not any(following(own, run.info.study.seed, number, at_random).members for own in read(run))


def read(run: Run) -> list[TunedSetup]:
    """Read a run that tunes: each setup that it has.

    Raises:
        StoreError: it cannot be read.
    """
    known = run.tuning()
    return _read(run, known, _names(run, known)) if known else []


def _read(run: Run, state: Tuning, names: Mapping[str, Mapping[TracerConfig, str]]) -> list[TunedSetup]:
    found, work = results.load(run), tuning.workload(run.info.study)
    return [tuned(found, state, setup, own, work) for setup, own in names.items()]


def _names(run: Run, state: Tuning) -> dict[str, dict[TracerConfig, str]]:
    """Return all that may be tried, by setup, with its names: tens of thousands, where all knobs are turned."""
    found = tuning.spaces(run.info.study, state.allows).by_setup
    return {setup: tuning.names(configs, state.goal.knobs) for setup, configs in found.items()}


class Tuner:
    """Gives a run that tunes the blocks that it lacks, one when it is asked.

    Args:
        run: which.
        reporter: is told how it goes.
        propose: who thinks of new configurations.
    """

    def __init__(self, run: Run, reporter: ProgressReporter, propose: Propose) -> None:
        self._run, self._reporter, self._propose = run, reporter, propose
        self._done: set[str] = set()
        self._names: dict[str, dict[TracerConfig, str]] = {}

    def __call__(self) -> tuple[Trial, ...]:
        """Add the next block to the plan, and return its trials; nothing: all setups are tuned.

        Raises:
            StoreError: the run cannot be read, or written.
        """
        known = self._run.tuning()
        if known is None:
            return ()
        planned, study = self._run.plan(), self._run.info.study
        number = max((trial.block for trial in planned), default=-1) + 1
        self._names = self._names or _names(self._run, known)
        for own in _read(self._run, known, self._names):
            if own.setup in self._done:
                continue
            found = following(own, study.seed, number, self._propose)
            if found.said:
                self._reporter.round_ended(found.said)
            if found.finalists:
                self._run.keep_tuning(replace(known, finalists=(*known.finalists, found.finalists)))
            if found.members:
                configs = [own.configs[name] for name in found.members]
                what, hint = "the next block", "free memory; nothing that was measured is lost"
                memory.require_rings(study, configs, known.cpus, hint, what=what, spared_bytes=BESIDE_BYTES)
                trials = plan.block(study, own.setup, configs, number, len(planned))
                self._run.extend(replace(study, repetitions=number + 1), trials)
                return trials
            self._done.add(own.setup)
        return ()


def result(run: Run, found: Sequence[TunedSetup]) -> Study:
    """Return the study of what was found: each setup as it is by default, and as it is tuned."""
    study, known = run.info.study, run.tuning()
    knobs = known.goal.knobs if known else ()
    usual = replace(study.factors, **{name: KNOBS[name].default for name in knobs})
    tuned = (
        TunedValues(own.setup, **{name: getattr(own.chosen, KNOBS[name].field) for name in knobs})
        for own in found
        if own.chosen != own.configs[DEFAULT]
    )
    said = f"what bpfbench tune found in run {run.info.id}, beside the defaults"
    return replace(study, name="tuned", description=said, repetitions=5, factors=usual, tuned=tuple(tuned))
