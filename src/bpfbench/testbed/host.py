# SPDX-License-Identifier: Apache-2.0
"""The host testbed: an image's root entered in private namespaces on the running kernel."""

from __future__ import annotations

import datetime
import json
import logging
import os
import platform
import shlex
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bpfbench import catalogue
from bpfbench.codec import decode, from_json, to_json
from bpfbench.conformance.model import CheckSpec, Verdict
from bpfbench.drain_model import DrainResult, DrainSpec
from bpfbench.errors import MachineError, StepError
from bpfbench.model import RECORD_FORMAT, Record, Settings, Setup, Status, Tool, Trial, TrialSpec, Workload
from bpfbench.testbed import command, sandbox
from bpfbench.testbed.image import Image
from bpfbench.testbed.sandbox import INSIDE, Bind, Sandbox
from bpfbench.trial.trace import TraceSpec

Progress = Callable[[dict[str, Any]], None]

LOG = logging.getLogger("bpfbench.testbed")

BROUGHT = "/run/bpfbench/setups"
"""Where the folders of tracers that a study brings are seen inside an image, each by the setup's name."""

RUNNER = ("python3", "-m", "bpfbench.trial")

IN_FLIGHT = ".bpfbench-in-flight-"
"""What the output directory of a running trial begins with; whatever is named so and left is deleted."""

FAILED = '{"event": "failed"'
"""What a line of a trace begins with that says why there is none."""

SLACK_S = 120.0
"""What a trial may take beyond its steps' deadlines (to prepare, to verify) before the runner is taken for hung."""


