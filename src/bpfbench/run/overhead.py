# SPDX-License-Identifier: Apache-2.0
"""Overhead, measured: rounds of bare runs and tracers, on the user's own system, until it is decided or time is over.

A round is a randomised block: the bare target twice, each tracer once. From the fourth on, tracers of which it is
decided what they cost are left out, and so are those that only fail.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bpfbench import __version__
from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.questions.overhead import BARE, Overhead, overhead
from bpfbench.codec import decode, to_json
from bpfbench.errors import MachineError, StepError
from bpfbench.inside.monitors import cgroup
from bpfbench.machine import command, facts
from bpfbench.model import Status
from bpfbench.model.target import OVERHEAD_FORMAT, OverheadRecord, OverheadResult, OverheadSpec, OverheadStudy
from bpfbench.run.progress import ProgressReporter
from bpfbench.store import OverheadInfo, OverheadLog
from bpfbench.units import plural

FAILURES_MOST = 2
"""Who has failed so often, and never not, is not tried again."""

RunTrial = Callable[[OverheadSpec], OverheadResult]


def start(study: OverheadStudy, runs_dir: Path) -> OverheadLog:
    """Make the directory that everything measured is kept in.

    Raises:
        StoreError: it cannot be made.
    """
    now = datetime.now(UTC)
    path = runs_dir / f"{now:%Y%m%d-%H%M%S}-overhead"
    created_at = now.isoformat(timespec="seconds")
    info = OverheadInfo(OVERHEAD_FORMAT, path.name, created_at, __version__, study, facts.gather())
    return OverheadLog(path, info)


def run_trial(spec: OverheadSpec) -> OverheadResult:
    """Run one trial in a process of its own.

    Raises:
        StepError: that process was lost.
    """
    events: list[dict[str, Any]] = []
    argv = (*command.KILLED_WITH_US, sys.executable, "-m", "bpfbench.inside", "overhead")
    done = command.run(argv, stdin=to_json(spec, indent=None), on_line=lambda line: events.append(json.loads(line)))
    found = next((event["result"] for event in events if event["event"] == "result"), None)
    if found is None:
        if hierarchy := cgroup.hierarchy():
            for group in hierarchy.glob(f"{cgroup.PREFIX}{spec.name}*"):
                cgroup.remove(group)
        shutil.rmtree(spec.folder, ignore_errors=True)
        raise StepError(f"the trial's runner was lost (status {done.status}): {done.last_words}")
    result: OverheadResult = decode(OverheadResult, found, "result")
    return result


@dataclass(frozen=True, slots=True)
class FurtherRound:
    """What comes after the rounds so far."""

    tracers: tuple[int, ...]
    """That are in it, by position."""
    more: bool
    """Whether there is one."""
    said: str = ""
    """Why, or why not, for people."""


def further(found: Overhead, elapsed_s: float) -> FurtherRound:
    """Say what comes next, of rounds that have taken so long so far; pure."""
    study, done, everybody = found.study, found.rounds, tuple(range(len(found.study.tracers)))
    bare, *rows = found.rows
    if done and not bare.n and bare.failed:
        return FurtherRound((), False, f"The bare target fails: {bare.reason}")
    working = tuple(row.tracer for row in rows if row.tracer is not None and (row.n or row.failed < FAILURES_MOST))
    if done and not working:
        return FurtherRound((), False, f"No tracer works, after {plural(done, 'round')}.")
    if study.rounds is not None:
        return FurtherRound(working, done < study.rounds)
    if done < ROUNDS_LEAST:
        return FurtherRound(working if done else everybody, True)
    open_ = tuple(number for number in working if found.open(rows[number]))
    if not open_:
        return FurtherRound((), False, f"Everything is decided after {plural(done, 'round')}.")
    takes_s = elapsed_s / done * (2 + len(open_)) / (2 + len(everybody))
    if elapsed_s + takes_s > study.seconds:
        return FurtherRound((), False, f"The time is over after {plural(done, 'round')}.")
    return FurtherRound(open_, True)


def rounds_expected(found: Overhead, elapsed_s: float) -> int:
    """Return how many rounds there are going to be in all, as far as can be told."""
    study, done = found.study, found.rounds
    if study.rounds is not None or not done:
        return study.rounds or ROUNDS_LEAST
    in_time = max(ROUNDS_LEAST, int(study.seconds / (elapsed_s / done)))
    names = [metric.name for metric in study.target.decisive]
    asked = [row.compared[name] for row in found.rows[1:] for name in names if name in row.compared]
    needed = [own.rounds_needed for own in asked if own.amount and own.rounds_needed]
    unknown = len(needed) < len([own for own in asked if own.amount == "undecided"])
    return max(done, in_time if unknown else min(in_time, max(needed, default=done)))


def order(study: OverheadStudy, number: int, tracers: Sequence[int]) -> tuple[int | None, ...]:
    """Return the trials of a round in their order, the bare target's two among them: random, but alike for a seed."""
    entries = ((None, 1), (None, 2), *((tracer, 1) for tracer in tracers))

    def rank(entry: tuple[int | None, int]) -> bytes:
        return hashlib.sha256(f"{study.seed} {number} {entry[0]} {entry[1]}".encode()).digest()

    return tuple(entry[0] for entry in sorted(entries, key=rank))


