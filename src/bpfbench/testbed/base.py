# SPDX-License-Identifier: Apache-2.0
"""A testbed: makes up specs, converses with the programs in the image, and keeps their records.

How a command gets into the image is what testbeds differ in: Testbed.inside.
"""

from __future__ import annotations

import abc
import datetime
import json
import logging
import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeVar

from bpfbench.codec import decode, from_json, to_json
from bpfbench.errors import LostError, MachineError, StepError
from bpfbench.machine import facts
from bpfbench.machine.command import Finished, Hold
from bpfbench.model import (
    LOCAL,
    Accelerator,
    Attach,
    Deadlines,
    DrivenTarget,
    Record,
    Setup,
    Sources,
    Study,
    TraceSpec,
    Trial,
    TrialSpec,
    Workload,
    blank_record,
)
from bpfbench.model.check import CaseVerdict, CheckSpec
from bpfbench.model.drain import DrainResult, DrainSpec
from bpfbench.model.roofline import Roofline, RooflineSpec
from bpfbench.testbed import image as images
from bpfbench.testbed.carried import TARGET, Carried, own_files
from bpfbench.testbed.image import Image, layers
from bpfbench.testbed.image.layers import Progress
from bpfbench.testbed.job import Job
from bpfbench.testbed.sandbox import INSIDE
from bpfbench.units import gib

OnEvent = Callable[[dict[str, Any]], None]
"""Told of what a program in the image says."""

LOG = logging.getLogger("bpfbench.testbed")

RUNNER = ("python3", "-m", "bpfbench.inside")

FAILED = '{"event": "failed"'
"""What a line of a trace begins with that says why there is none."""

ROOFLINE_S = 120.0
"""What one repetition of a roofline may take: 16 s where nothing is emulated."""

R = TypeVar("R")

SLACK_S = 120.0
"""What a trial may take beyond its steps' deadlines (to prepare, to verify) before the runner is taken for hung."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much the disks of a virtual machine must hold, in bytes; 0: there is no such disk."""

    data: int = 0
    output: int = 0


