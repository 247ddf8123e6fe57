# SPDX-License-Identifier: Apache-2.0
"""One trial: prepare, server ready, target held, tracers ready, target let go, its end, all stopped, leftovers.

This process waits for them meanwhile and looks at the tracers' memory once a second; nothing else. It is the reaper of
all they start, so that whatever either leaves running is found, by whatever name, and ended.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from bpfbench.codec import from_json
from bpfbench.errors import StepError
from bpfbench.inside import grip, leftovers
from bpfbench.inside.child import SAID_LINES, Child, Launch, dies_with_us, exit_text, filled
from bpfbench.inside.command import SETTLE_S, CommandProcess
from bpfbench.inside.grip import Grip
from bpfbench.inside.kernel import bpf
from bpfbench.inside.kernel.files import text_if_any
from bpfbench.inside.monitors import cgroup, process
from bpfbench.inside.monitors.cgroup import ControlGroups, GroupSample
from bpfbench.inside.monitors.process import ProcessSample
from bpfbench.inside.overhead.server import Answering, RunningServer, StartedServer
from bpfbench.inside.overhead.target import HeldTarget
from bpfbench.inside.printed import count, read_metrics
from bpfbench.model import COMM_BYTES, Status, TracerSummary
from bpfbench.model.command import COMM, OUT, SUMMARY, CommandTracer, Tally
from bpfbench.model.target import (
    CPU,
    SERVER_CPU,
    SERVER_SYSTEM,
    SERVER_USER,
    TIME,
    OverheadResult,
    OverheadSpec,
    TargetRun,
    TracerRun,
)


@dataclass
class SoFar:
    """What is known of a trial so far."""

    target: TargetRun | None = None
    tracers: list[TracerRun] = field(default_factory=list)
    printed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a trial takes place."""

    spec: OverheadSpec
    found: SoFar
    groups: ControlGroups
    folder: Path
    cpus: Set[int]

    def launch(self, role: str, command: tuple[str, ...] = ()) -> Launch:
        """Say how what has this role is started: what it prints goes to a file, what it uses to a group."""
        return Launch(command, self.cpus, self.folder / f"{role}.out", self.groups.joiner(role))


def run(spec: OverheadSpec) -> OverheadResult:
    """Run one trial, also to its failure. Nothing that it started runs on, whatever happens, SIGTERM included."""
    leftovers.reap()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    cgroup.sweep(cgroup.hierarchy())
    found, folder, reason = SoFar(), Path(spec.folder), None
    folder.mkdir(parents=True)
    roles = ("workload", "server", *map(_role, range(len(spec.tracers))))
    groups = ControlGroups(cgroup.hierarchy(), spec.name, roles)
    try:
        _measure(Scene(spec, found, groups, folder, os.sched_getaffinity(0)))
    except StepError as error:
        reason = error.message
    finally:
        leftovers.end_running()
        shutil.rmtree(folder, ignore_errors=True)
    status = Status.OK if reason is None else Status.FAILED
    return OverheadResult(status, reason, found.target, tuple(found.tracers), found.printed, found.absent)


def _role(number: int) -> str:
    return f"tracer-{number}"


def _measure(scene: Scene) -> None:
    spec, found = scene.spec, scene.found
    if spec.target.prepare:
        _prepare(scene.launch("prepare", spec.target.prepare), spec.deadlines.target_s)
    loaded: frozenset[int] = frozenset()
    with scene.groups as groups:
        if groups.reason:
            found.absent["control groups"] = groups.reason
        with _served(scene) as server:
            held = HeldTarget(spec.target, scene.launch("workload"), scene.folder / "gate")
            with _printed(found, "target", held) as target:
                loaded = _run_all(scene, target, server)
                if found.target is not None:
                    values = read_metrics(spec.target.metrics, target.said())
                    found.target = replace(found.target, values={**found.target.values, **values})
            if isinstance(server, StartedServer):
                server.stop(spec.deadlines.stop_s)
        _require_nothing_running()  # before the groups are gone with whoever is in them
    if left := leftovers.settled(lambda: grip.still_loaded(loaded)):
        raise StepError(f"the tracer has left BPF programs loaded: {len(left)}; bpftool prog show has them")
    _require_nothing_running()


C = TypeVar("C", bound=Child)


@contextlib.contextmanager
def _printed(found: SoFar, role: str, child: C) -> Iterator[C]:
    """Have a child run meanwhile, and keep its last lines."""
    with child:
        try:
            yield child
        finally:
            found.printed[role] = child.last_lines(SAID_LINES)


def _prepare(launch: Launch, timeout_s: float) -> None:
    with Child("the command that prepares", launch, dies_with_us) as preparing:
        if not preparing.ended_within(timeout_s):
            raise StepError(f"the command that prepares was still running after {timeout_s:g} s")
        status = preparing.status()
        if status:
            message = preparing.last_message()
            raise StepError(f"the command that prepares ended with {exit_text(status)}: {message}")


