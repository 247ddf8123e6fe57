# SPDX-License-Identifier: Apache-2.0
"""A target besides fio at work: its data laid out and copied, its server started, driven and stopped, its numbers read.

Its commands run without privileges, with {run} as their home. What is counted by the kernel is the server with all
processes that it has waited for by its end, or without a server the driver; a command beside them counts where it has
the target's comm itself, and so is traced.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from bpfbench.errors import StepError
from bpfbench.inside import leftovers
from bpfbench.inside.child import SAID_LINES, Child, Launch, exit_text, filled, obeyed, unpacked
from bpfbench.inside.kernel import tasks
from bpfbench.inside.kernel.files import text_if_any
from bpfbench.inside.printed import read_metrics
from bpfbench.inside.trial import conditions, variant
from bpfbench.inside.trial.counted import CountedProcess
from bpfbench.inside.trial.record import Gathered
from bpfbench.inside.trial.sampler import Traced
from bpfbench.inside.trial.workload import LAYOUT_MARK
from bpfbench.model import CallAccount, CpuTime, DrivenResult, DrivenTarget, TrialSpec
from bpfbench.model.driven import PLACEHOLDERS

NOBODY = 65534
"""The user and group without any right, on every system."""

RUN = Path("/tmp/target")  # noqa: S108 - private to the trial: a tmpfs of its own

LAID_OUT, DATA = "laid-out", "data"
"""Folders of a data directory: what was laid out, and the copy of it that a trial has."""

SERVER_LOG, DRIVER_LOG = "server.log", "drive.log"

ASK_S = 0.05
"""How long to wait before asking again whether a server is ready."""
LEFT_S = 2.0
"""A process may take so long to be gone once its target has ended."""


@dataclass(frozen=True, slots=True)
class Places:
    """What a target's commands are told."""

    target: DrivenTarget
    data: Path
    packages: str = ""
    run: Path = RUN
    rate_per_s: int | None = None
    """How many operations a second are offered; None: as many as it can do."""

    @classmethod
    def of(cls, target: DrivenTarget, spec: TrialSpec) -> Places:
        """Return what a target is told in a trial."""
        return cls(target, Path(spec.data_dir) / DATA, spec.packages, rate_per_s=spec.trial.workload.rate_iops)

    @property
    def out(self) -> Path:
        """The file that numbers are read from."""
        return self.run / "out"

    @property
    def drive(self) -> tuple[str, ...]:
        """The command that does the work."""
        return self.target.drive if self.rate_per_s is None else self.target.drive_at

    def filled(self, command: Sequence[str]) -> tuple[str, ...]:
        """Return a command with its placeholders replaced."""
        rate = str(self.rate_per_s or "")
        values = (self.target.files or "", self.packages, str(self.data), str(self.run), str(self.out), rate)
        return filled(command, dict(zip(PLACEHOLDERS, values, strict=True)))

    @property
    def environment(self) -> Mapping[str, str]:
        """What its commands have in their environment besides ours."""
        return {"HOME": str(self.run), "TMPDIR": str(self.run), **unpacked(self.packages)}

    @contextlib.contextmanager
    def made(self) -> Iterator[None]:
        """Have the folder {run}, which is gone in the end."""
        self.run.mkdir()
        self.own(self.run)
        for place in filter(None, (self.target.files, self.packages)):
            Path(place).parent.chmod(0o755)  # bubblewrap makes them for root alone
            Path(place).parent.parent.chmod(0o755)
        try:
            yield
        finally:
            shutil.rmtree(self.run, ignore_errors=True)

    def own(self, path: Path) -> None:
        """Give a file or folder to the target."""
        if self.target.user != "root":
            os.chown(path, NOBODY, NOBODY)

    def confine(self) -> None:
        """Give up all privileges; runs in the child, before exec."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # it may be stopped by that
        if self.target.user != "root":
            os.setgroups(())
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)


def lay_out(places: Places, directory: Path, timeout_s: float) -> None:
    """Make what every trial gets a copy of; a directory that is complete is left as it is.

    Raises:
        StepError: the target's command failed, or took too long.
    """
    target, kept, log = places.target, directory / LAID_OUT, directory / "layout.log"
    if is_laid_out(directory):
        return
    directory.chmod(0o755)  # it is reached without privileges
    for folder in (kept, places.data):
        shutil.rmtree(folder, ignore_errors=True)
    places.data.mkdir()
    places.own(places.data)
    if target.lay_out:
        with places.made(), _command("lay_out", target.lay_out, places, os.sched_getaffinity(0), log) as making:
            _wait_well(making, "lay_out", timeout_s)
        log.unlink()
    places.data.rename(kept)
    (directory / LAYOUT_MARK).touch()


def is_laid_out(directory: Path) -> bool:
    """Tell whether all data are there."""
    return (directory / LAYOUT_MARK).exists() and (directory / LAID_OUT).is_dir()


def prepare(places: Places, directory: Path) -> None:
    """Give a trial its copy of the data.

    Raises:
        StepError: they are not laid out, or there is no room for a copy.
    """
    if not is_laid_out(directory):
        raise StepError("the target's data are not laid out")
    shutil.rmtree(places.data, ignore_errors=True)
    argv = ("cp", "-a", "--reflink=auto", str(directory / LAID_OUT), str(places.data))
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StepError(f"the target's data cannot be copied: {done.stderr.strip()}")


def versions(found: Gathered, places: Places) -> dict[str, str]:
    """Return what the target's own commands say of its versions; run before anything is traced."""
    said = {}
    with places.made():
        for name, command in places.target.versions.items():
            with _command(f"version of {name}", command, places, found.cpus["workload"], found.file(DRIVER_LOG)) as own:
                _wait_well(own, f"version of {name}", places.target.ready_s)
                said[name] = next(iter(own.said().strip().splitlines()), "")
    return said