class HostTestbed:
    """Runs trials in an image on this machine's kernel.

    Args:
        image: a built image.
        headers: what BCC compiles with.
        data_dir: where data files are laid out.
        output_dir: where tracers write; a folder of ours below it is deleted after each trial.
        setups: those with a command of their own; all others are the image's.
    """

    def __init__(
        self, image: Image, headers: Headers, data_dir: Path, output_dir: Path, setups: Sequence[Setup] = ()
    ) -> None:
        self.image = image
        self._brought = {setup.name: setup for setup in setups}
        self._session = f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S.%fZ}"
        self._data_dir = data_dir
        self._output_dir = output_dir
        self._headers = headers

    def lay_out(self, workload: Workload, settings: Settings, progress: Progress) -> None:
        """Write the data files of a workload, unless they are there.

        Raises:
            StepError: they could not be written.
        """
        directory = data_path(self._data_dir, workload)
        directory.mkdir(parents=True, exist_ok=True)
        trial = Trial("layout", 0, 0, 1, "vanilla", Tool.SYSCOUNT, workload, None)
        spec = TrialSpec(
            trial=trial,
            settings=settings,
            job_file=_job_inside("layout"),
            tracer_command=None,
            session=self._session,
            output_limit_bytes=None,
            data_dir=f"{INSIDE}/data",
            output_dir=f"{INSIDE}/output",
            record_dir=f"{INSIDE}/record",
        )
        binds = (Bind(str(directory), f"{INSIDE}/data", writable=True),)
        reasons: list[str] = []
        argv = sandbox.argv(self.sandbox(binds), (*RUNNER, "layout"))
        finished = self._converse(argv, spec, settings.deadlines.layout_s + SLACK_S, progress, reasons)
        if finished.status != 0:
            raise StepError(f"data files in {directory}: {reasons[-1] if reasons else finished.last_words}")

    def run(
        self, trial: Trial, settings: Settings, output_limit_bytes: int | None, record_dir: Path, progress: Progress
    ) -> Record:
        """Run a trial, leave its files in `record_dir` (empty, existing), and return its record.

        A runner that hangs or crashes makes a failed trial; nothing is raised for it.
        """
        output_dir = self._output_dir / f"{IN_FLIGHT}{os.getpid()}-{trial.id}"
        output_dir.mkdir(parents=True)
        try:
            spec = TrialSpec(
                trial=trial,
                settings=settings,
                job_file=_job_inside(trial.workload.name),
                tracer_command=None if trial.is_vanilla else self.tracer_command(trial.setup),
                session=self._session,
                output_limit_bytes=output_limit_bytes,
                data_dir=f"{INSIDE}/data",
                output_dir=f"{INSIDE}/output",
                record_dir=f"{INSIDE}/record",
            )
            binds = (
                Bind(str(data_path(self._data_dir, trial.workload)), f"{INSIDE}/data", writable=True),
                Bind(str(output_dir), f"{INSIDE}/output", writable=True),
                Bind(str(record_dir), f"{INSIDE}/record", writable=True),
            )
            (record_dir / "spec.json").write_text(to_json(spec))
            argv = sandbox.argv(self.sandbox(binds), (*RUNNER, "run"), remove_if_killed=str(output_dir))
            command.LOG.debug("%s", shlex.join(("mkdir", "-p", str(record_dir), str(output_dir))))
            return self._run(argv, spec, record_dir, progress)
        finally:
            if settings.keep_output:
                output_dir.rename(self._output_dir / f"{self._session}-{trial.id}")
            else:
                shutil.rmtree(output_dir, ignore_errors=True)

    def drain(self, spec: DrainSpec) -> DrainResult:
        """Measure how fast a tracer drains its ring. `spec` needs no command and no place: both are filled in here.

        Raises:
            StepError: it could not be measured; says why.
        """
        output_dir = self._output_dir / f"{IN_FLIGHT}{os.getpid()}-drain"
        output_dir.mkdir(parents=True)
        try:
            spec = replace(spec, tracer_command=self.tracer_command(spec.setup), output_dir=f"{INSIDE}/output")
            binds = (Bind(str(output_dir), f"{INSIDE}/output", writable=True),)
            argv = sandbox.argv(self.sandbox(binds), (*RUNNER, "drain"), remove_if_killed=str(output_dir))
            reasons: list[str] = []
            results: list[DrainResult] = []

            def on_event(event: dict[str, Any]) -> None:
                if event["event"] == "result":
                    results.append(decode(DrainResult, event["result"], "result"))

            timeout_s = spec.ready_s + spec.drain_s + SLACK_S
            finished = self._converse(argv, spec, timeout_s, on_event, reasons)
            if not results:
                raise StepError(reasons[-1] if reasons else _end_of_runner(finished, timeout_s))
            return results[0]
        finally:
            shutil.rmtree(output_dir, ignore_errors=True)

    def trace(self, spec: TraceSpec, setup: str, on_line: Callable[[str], None], hold: command.Hold) -> None:
        """Run a setup's tracer until `hold` is let go. `spec` needs no command and no place: both are filled in here.

        Args:
            spec: what to trace.
            setup: by which tracer.
            on_line: given the tracer's records, and between them events in JSON, as trial/trace.py prints them.
            hold: not yet held.

        Raises:
            StepError: the tracer did not start, or left no account; says why.
        """
        output_dir = self._output_dir / f"{IN_FLIGHT}{os.getpid()}-trace"
        output_dir.mkdir(parents=True)
        try:
            spec = replace(spec, tracer_command=self.tracer_command(setup), output_dir=f"{INSIDE}/output")
            binds = (Bind(str(output_dir), f"{INSIDE}/output", writable=True),)
            argv = sandbox.argv(self.sandbox(binds), (*RUNNER, "trace"), remove_if_killed=str(output_dir))
            command.LOG.debug("%s", shlex.join(("mkdir", "-p", str(output_dir))))
            reasons: list[str] = []

            def on_any(line: str) -> None:
                if line.startswith(FAILED):
                    reasons.append(json.loads(line)["reason"])
                else:
                    on_line(line)

            finished = command.run(argv, stdin=to_json(spec, indent=None), on_line=on_any, hold=hold)
            if finished.status != 0:
                raise StepError(reasons[-1] if reasons else f"the trace ended early: {finished.last_words}")
        finally:
            shutil.rmtree(output_dir, ignore_errors=True)

    def discard_outputs(self) -> None:
        """Delete the output of trials that ended with the machine, an end that nothing of ours survives to see."""
        for path in self._output_dir.glob(f"{IN_FLIGHT}*"):
            shutil.rmtree(path, ignore_errors=True)

    def shell(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """Return the command that opens a shell (or runs `words`) in the image, as a trial would see it."""
        return sandbox.argv(self.sandbox(()), words or ("bash",))[len(command.KILLED_WITH_US) :]

    def _run(self, argv: tuple[str, ...], spec: TrialSpec, record_dir: Path, progress: Progress) -> Record:
        deadlines = spec.settings.deadlines
        timeout_s = deadlines.ready_s + deadlines.workload_s + deadlines.drain_s + SLACK_S
        started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        reasons: list[str] = []
        finished = self._converse(argv, spec, timeout_s, progress, reasons)
        (record_dir / "runner.stderr").write_text(finished.stderr, encoding="utf-8")
        try:
            return from_json(Record, (record_dir / "record.json").read_bytes())
        except (OSError, ValueError) as error:
            reason = reasons[-1] if reasons else _end_of_runner(finished, timeout_s)
            record = _failed(spec, started_at, f"{reason} ({error})")
            (record_dir / "record.json").write_text(to_json(record))
            return record

    def _converse(
        self,
        argv: tuple[str, ...],
        spec: TrialSpec | DrainSpec,
        timeout_s: float,
        progress: Progress,
        reasons: list[str],
    ) -> command.Finished:
        def on_line(line: str) -> None:
            try:
                event = json.loads(line)
            except ValueError:
                LOG.warning("the trial runner said: %s", line)
                return
            if event["event"] == "failed":
                reasons.append(event["reason"])
            progress(event)

        return command.run(argv, stdin=to_json(spec, indent=None), on_line=on_line, timeout_s=timeout_s)

    def check(self, spec: CheckSpec, on_verdict: Callable[[Verdict], None]) -> None:
        """Run the conformance suite. The subjects of `spec` need no command: it is filled in here.

        Raises:
            StepError: the suite itself failed.
        """
        subjects = tuple(replace(subject, command=self.tracer_command(subject.setup)) for subject in spec.subjects)
        argv = sandbox.argv(self.sandbox(()), ("python3", "-m", "bpfbench.conformance"))
        text = to_json(replace(spec, subjects=subjects), indent=None)

        def on_line(line: str) -> None:
            try:
                verdict = from_json(Verdict, line)
            except ValueError:
                LOG.warning("the conformance suite said: %s", line)
                return
            on_verdict(verdict)

        finished = command.run(argv, stdin=text, on_line=on_line)
        if finished.status != 0:
            raise StepError(f"the conformance suite failed: {finished.last_words}")

    def tracer_command(self, setup: str) -> tuple[str, ...]:
        """Return what starts the tracer of a setup inside the image, less the contract's options."""
        if setup not in self._brought:
            return (f"{INSIDE}/tracers/{setup}/tracer",)
        executable, *arguments = self._brought[setup].command
        return (f"{BROUGHT}/{setup}/{Path(executable).name}", *arguments)

    def sandbox(self, binds: tuple[Bind, ...]) -> Sandbox:
        """Return the inside of the image as a trial sees it, with `binds` besides."""
        return Sandbox(
            root=self.image.root,
            binds=(
                Bind(str(catalogue.PACKAGE), f"{INSIDE}/src/bpfbench"),
                Bind(self.image.tracers, f"{INSIDE}/tracers"),
                *(
                    Bind(str(Path(setup.command[0]).parent), f"{BROUGHT}/{name}")
                    for name, setup in self._brought.items()
                ),
                *self._headers.binds,
                *binds,
            ),
            symlinks=self._headers.symlinks,
            env={"PYTHONPATH": f"{INSIDE}/src", "PYTHONDONTWRITEBYTECODE": "1"},
        )


def data_path(data_dir: Path, workload: Workload) -> Path:
    """Return where the data files of a workload are; workloads of one size share them."""
    return data_dir / f"{workload.processes}x{workload.bytes_per_process}"


@dataclass(frozen=True, slots=True)
class Headers:
    """The kernel headers BCC compiles with, and how they get into the image."""

    origin: str
    """What to call them in records."""
    binds: tuple[Bind, ...] = ()
    symlinks: tuple[tuple[str, str], ...] = ()


def kernel_headers(image: Image, host: Path, release: str, unpacked: Path | None) -> Headers:
    """Choose the kernel headers nearest to the running kernel.

    Args:
        image: has the nearest headers of its suite.
        host: the host's root directory.
        release: of the running kernel, as uname -r has it.
        unpacked: the running kernel's own (kheaders), where it carries them.
    """
    modules = f"/usr/lib/modules/{release}"
    build, source = (host / "lib/modules" / release / name for name in ("build", "source"))
    if build.is_dir():
        # Debian's are symlinks into /usr/src, which refer to each other; of a kernel of one's own, anywhere.
        own = [Bind(str(path.resolve()), f"{modules}/{path.name}") for path in (build, source) if path.is_dir()]
        return Headers(f"the host's own, {release}", (Bind("/usr/src", "/usr/src"), *own))
    if unpacked is not None:
        return Headers(f"the running kernel's kheaders, {release}", (Bind(str(unpacked), f"{modules}/build"),))
    arch = image.kernel_headers.rsplit("-", 1)[1]
    nearest = f"/usr/src/linux-headers-{image.kernel_headers}"
    common = f"{nearest.removesuffix(f'-{arch}')}-common"
    links = ((nearest, f"{modules}/build"), (common, f"{modules}/source"))
    return Headers(f"the image's nearest, {image.kernel_headers}, for kernel {release}", (), links)


def unpack_kheaders(archive: Path, cache: Path, release: str) -> Path | None:
    """Unpack the headers a kernel carries (CONFIG_IKHEADERS) into the cache, once; None where it carries none.

    Raises:
        MachineError: they cannot be unpacked.
    """
    if not archive.exists():
        return None
    place = cache / "kheaders" / release
    if not place.exists():
        partial = place.with_name(f"{release}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        finished = command.run(("tar", "-C", str(partial), "-xf", str(archive)))
        if finished.status != 0:
            raise MachineError(f"{archive} cannot be unpacked: {finished.last_words}", "apt-get install xz-utils")
        partial.rename(place)
    return place


def headers_here(image: Image, cache: Path) -> Headers:
    """Choose, and unpack if need be, the kernel headers for this machine.

    Raises:
        MachineError: the kernel carries headers that cannot be unpacked.
    """
    release = platform.release()
    unpacked = unpack_kheaders(Path("/sys/kernel/kheaders.tar.xz"), cache, release)
    return kernel_headers(image, Path("/"), release, unpacked)


def require(euid: int, missing: Iterator[str]) -> None:
    """Raise for the first thing this machine lacks.

    Raises:
        MachineError: with what to do about it.
    """
    if euid != 0:
        raise MachineError("measuring on this machine's kernel needs root", "run the same command with sudo")
    for lack in missing:
        raise MachineError(lack, "`bpfbench doctor` lists everything that is missing, and how to get it")


def _job_inside(name: str) -> str:
    return f"{INSIDE}/src/bpfbench/workloads/{name}.fio"


def _end_of_runner(finished: command.Finished, timeout_s: float) -> str:
    if finished.timed_out:
        return f"the trial was not done after {timeout_s:g} s"
    return f"trial runner ended with status {finished.status}: {finished.last_words}"


def _failed(spec: TrialSpec, started_at: str, reason: str) -> Record:
    return Record(
        format=RECORD_FORMAT,
        trial=spec.trial,
        status=Status.FAILED,
        reason=reason,
        started_at=started_at,
        session=spec.session,
        host=platform.node(),
        steps=(),
        checks=(),
        fio=None,
        summary=None,
        usage=None,
        idle=None,
        load=None,
        monitor_cpu_s=None,
        cpus={},
        notes={},
    )