@contextlib.contextmanager
def _served(scene: Scene) -> Iterator[Answering | None]:
    """Have the server run meanwhile, if there is one."""
    server = scene.spec.target.server
    if server is None:
        yield None
    elif not server.command:
        yield RunningServer(server)
    else:
        with _printed(scene.found, "server", StartedServer(server, scene.launch("server"))) as started:
            started.wait_ready(scene.spec.deadlines.ready_s)
            yield started


def _run_all(scene: Scene, target: HeldTarget, server: Answering | None) -> frozenset[int]:
    """Run the target under the tracers, stop them, and return which BPF programs they had loaded."""
    spec, found = scene.spec, scene.found
    if not any(tracer.command for tracer in spec.tracers):
        time.sleep(SETTLE_S)  # as long as the target of a tracer waits
        _run_target(scene, target, server, ())
        return frozenset()
    with contextlib.ExitStack() as running:
        traced = []
        for number, tracer in enumerate(spec.tracers):
            before, role = grip.programs_now(), _role(number)
            tracer = _filled(scene, tracer, role, server)
            started = CommandProcess(tracer, scene.launch(role), target.pid, before, server.pid if server else None)
            running.enter_context(_printed(found, _shown(spec, number), started))
            with _named(spec, number):
                startup_s = started.wait_ready(spec.deadlines.ready_s, may_end=True)
                traced.append(TracerAtWork(number, started, Looks(started, role), startup_s, started.grip()))
        with _counted(spec, found):
            _run_target(scene, target, server, [own.looks for own in traced])
        loaded: frozenset[int] = frozenset()
        for own in reversed(traced):
            with _named(spec, own.number):
                loaded |= _stop(scene, own)
        found.tracers.reverse()
        return loaded


@dataclass(frozen=True, slots=True)
class TracerAtWork:
    """A tracer that is ready."""

    number: int
    process: CommandProcess
    looks: Looks
    startup_s: float
    held: Grip
    """What it had attached then."""


def _filled(scene: Scene, tracer: CommandTracer, role: str, server: Answering | None) -> CommandTracer:
    """Return a tracer with the name of what is traced, and its file, filled in."""
    target = scene.spec.target.command[0].rpartition("/")[2]
    comm = text_if_any(Path(f"/proc/{server.pid}/comm")) if server else os.fsdecode(os.fsencode(target)[:COMM_BYTES])
    values = {COMM: comm or target, OUT: str((scene.folder / f"{role}.data").absolute())}
    return replace(tracer, command=filled(tracer.command, values))


def _account(scene: Scene, traced: TracerAtWork) -> tuple[int | None, int | None]:
    """Return what a tracer says that it has received and lost: in its account, or by patterns of what it printed."""
    asked, role = scene.spec.tracers[traced.number], traced.looks.role
    with contextlib.suppress(OSError, ValueError):
        found = from_json(TracerSummary, (scene.folder / f"{role}.data{SUMMARY}").read_text())
        return found.saved, found.lost_total

    def tallied(tally: Tally | None) -> int | None:
        with scene.launch(role).stderr.open(errors="replace") as lines:
            return None if tally is None else count(tally, lines)

    return tallied(asked.received), tallied(asked.lost)


def _shown(spec: OverheadSpec, number: int) -> str:
    """Return what the lines of a tracer are called by."""
    return "tracer" if len(spec.tracers) == 1 else f"tracer {spec.tracers[number].called}"


@contextlib.contextmanager
def _named(spec: OverheadSpec, number: int) -> Iterator[None]:
    """Have what goes wrong with one of several tracers say with which."""
    try:
        yield
    except StepError as error:
        raise (
            error if len(spec.tracers) == 1 else StepError(f"{spec.tracers[number].called}: {error.message}")
        ) from None


@contextlib.contextmanager
def _counted(spec: OverheadSpec, found: SoFar) -> Iterator[None]:
    """Have the kernel count the run time of BPF programs meanwhile, where that is wanted."""
    with contextlib.ExitStack() as counting:
        if spec.counted:
            try:
                counting.enter_context(bpf.run_time_counted())
            except OSError as error:
                found.absent["run time of BPF programs"] = f"bpf(2): {error.strerror}"
        yield


def _stop(scene: Scene, traced: TracerAtWork) -> frozenset[int]:
    """Stop a tracer, note what it used, and return which BPF programs it had loaded, when it was ready, and later."""
    spec, tracer, looked = scene.spec, traced.process, traced.looks
    held, use = traced.held, None
    alone = len(spec.tracers) == 1  # who has loaded what is told of one at a time
    tracer.require_no_late_grip()
    stopping_s = time.monotonic()
    if alone and tracer.alive():
        held = tracer.grip()
        try:
            use = grip.bpf_use(held, grip.family(tracer.pid))
        except OSError as error:
            scene.found.absent["BPF programs and maps"] = f"bpf(2): {error.strerror}"
        stopping_s = time.monotonic()
    tracer.stop(spec.deadlines.stop_s)
    stop_s = time.monotonic() - stopping_s
    user_s, system_s = looked.during()
    usage = scene.groups.usage(looked.role)
    received, lost = _account(scene, traced)
    scene.found.tracers.append(
        TracerRun(
            ready_by=tracer.ready_by,
            startup_s=traced.startup_s,
            startup_cpu_s=sum(looked.cpu_s[0]) if looked.cpu_s[0] else None,
            user_s=user_s,
            system_s=system_s,
            pss_peak_bytes=looked.pss_peak_bytes,
            memory_peak_bytes=usage.memory_peak_bytes if usage else None,
            stop_s=stop_s,
            bpf=use,
            received=received,
            lost=lost,
        )
    )
    return held.programs | traced.held.programs