def data_files(places: Places) -> list[Path]:
    """Return the files of a trial's copy."""
    return sorted(path for path in places.data.rglob("*") if path.is_file() and not path.is_symlink())


def run(found: Gathered, places: Places, traced: Traced | None, held: CountedProcess | None = None) -> float:
    """Run the target to its end; return when it was executed, by CLOCK_MONOTONIC in seconds.

    One that is `held` already has its folder, and is let go.
    """
    spec = found.spec
    with contextlib.nullcontext() if held else places.made():
        with variant.applied(spec.trial.config, traced) as times:
            found.sampler.take()
            with _Work(found, places, traced, held) as work:
                work.done()
            found.sampler.take(over=True)
        found.note(at_end=conditions.now(Path(spec.data_dir)), calls=work.calls, programs=tuple(times))
        found.sampler.take_groups()
        found.sum_up(driven=_result(found, places, work))
    return work.executed_s


def hold(found: Gathered, places: Places) -> CountedProcess:
    """Start what is traced of a target, and hold it before it has done anything; {run} has to be there.

    Raises:
        StepError: it could not be started, or not be held.
    """
    target = places.target
    name, command, log = (
        ("the server", target.start, SERVER_LOG) if target.start else ("the driver", places.drive, DRIVER_LOG)
    )
    launch = _launch(found, places, command, found.file(log), "workload")
    return CountedProcess(name, launch, places.confine, held=True)


def _launch(found: Gathered, places: Places, command: Sequence[str], log: Path, role: str) -> Launch:
    join, cpus = found.sampler.joiner(role), found.cpus["workload"]
    return Launch(places.filled(command), cpus, log, join, places.environment)


