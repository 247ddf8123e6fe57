# SPDX-License-Identifier: Apache-2.0
"""Overhead, measured: rounds of bare trials and tracers, on the user's own system, until it is decided or time is over.

Bare trials come first, to warm up; of a short target, they tell how often it is to be run in each trial of all.
A round is a randomised block: the bare target twice, each tracer once, and where that is asked for, several at once.
From the fourth on, those of which it is decided what they cost are left out, and so are those that only fail. Last
come trials in which the kernel counts the run time of BPF programs: they are compared with nothing.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bpfbench import __version__
from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.questions.overhead import Costing, Overhead, overhead
from bpfbench.codec import decode, to_json
from bpfbench.declare.commands import IMAGE, SHIPPED
from bpfbench.errors import MachineError, StepError
from bpfbench.inside.monitors import cgroup
from bpfbench.machine import command, facts
from bpfbench.model import Attach, Status, Tool
from bpfbench.model.command import COMM, OUT, SUMMARY, CommandTracer
from bpfbench.model.target import (
    OVERHEAD_FORMAT,
    TIME,
    OverheadRecord,
    OverheadResult,
    OverheadSpec,
    OverheadStudy,
    Subject,
)
from bpfbench.run.overhead_log import OverheadInfo, OverheadLog
from bpfbench.run.progress import ProgressReporter
from bpfbench.run.stage import Means
from bpfbench.testbed import host, image, sandbox
from bpfbench.testbed.sandbox import HOST_FILES
from bpfbench.units import plural

DEFAULT_IMAGE = "trixie"

FAILURES_MOST = 2
"""Who has failed so often, and never not, is not tried again."""

TRIAL_LEAST_S = 0.3
"""A trial in which the target runs for less is mostly noise: then it runs several times,"""
TRIAL_S = 0.5
"""for so long in all."""
COLD_S = 1.0
"""By how much a first run may be the longer as files are not in the page cache, the target is run once more."""

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


def prepared(study: OverheadStudy, means: Means) -> OverheadStudy:
    """Return the study with its tracers as commands of this system, also those that are in the image, which is built.

    Raises:
        ImageError, MachineError: it cannot be built, or entered.
    """
    if not any(tracer.command[:1] == (IMAGE,) for tracer in study.tracers):
        return study
    host.VENUE.check()
    shipped = [SHIPPED.fullmatch(own.command[1]) for own in study.tracers if own.command[:1] == (IMAGE,)]
    setups = tuple(dict.fromkeys(found["setup"] for found in shipped if found))
    with ProgressReporter(means.console) as reporter:
        ready = image.build(means.cache, DEFAULT_IMAGE, means.sources, reporter.building, setups)
    testbed = host.HostTestbed(ready, host.headers_here(ready, means.cache), means.cache, means.cache)
    attach = Attach.KPROBE if Attach.KPROBE in testbed.hooks else Attach.TRACEPOINT

    def found_in_image(tracer: CommandTracer) -> CommandTracer:
        if tracer.command[:1] != (IMAGE,):
            return tracer
        words = tracer.command[1:]
        if ours := SHIPPED.fullmatch(words[0]):
            out = f"{HOST_FILES}{OUT}"
            tracer = replace(tracer, ready_line="^READY")
            words = (
                *testbed.tracer_command(ours["setup"]), "--tool", ours["tool"],
                "--attach", Attach.TRACEPOINT if ours["tool"] == Tool.SYSCOUNT else attach,
                "--target-comm", ours["comm"] or COMM, "--ringbuf-bytes", "262144", "--poll-ms", "100",
                "--payload-bytes", "4096", "--format", "text", "--output", out, "--summary", f"{out}{SUMMARY}",
            )  # fmt: skip
        return replace(tracer, command=sandbox.beside(testbed.sandbox(()), words))

    return replace(study, tracers=tuple(map(found_in_image, study.tracers)))


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
        reasons = [event["reason"] for event in events if event["event"] == "failed"]
        raise StepError(*reasons or [f"the trial's runner was lost (status {done.status}): {done.last_words}"])
    result: OverheadResult = decode(OverheadResult, found, "result")
    return result


@dataclass(frozen=True, slots=True)
class FurtherRound:
    """What comes after the rounds so far."""

    subjects: tuple[Subject, ...]
    """What is in it, besides the bare target."""
    more: bool
    """Whether there is one."""
    said: str = ""
    """Why, or why not, for people."""


def further(found: Overhead, elapsed_s: float) -> FurtherRound:
    """Say what comes next, after so long; pure."""
    study, done = found.study, found.rounds
    bare, *rows = found.rows
    if done and not bare.n and bare.failed:
        return FurtherRound((), False, f"The bare target fails: {bare.reason}")
    working = [row for row in rows if row.n or row.failed < FAILURES_MOST]
    in_next = tuple(row.subject for row in working)
    if done and not working:
        return FurtherRound((), False, f"No tracer works, after {plural(done, 'round')}.")
    if study.rounds is not None:
        return FurtherRound(in_next, done < study.rounds)
    if done < ROUNDS_LEAST:
        return FurtherRound(in_next, True)
    open_ = {row.subject for row in working if found.open(row)}
    wanted = {member for subject in open_ if len(subject) > 1 for member in subject}  # who it is held against
    following = [row for row in working if row.subject in open_ or (len(row.subject) == 1 and row.subject[0] in wanted)]
    if not following:
        return FurtherRound((), False, f"Everything is decided after {plural(done, 'round')}.")
    takes_s = 2 * bare.seconds + sum(row.seconds for row in following)
    left_s = time_for(found, elapsed_s, takes_s) - elapsed_s - sum(row.seconds for row in to_be_counted(found))
    if takes_s > left_s:
        return FurtherRound((), False, f"The time is over after {plural(done, 'round')}.")
    return FurtherRound(tuple(row.subject for row in following), True)


def time_for(found: Overhead, elapsed_s: float, round_s: float) -> float:
    """Return how long it takes in all: longer than was meant, where that can decide what is open; pure."""
    study, rounds = found.study, found.rounds_for(own.rounds_at_least for own in found.still_open())
    can = rounds is not None and elapsed_s + (rounds - found.rounds) * round_s <= study.seconds_at_most
    return max(study.seconds, study.seconds_at_most) if can else study.seconds


def to_be_counted(found: Overhead) -> tuple[Costing, ...]:
    """Return those of whose BPF programs the run time is to be counted, in a trial of its own."""
    return tuple(row for row in found.rows if row.n and row.bpf and row.bpf.programs)


def runs_needed(time_s: float, runs: int) -> int:
    """Return how often the target is to be run in a trial, where a run took so long, of so many; pure."""
    return runs if time_s * runs >= TRIAL_LEAST_S else math.ceil(TRIAL_S / time_s)


def rounds_expected(found: Overhead, elapsed_s: float) -> int:
    """Return how many rounds there are going to be in all, as far as can be told."""
    study, done = found.study, found.rounds
    if study.rounds is not None or not done:
        return study.rounds or ROUNDS_LEAST
    round_s, rounds = elapsed_s / done, found.rounds_for(own.rounds_needed for own in found.still_open())
    in_time = max(ROUNDS_LEAST, int(time_for(found, elapsed_s, round_s) / round_s))
    return max(done, in_time if rounds is None else min(in_time, rounds))


def order(study: OverheadStudy, number: int, subjects: Sequence[Subject]) -> tuple[Subject, ...]:
    """Return the trials of a round in their order, the bare target's two among them: random, but alike for a seed.

    So is the order in which tracers are started that run at once.
    """

    def rank(*what: object) -> bytes:
        return hashlib.sha256(" ".join(map(str, (study.seed, number, *what))).encode()).digest()

    entries = (((), 1), ((), 2), *((subject, 1) for subject in subjects))
    ordered = sorted(entries, key=lambda entry: rank(*entry))
    return tuple(tuple(sorted(subject, key=lambda member: rank(subject, member))) for subject, _ in ordered)


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
        self._done, self._runs = 0, 1
        self._expected = (2 + len(study.subjects)) * (study.rounds or ROUNDS_LEAST)
        self._taken_s = 0.0

    def measure(self) -> None:
        """Measure all of it, the warm-up first.

        Raises:
            MachineError: the bare target does not work.
            StoreError: a trial cannot be kept.
        """
        began_s = time.monotonic()
        self._warm_up()
        found = overhead(self._study, self.records)
        while (following := further(found, time.monotonic() - began_s)).more:
            number = found.rounds + 1
            for place, tracers in enumerate(order(self._study, number, following.subjects), 1):
                self._trial(number, place, tracers)
            found = overhead(self._study, self.records)
            left = rounds_expected(found, time.monotonic() - began_s) - number
            self._expected = self._done + left * (2 + len(following.subjects)) + len(to_be_counted(found))
        if following.said:
            self._reporter.round_ended(following.said)
        for row in to_be_counted(found):
            self._trial(0, len(self.records), row.subject, counted=True)

    def _warm_up(self) -> None:
        """Run the bare target, until it is known how many runs of it a trial takes."""
        for place in itertools.count(1):
            found = self._trial(0, place, ()).result
            if found.status is not Status.OK or found.target is None:
                raise MachineError(f"the bare target does not work: {found.reason}")
            needed = runs_needed(found.target.values[TIME.name], self._runs)
            if self._study.run_once or (needed == self._runs and (place > 1 or found.target.seconds >= COLD_S)):
                return
            self._runs = needed

    def _trial(self, number: int, place: int, tracers: Subject, *, counted: bool = False) -> OverheadRecord:
        study = self._study
        called = study.called(tracers)
        what = f"round {number}, {called}" if number else f"{called}, with run time counted" if counted else "warm-up"
        what += f" of {self._runs} runs" if what == "warm-up" and self._runs > 1 else ""
        left_s = self._taken_s / self._done * (self._expected - self._done) if self._done else None
        self._reporter.measuring(what, self._done, max(self._expected, self._done + 1), left_s)
        spec = OverheadSpec(
            name=f"overhead-{os.getpid()}-{number}-{place}",
            folder=str((self._log.path / "partial").absolute()),
            target=study.target,
            tracers=tuple(study.tracers[tracer] for tracer in tracers),
            runs=self._runs,
            deadlines=study.deadlines,
            counted=counted,
        )
        started_at, began_s = datetime.now(UTC).isoformat(timespec="milliseconds"), time.monotonic()
        try:
            result = self._run(spec)
        except StepError as error:
            result = OverheadResult(Status.FAILED, error.message, None)
        record = OverheadRecord(number, place, tracers, started_at, time.monotonic() - began_s, result, counted)
        self._log.add(record)
        self.records.append(record)
        if number or counted:
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