class Testbed(abc.ABC):
    """Runs trials in an image. Use as a context manager: on leaving, nothing of it is running.

    Args:
        image: a built image.
        data_dir: where fio's data files are kept.
        output_dir: on the file system that tracers write to.
        setups: those with a command of their own; all others are the image's.
        targets: those besides fio that trials drive.
    """

    accelerator: Accelerator | None = None
    """Of the virtual machines; None where there are none."""
    slowness: float = 1.0
    """What deadlines are multiplied by."""
    warms_up: bool = True
    """Whether what a trial leaves makes the next one faster or slower in a way that counts."""
    boots_blocks: bool = False
    """Whether each block finds a machine that has just booted."""

    def __init__(
        self,
        image: Image,
        data_dir: Path,
        output_dir: Path,
        setups: Sequence[Setup] = (),
        targets: Sequence[DrivenTarget] = (),
    ) -> None:
        self.image = image
        self.data_dir = data_dir
        self.output_dir = output_dir
        self.carried = Carried(
            image, {setup.name: setup for setup in setups}, {target.name: target for target in targets}
        )
        self._session = f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S.%fZ}"

    @property
    def emulated(self) -> bool:
        """Whether it proves correctness only: what takes which time says nothing there."""
        return self.accelerator is Accelerator.TCG

    @property
    def cpus(self) -> int:
        """How many CPUs there are for a trial."""
        return int(self.facts["cpus"])

    def data_files(self, workloads: Iterable[Workload]) -> Iterable[Path]:  # noqa: ARG002 - others have some
        """Return the files that workloads' data is in, of those that are there already."""
        return ()

    def require_room(self, output_bytes: int, hint: str | None = None) -> None:
        """Refuse to have tracers write so much where there is no room for it.

        Raises:
            MachineError: with the numbers.
        """
        storage = facts.storage(self.output_dir)
        if storage.free_bytes < output_bytes:
            free, most = gib(storage.free_bytes), gib(output_bytes)
            raise MachineError(f"{storage.path} has {free} free; tracers may write {most} there", hint)

    @property
    def setups(self) -> frozenset[str]:
        """The setups that have a tracer here."""
        return frozenset((*self.image.setups, *self.carried.setups))

    @property
    @abc.abstractmethod
    def hooks(self) -> frozenset[Attach]:
        """The flavours of attaching that every kernel of it has."""

    @property
    @abc.abstractmethod
    def facts(self) -> dict[str, Any]:
        """What a reader of results needs to know of machine and testbed, but for the image; ready for JSON."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close(at_once=kind is not None)

    def close(self, *, at_once: bool = False) -> None:  # noqa: B027 - nothing to do where nothing goes on running
        """End what is still running; `at_once`: without asking it to."""

    @abc.abstractmethod
    def inside(self, job: Job, on_line: Callable[[str], None]) -> Finished:
        """Run a job to its end, and call `on_line` with every line of its stdout.

        Raises:
            LostError: the virtual machine it ran on was lost.
        """

    @abc.abstractmethod
    def discard_outputs(self) -> None:
        """Delete the output of trials that ended with the machine, an end that nothing of ours survives to see."""

    def lay_out(self, spec: TrialSpec, progress: OnEvent) -> None:
        """Write the data files that a trial works on, where it runs, unless they are there.

        Raises:
            LostError: the virtual machine was lost.
            StepError: they could not be written.
        """
        spec = self._complete(spec, "layout")
        job = self._job("layout", spec, spec.settings.deadlines.layout_s)
        finished, reason = self._converse(job, progress)
        if finished.status != 0:
            raise StepError(f"data files {job.data} of host {self.host_name(spec.trial)}: {reason}")

    def run(self, spec: TrialSpec, record_dir: Path, progress: OnEvent) -> Record:
        """Run a trial, leave its files in `record_dir` (empty, existing), and return its record.

        `spec` says which trial, and what was before it; all that is the testbed's to say is filled in here. A runner
        that hangs or crashes, or a machine that is lost, makes a failed trial; nothing is raised for it.

        Raises:
            OSError: what the trial leaves cannot be written, as a file system is full.
        """
        trial = spec.trial
        spec = self._complete(spec, trial.workload.name)
        (record_dir / "spec.json").write_text(to_json(spec))
        deadlines = spec.settings.deadlines
        job = replace(
            self._job("run", spec, deadlines.ready_s + deadlines.workload_s + deadlines.drain_s),
            output=trial.id,
            keep_output_as=f"{self._session}-{trial.id}" if spec.settings.keep_output else None,
            record_dir=record_dir,
        )
        started_at = _now()
        try:
            finished, reason = self._converse(job, progress)
        except LostError as error:
            return self.give_up(spec, error.message, record_dir, started_at)
        (record_dir / "runner.stderr").write_text(finished.stderr, encoding="utf-8")
        try:
            return from_json(Record, (record_dir / "record.json").read_bytes())
        except (OSError, ValueError) as error:
            return self.give_up(spec, f"{reason} ({error})", record_dir, started_at)

    def give_up(self, spec: TrialSpec, reason: str, record_dir: Path, started_at: str = "") -> Record:
        """Write the record of a trial that failed without one, begun at `started_at` or just now, and return it."""
        record = blank_record(spec, started_at or _now(), self.host_name(spec.trial))
        record = replace(record, reason=reason, session=self._session)
        (record_dir / "record.json").write_text(to_json(record))
        return record

    def drain(self, spec: DrainSpec) -> DrainResult:
        """Measure how fast a tracer drains its ring. `spec` needs no command and no directory: both are filled in here.

        Raises:
            StepError: it could not be measured; says why.
        """
        spec = replace(
            spec,
            tracer_command=self.tracer_command(spec.setup),
            output_dir=f"{INSIDE}/output",
            ready_s=spec.ready_s * self.slowness,
            drain_s=spec.drain_s * self.slowness,
            timed=not self.emulated,
        )
        timeout_s = spec.ready_s + spec.drain_s + SLACK_S * self.slowness
        job = Job((*RUNNER, "drain"), to_json(spec, indent=None), timeout_s, output="drain")
        return self._result(DrainResult, job)

    def roofline(self, spec: RooflineSpec) -> Roofline:
        """Measure what the machine allows at all. `spec` needs no directory.

        Raises:
            StepError: it could not be measured; says why.
        """
        spec = replace(spec, output_dir=f"{INSIDE}/output")
        timeout_s = ROOFLINE_S * spec.repetitions * self.slowness
        return self._result(
            Roofline, Job((*RUNNER, "roofline"), to_json(spec, indent=None), timeout_s, output="roofline")
        )

    def _result(self, kind: type[R], job: Job) -> R:
        """Run a job that has one result."""
        results: list[R] = []

        def on_event(event: dict[str, Any]) -> None:
            if event["event"] == "result":
                results.append(decode(kind, event["result"], "result"))

        _, reason = self._converse(job, on_event)
        if not results:
            raise StepError(reason)
        return results[0]

    def trace(self, spec: TraceSpec, setup: str, on_line: Callable[[str], None], hold: Hold) -> None:
        """Run a setup's tracer until `hold` is let go. `spec` needs no command and no directory, as for a drain rate.

        `on_line` is given the tracer's records, and between them events in JSON, as inside/trace.py prints them.

        Raises:
            StepError: the tracer did not start, or left no account; says why.
        """
        spec = replace(spec, tracer_command=self.tracer_command(setup), output_dir=f"{INSIDE}/output")
        reasons: list[str] = []

        def on_any(line: str) -> None:
            if line.startswith(FAILED):
                reasons.append(json.loads(line)["reason"])
            else:
                on_line(line)

        job = Job((*RUNNER, "trace"), to_json(spec, indent=None), output="trace", hold=hold)
        finished = self.inside(job, on_any)
        if finished.status != 0:
            raise StepError(reasons[-1] if reasons else f"the trace ended early: {finished.last_words}")

    def check(self, spec: CheckSpec, on_verdict: Callable[[CaseVerdict], None]) -> None:
        """Run the conformance suite. The subjects of `spec` need no command: it is filled in here.

        Raises:
            StepError: the suite itself failed.
        """
        subjects = tuple(replace(subject, command=self.tracer_command(subject.setup)) for subject in spec.subjects)
        text = to_json(replace(spec, subjects=subjects), indent=None)

        def on_line(line: str) -> None:
            try:
                verdict = from_json(CaseVerdict, line)
            except ValueError:
                LOG.warning("the conformance suite said: %s", line)
                return
            on_verdict(verdict)

        finished = self.inside(Job((*RUNNER, "check"), text), on_line)
        if finished.status != 0:
            raise StepError(f"the conformance suite failed: {finished.last_words}")

    def tracer_command(self, setup: str) -> tuple[str, ...]:
        """Return what starts the tracer of a setup inside the image, less the contract's options."""
        return self.carried.tracer_command(setup)

    def host_name(self, trial: Trial) -> str:
        """Return what the host that runs a trial calls itself."""
        return platform.node() if trial.host == LOCAL else trial.host

    def _complete(self, spec: TrialSpec, job_file: str) -> TrialSpec:
        """Return the spec of a trial with what is the testbed's to say, its deadlines for where trials run."""
        usual = asdict(spec.settings.deadlines)
        deadlines = Deadlines(**{step: seconds * self.slowness for step, seconds in usual.items()})
        filled = self.carried.filled(spec)
        target = filled.target and replace(filled.target, ready_s=filled.target.ready_s * self.slowness)
        return replace(
            filled,
            target=target,
            settings=replace(spec.settings, deadlines=deadlines),
            job_file=f"{INSIDE}/src/bpfbench/workloads/{job_file}.fio",
            session=self._session,
            data_dir=f"{INSIDE}/data",
            output_dir=f"{INSIDE}/output",
            record_dir=f"{INSIDE}/record",
            accelerator=self.accelerator,
        )

    def _job(self, verb: str, spec: TrialSpec, timeout_s: float) -> Job:
        """Return the job of a trial's runner."""
        work = spec.trial.workload
        return Job(
            argv=(*RUNNER, verb),
            stdin=to_json(spec, indent=None),
            timeout_s=timeout_s + SLACK_S,
            host=spec.trial.host,
            kernel=spec.trial.kernel,
            block=spec.trial.block,
            data=self._target_data(spec.target) if spec.target else data_name(work),
            own_network=spec.target is not None,
        )

    def _target_data(self, target: DrivenTarget) -> str:
        """Name the data of a target by all that they are made by: the image, its commands, and its files."""
        made = [f"{self.image.key} {self.image.part_layer(target.name)} {target.user} {target.lay_out}".encode()]
        own = self.carried.targets[target.name]
        if own.files and any("{files}" in word for word in target.lay_out):
            made += layers.contents((path for path in own_files(own) if path.is_file()), Path(own.files))
        return f"{TARGET}{target.name}+{layers.digest(*made)}"

    def _converse(self, job: Job, progress: OnEvent) -> tuple[Finished, str]:
        """Have a runner work; return how it ended, and why, should that be too early.

        Raises:
            OSError: a file system is full.
        """
        reasons: list[str] = []
        full: list[OSError] = []

        def on_line(line: str) -> None:
            try:
                event = json.loads(line)
            except ValueError:
                LOG.warning("the trial runner said: %s", line)
                return
            if event["event"] == "failed":
                reasons.append(event["reason"])
                if "errno" in event:
                    full.append(OSError(event["errno"], os.strerror(event["errno"]), event["path"]))
            progress(event)

        finished = self.inside(job, on_line)
        if full:
            raise full[0]
        return finished, reasons[-1] if reasons else _end_of_runner(finished, job)