class _Work:
    """A target at work, once. Use as a context manager: on leaving, nothing of it is running."""

    def __init__(self, found: Gathered, places: Places, traced: Traced | None, held: CountedProcess | None) -> None:
        self._found, self._places, self._traced, self._held = found, places, traced, held
        self._before = _living()
        self._counted: list[CountedProcess] = []
        self.executed_s = self.begin_s = self.end_s = 0.0
        """When the first of its processes was, and when the driver began and ended, by CLOCK_MONOTONIC."""
        self.calls: CallAccount | None = None
        self.cpu: dict[str, CpuTime] = {}
        """By role, while it was driven."""
        self.driver_log = found.file(DRIVER_LOG)

    def __enter__(self) -> _Work:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self._new():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def done(self) -> None:
        """Do it all: serve, drive, stop.

        Raises:
            StepError: some of it failed.
        """
        target = self._places.target
        with contextlib.ExitStack() as running:
            server = self._serve(running) if target.start else None
            with self._found.step("workload"):
                self._drive(server)
            if server:
                with self._found.step("stop target"):
                    self._stop(server)
            if target.report:
                with self._started("report", target.report, self._found.file("report.log"), is_traced=False) as report:
                    _wait_well(report, "report", target.ready_s)
        self._require_nothing_left()
        counted = [process.calls for process in self._counted if process.calls is not None]
        if len(counted) == len(self._counted):
            self.calls = CallAccount(sum(own.reads for own in counted), sum(own.writes for own in counted))

    def _started(self, name: str, command: Sequence[str], log: Path, *, is_traced: bool) -> CountedProcess:
        if is_traced and self._held:
            process = self._held
            process.let_go()
        else:
            launch = _launch(self._found, self._places, command, log, "workload" if is_traced else "driver")
            process = CountedProcess(name, launch, self._places.confine)
        self.executed_s = self.executed_s or process.started_s
        if is_traced or process.comm == self._places.target.comm:
            self._counted.append(process)
        self._found.called |= {process.comm or "?"} if is_traced else set()
        return process

    def _serve(self, running: contextlib.ExitStack) -> CountedProcess:
        """Start the server, and wait until it is ready."""
        target, log = self._places.target, self._found.file("ready.log")
        with self._found.step("serve"):
            self._announce(target.start)
            server = self._started("the server", target.start, self._found.file(SERVER_LOG), is_traced=True)
            running.enter_context(server)
            until_s = time.monotonic() + target.ready_s
            while True:
                with self._started("ready", target.ready, log, is_traced=False) as asking:
                    answered = asking.ended_within(max(0.0, until_s - time.monotonic()))
                    if answered:
                        asking.count()
                    if answered and asking.status() == 0:
                        return server
                    self._require_alive(server, "before it was ready")
                    if time.monotonic() > until_s:
                        said = f"`ready` said: {_said(asking)}; the server: {_said(server)}"
                        raise StepError(f"the server was not ready after {target.ready_s:g} s; {said}")
                time.sleep(ASK_S)

    def _drive(self, server: CountedProcess | None) -> None:
        settings, sampler = self._found.spec.settings, self._found.sampler
        command = self._places.drive
        self._announce(command)
        before = self._used(server)
        with self._started("the driver", command, self.driver_log, is_traced=server is None) as driver:
            own_before_s = time.process_time()

            def tick() -> None:
                sampler.take()
                self._look()
                if server:
                    self._require_alive(server, "while it was driven")

            self.begin_s = driver.started_s
            self.end_s = driver.wait_ended(settings.deadlines.workload_s, settings.sample_interval_s, tick)
            self._found.note(monitor_cpu_s=time.process_time() - own_before_s)
            driver.count()
            self.cpu = {role: used.since(before.get(role)) for role, used in self._used(server, driver).items()}
            if status := driver.status():
                raise StepError(f"the driver ended with {exit_text(status)}; it said: {_said(driver)}")
        if server:
            self._require_alive(server, "while it was driven")
            self._look()
            self._require_comm()

    def _used(self, server: CountedProcess | None, driver: CountedProcess | None = None) -> dict[str, CpuTime]:
        """Return the CPU time that what is traced, and what drives it, have used so far."""
        roles = {"workload": server or driver, "driver": driver if server else None}
        used = ((role, self._found.sampler.used(role, process.pid)) for role, process in roles.items() if process)
        return {role: time for role, time in used if time is not None}

    def _stop(self, server: CountedProcess) -> None:
        target = self._places.target
        number = signal.Signals[target.stop_signal]
        os.kill(server.pid, number)
        if not server.ended_within(target.ready_s):
            raise StepError(f"the server was still running {target.ready_s:g} s after {number.name}: {_said(server)}")
        server.count()
        status = server.status()
        if not obeyed(status, number):
            raise StepError(f"the server ended with {exit_text(status)} when it was stopped; it said: {_said(server)}")

    def _announce(self, command: Sequence[str]) -> None:
        self._found.notify({"event": "command", "argv": self._places.filled(command)})

    def _require_alive(self, server: CountedProcess, when: str) -> None:
        if not server.alive():
            raise StepError(f"the server ended {when} ({exit_text(server.status())}); it said: {_said(server)}")

    def _require_comm(self) -> None:
        comm, called = self._places.target.comm, self._found.called
        if comm not in called:
            raise StepError(
                f"no process of the target is called '{tasks.shown(comm)}' (comm); there are: "
                f"{', '.join(sorted(map(tasks.shown, called)))}"
            )

    def _look(self) -> None:
        """Learn what the target's processes and threads are called, until one is as was said."""
        if self._places.target.comm in self._found.called:
            return
        for pid in self._new():
            names = (tasks.comm(int(task.name)) for task in Path(f"/proc/{pid}/task").glob("*"))
            self._found.called |= {name for name in names if name}

    def _new(self) -> list[int]:
        tracers = {self._traced.pid, *tasks.descendants(self._traced.pid)} if self._traced else set()
        return sorted(_living() - self._before - tracers)

    def _require_nothing_left(self) -> None:
        if left := leftovers.settled(self._new, LEFT_S):
            named = ", ".join(f"{text_if_any(Path(f'/proc/{pid}/comm')) or '?'} (process {pid})" for pid in left)
            raise StepError(f"the target has ended, and left running: {named}")