class Rounds:
    """Measures round after round.

    Args:
        study: what is measured.
        log: where each trial is kept.
        reporter: shown how it goes.
        run: runs a trial.
    """

    def __init__(
        self, study: OverheadStudy, log: OverheadLog, reporter: ProgressReporter, run: RunTrial = run_trial
    ) -> None:
        self.records: list[OverheadRecord] = []
        """Of all trials so far."""
        self._study, self._log, self._reporter, self._run = study, log, reporter, run
        self._done = 0
        self._expected = (2 + len(study.tracers)) * (study.rounds or ROUNDS_LEAST)
        self._taken_s = 0.0

    def measure(self) -> None:
        """Measure all of it, the warm-up first.

        Raises:
            MachineError: the bare target does not work.
            StoreError: a trial cannot be kept.
        """
        first = self._trial(0, 1, None)
        if first.result.status is not Status.OK:
            raise MachineError(f"the bare target does not work: {first.result.reason}")
        began_s = time.monotonic()
        found = overhead(self._study, self.records)
        while (following := further(found, time.monotonic() - began_s)).more:
            number = found.rounds + 1
            for place, tracer in enumerate(order(self._study, number, following.tracers), 1):
                self._trial(number, place, tracer)
            found = overhead(self._study, self.records)
            left = rounds_expected(found, time.monotonic() - began_s) - number
            self._expected = self._done + left * (2 + len(following.tracers))
        if following.said:
            self._reporter.round_ended(following.said)

    def _trial(self, number: int, place: int, tracer: int | None) -> OverheadRecord:
        study = self._study
        called = BARE if tracer is None else study.tracers[tracer].called
        what = f"round {number}, {called}" if number else "warm-up"
        left_s = self._taken_s / self._done * (self._expected - self._done) if self._done else None
        self._reporter.measuring(what, self._done, max(self._expected, self._done + 1), left_s)
        spec = OverheadSpec(
            name=f"overhead-{os.getpid()}-{number}-{place}",
            folder=str((self._log.path / "partial").absolute()),
            target=study.target,
            tracer=None if tracer is None else study.tracers[tracer],
            deadlines=study.deadlines,
        )
        started_at, began_s = datetime.now(UTC).isoformat(timespec="milliseconds"), time.monotonic()
        try:
            result = self._run(spec)
        except StepError as error:
            result = OverheadResult(Status.FAILED, error.message, None, None)
        record = OverheadRecord(number, place, tracer, started_at, time.monotonic() - began_s, result)
        self._log.add(record)
        self.records.append(record)
        if number:
            self._done += 1
            self._taken_s += record.seconds
        self._reporter.measured(f"{what}: {said(study, result)} ({record.seconds:.1f} s)")
        return record


def said(study: OverheadStudy, result: OverheadResult) -> str:
    """Say in a line how a trial went."""
    if result.status is not Status.OK or result.target is None:
        return f"{result.status.upper()}: {result.reason}"
    values = result.target.values
    return ", ".join(f"{own.name} {values[own.name]:.4g} {own.unit}".strip() for own in study.target.compared)