@dataclass(frozen=True, slots=True)
class Ground:
    """What a testbed is made for, and of."""

    study: Study
    image: Image
    cache: Path
    """bpfbench's cache directory."""
    sources: Sources
    """Where packages come from."""
    progress: Progress
    """Told of what is built."""
    disks: Sizes = Sizes()

    @property
    def data_dir(self) -> Path:
        """Where fio's data files are kept."""
        return Path(self.study.paths.data or self.cache / "data")

    @property
    def output_dir(self) -> Path:
        """Where tracers write."""
        return Path(self.study.paths.output or self.cache / "output")


@dataclass(frozen=True, slots=True)
class Venue:
    """What is particular to a testbed before there is one."""

    check: Callable[[], None]
    """Refuses a machine that lacks what it wants (MachineError), before anything is built."""
    hooks: Callable[[], frozenset[Attach]]
    """The flavours of attaching that it is going to have; none where that cannot be told yet."""
    testbed: Callable[[Ground], Testbed]
    """Makes it, and what it wants besides the image."""
    image: Callable[..., Image] = lambda *given: images.build(*given)
    """Builds an image, if need be, as images.build does: with what setups, targets and commands want."""


def data_name(workload: Workload) -> str:
    """Return what the directory of fio's data files for a workload is called; workloads of one size share them."""
    return f"{workload.processes}x{workload.bytes_per_process}"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def _end_of_runner(finished: Finished, job: Job) -> str:
    if finished.timed_out:
        return f"the trial was not done after {job.timeout_s:g} s"
    return f"trial runner ended with status {finished.status}: {finished.last_words}"