def _result(found: Gathered, places: Places, work: _Work) -> DrivenResult:
    """Read the target's own numbers."""
    target = places.target
    printed = work.driver_log.read_text(errors="replace")
    document = None
    if places.out.is_file():
        document = places.out.read_text(errors="replace")
        found.file("target.out").write_text(document)
        printed += document
    if target.report:
        document = found.file("report.log").read_text(errors="replace")
        printed += document
    try:
        values = read_metrics(target.metrics, printed, document)
    except StepError as error:
        last = " | ".join(printed.strip().splitlines()[-SAID_LINES:])
        raise StepError(f"{error.message}; it said: {last or 'nothing'}") from None
    # Both clocks are read now: what lies between the driver's beginning and its end is the monotonic clock's.
    started_at_s = time.time() - (time.monotonic() - work.begin_s)
    runtime_s = work.end_s - work.begin_s
    from_sending = places.rate_per_s is not None and target.from_sending
    return DrivenResult(
        started_at_s, runtime_s, values, found.versions, places.rate_per_s, from_sending=from_sending, cpu=work.cpu
    )


def _command(name: str, command: Sequence[str], places: Places, cpus: Set[int], log: Path) -> Child:
    return Child(name, Launch(places.filled(command), cpus, log, env=places.environment), places.confine)


def _wait_well(child: Child, name: str, timeout_s: float) -> None:
    if not child.ended_within(timeout_s):
        raise StepError(f"{name} was still running after {timeout_s:g} s; it said: {_said(child)}")
    if isinstance(child, CountedProcess):
        child.count()
    if status := child.status():
        raise StepError(f"{name} ended with {exit_text(status)}; it said: {_said(child)}")


def _said(child: Child) -> str:
    return " | ".join(child.last_lines(SAID_LINES)) or "nothing"


def _living() -> frozenset[int]:
    own = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal())
    return frozenset(pid for pid in own if tasks.living(pid))