def _run_target(scene: Scene, target: HeldTarget, server: Answering | None, looks: Sequence[Looks]) -> None:
    """Run the target to its end, and take its time.

    Raises:
        StepError: it failed, or took too long; or a tracer, or the server, ended meanwhile.
    """
    groups = scene.groups
    for looked in looks:
        looked.take(groups)
    held, served = groups.sample("workload"), _server_cpu(groups, server)
    begin_s = target.let_go()
    end_s = _wait_for_end(scene, target, looks)
    ended, served_end = groups.sample("workload"), _server_cpu(groups, server)
    for looked in looks:
        looked.take(groups)
    target.result()
    user_s, system_s, accounting = target.user_s, target.system_s, "rusage"
    if held and ended:
        user_s, system_s, accounting = ended.user_s - held.user_s, ended.system_s - held.system_s, "cgroup-v2"
    values = {TIME.name: end_s - begin_s, CPU.name: user_s + system_s}
    if server and served and served_end:
        server.require_alive("while the target ran")
        user, system = (
            100 * (after - before) / (end_s - begin_s) for before, after in zip(served[1], served_end[1], strict=True)
        )
        values |= {SERVER_CPU.name: user + system, SERVER_USER.name: user, SERVER_SYSTEM.name: system}
    scene.found.target = TargetRun(values, user_s, system_s, accounting, served[0] if served else None)


def _server_cpu(groups: ControlGroups, server: Answering | None) -> tuple[str, tuple[float, float]] | None:
    """Return the server's user and system CPU time so far, and where it is from."""
    if server is None:
        return None
    if used := groups.sample("server"):
        return "cgroup-v2", (used.user_s, used.system_s)
    return "proc", server.cpu_s()


def _wait_for_end(scene: Scene, target: HeldTarget, looks: Sequence[Looks]) -> float:
    """Wait for the target's end, looking at the tracers now and then; return when it was."""
    timeout_s = scene.spec.deadlines.target_s
    with contextlib.ExitStack() as opened:
        fds = []
        for child in (target, *(looked.tracer for looked in looks if looked.tracer.alive())):
            fds.append(os.pidfd_open(child.pid))
            opened.callback(os.close, fds[-1])
        now_s = time.monotonic()
        next_s, until_s = now_s + process.PSS_INTERVAL_S, now_s + timeout_s
        while True:
            ended = select.select(fds, [], [], max(0.0, min(next_s, until_s) - now_s))[0]
            now_s = time.monotonic()
            if fds[0] in ended:
                return now_s
            for looked in looks:
                with _named(scene.spec, looks.index(looked)):
                    looked.tracer.require_alive("while the target ran")
            if now_s >= until_s:
                raise StepError(f"the target was still running after {timeout_s:g} s")
            if now_s >= next_s:
                for looked in looks:
                    looked.take_memory()
                next_s = max(next_s + process.PSS_INTERVAL_S, time.monotonic())


class Looks:
    """What was seen of a tracer around and during the target's run; `role` is what its group is called."""

    def __init__(self, tracer: CommandProcess, role: str) -> None:
        self.tracer, self.role = tracer, role
        self.cpu_s: list[tuple[float, float] | None] = []
        """User and system CPU time, each time it was taken; None where it had ended, and has no group."""
        self._pss: list[int] = []

    @property
    def pss_peak_bytes(self) -> int | None:
        """The most seen."""
        return max(self._pss, default=None)

    def take(self, groups: ControlGroups) -> None:
        """Read CPU time and memory."""
        own = process.sample(self.tracer.pid, with_pss=False)
        used: GroupSample | ProcessSample | None = groups.sample(self.role) or own
        self.cpu_s.append((used.user_s, used.system_s) if used else None)
        self.take_memory()

    def take_memory(self) -> None:
        """Read the memory."""
        own = process.sample(self.tracer.pid, with_pss=True)
        if own and own.pss_bytes is not None:
            self._pss.append(own.pss_bytes)

    def during(self) -> tuple[float | None, float | None]:
        """Return the CPU time between the first time that it was taken, and the last."""
        first, last = self.cpu_s[0], self.cpu_s[-1]
        return (last[0] - first[0], last[1] - first[1]) if first and last else (None, None)


def _require_nothing_running() -> None:
    """Give all that descends from this process a moment to end.

    Raises:
        StepError: something has not.
    """
    if left := leftovers.running():
        raise StepError(f"left running by target or tracer, and ended: {', '.join(left)}")
