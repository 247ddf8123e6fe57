# SPDX-License-Identifier: Apache-2.0
"""One trial: prepare, target held, tracer ready, target let go, target's end, tracer stopped, leftovers looked for.

This process waits for both meanwhile and looks at the tracer's memory once a second; nothing else. It is the reaper of
all they start, so that whatever either leaves running is found, by whatever name, and ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from bpfbench.errors import StepError
from bpfbench.inside import grip, leftovers
from bpfbench.inside.child import Child, Launch, dies_with_us, exit_text
from bpfbench.inside.command import SETTLE_S, CommandProcess
from bpfbench.inside.grip import Grip
from bpfbench.inside.kernel import tasks
from bpfbench.inside.kernel.files import text_if_any
from bpfbench.inside.monitors import cgroup, process
from bpfbench.inside.monitors.cgroup import ControlGroups, GroupSample
from bpfbench.inside.monitors.process import ProcessSample
from bpfbench.inside.overhead.target import HeldTarget
from bpfbench.inside.printed import read_metrics
from bpfbench.model import Status
from bpfbench.model.command import BpfUse
from bpfbench.model.target import CPU, TIME, OverheadResult, OverheadSpec, TargetRun, TracerRun

LEFT_S = 1.0
"""A process that ends by itself soon after the one it was started by is not left."""

LINES_KEPT = 5

_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class SoFar:
    """What is known of a trial so far."""

    target: TargetRun | None = None
    tracer: TracerRun | None = None
    printed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


def run(spec: OverheadSpec) -> OverheadResult:
    """Run one trial, also to its failure. Nothing that it started runs on, whatever happens, SIGTERM included."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    cgroup.sweep(cgroup.hierarchy())
    found, folder, reason = SoFar(), Path(spec.folder), None
    folder.mkdir(parents=True)
    try:
        _measure(spec, found, ControlGroups(cgroup.hierarchy(), spec.name), folder)
    except StepError as error:
        reason = error.message
    finally:
        _end_all()
        shutil.rmtree(folder, ignore_errors=True)
    status = Status.OK if reason is None else Status.FAILED
    return OverheadResult(status, reason, found.target, found.tracer, found.printed, found.absent)


def _measure(spec: OverheadSpec, found: SoFar, groups: ControlGroups, folder: Path) -> None:
    cpus = os.sched_getaffinity(0)
    if spec.target.prepare:
        _prepare(Launch(spec.target.prepare, cpus, folder / "prepare.out"), spec.deadlines.target_s)
    before = grip.programs_now()
    loaded: frozenset[int] = frozenset()
    with groups:
        if groups.reason:
            found.absent["control groups"] = groups.reason
        launch = Launch((), cpus, folder / "target.out", groups.joiner("workload"))
        with _printed(found, "target", HeldTarget(spec.target, launch, folder / "gate")) as target:
            if spec.tracer is None or not spec.tracer.command:
                time.sleep(SETTLE_S)  # as long as the target of a tracer waits
                _run_target(spec, found, groups, target, Looks(None))
            else:
                launch = replace(launch, stderr=folder / "tracer.out", join=groups.joiner("tracer"))
                started = CommandProcess(spec.tracer, launch, target.pid, before)
                with _printed(found, "tracer", started) as tracer:
                    loaded = _run_both(spec, found, groups, target, tracer).programs
            _take_metrics(spec, found, target)
        if left_running := _left_running():  # before the groups are gone with whoever is in them
            raise StepError(f"left running by target or tracer, and ended: {', '.join(left_running)}")
    if left := leftovers.settled(lambda: grip.still_loaded(loaded)):
        raise StepError(f"the tracer has left BPF programs loaded: {len(left)}; bpftool prog show has them")
    if left_running := _left_running():
        raise StepError(f"left running by target or tracer, and ended: {', '.join(left_running)}")


C = TypeVar("C", bound=Child)


@contextlib.contextmanager
def _printed(found: SoFar, role: str, child: C) -> Iterator[C]:
    """Have a child run meanwhile, and keep its last lines."""
    with child:
        try:
            yield child
        finally:
            found.printed[role] = child.last_lines(LINES_KEPT)


def _prepare(launch: Launch, timeout_s: float) -> None:
    with Child("the command that prepares", launch, dies_with_us) as preparing:
        if not preparing.ended_within(timeout_s):
            raise StepError(f"the command that prepares was still running after {timeout_s:g} s")
        status = preparing.status()
        if status:
            message = preparing.last_message()
            raise StepError(f"the command that prepares ended with {exit_text(status)}: {message}")


def _run_target(spec: OverheadSpec, found: SoFar, groups: ControlGroups, target: HeldTarget, looked: Looks) -> None:
    """Run the target to its end, and take its time.

    Raises:
        StepError: it failed, or took too long; or the tracer ended meanwhile.
    """
    held = groups.sample("workload")
    looked.take(groups)
    begin_s = target.let_go()
    end_s = _wait_for_end(target, looked, spec.deadlines.target_s)
    ended = groups.sample("workload")
    looked.take(groups)
    target.result()
    user_s, system_s, accounting = target.user_s, target.system_s, "rusage"
    if held and ended:
        user_s, system_s, accounting = ended.user_s - held.user_s, ended.system_s - held.system_s, "cgroup-v2"
    values = {TIME.name: end_s - begin_s, CPU.name: user_s + system_s}
    found.target = TargetRun(values, user_s, system_s, accounting)


def _wait_for_end(target: HeldTarget, looked: Looks, timeout_s: float) -> float:
    """Wait for the target's end, looking at the tracer now and then; return when it was."""
    with contextlib.ExitStack() as opened:
        fds = [os.pidfd_open(child.pid) for child in (target, looked.tracer) if child]
        for fd in fds:
            opened.callback(os.close, fd)
        now_s = time.monotonic()
        next_s, until_s = now_s + process.PSS_INTERVAL_S, now_s + timeout_s
        while True:
            ended = select.select(fds, [], [], max(0.0, min(next_s, until_s) - now_s))[0]
            now_s = time.monotonic()
            if fds[0] in ended:
                return now_s
            if looked.tracer:
                looked.tracer.require_alive("while the target ran")
            if now_s >= until_s:
                raise StepError(f"the target was still running after {timeout_s:g} s")
            if now_s >= next_s:
                looked.take_memory()
                next_s = max(next_s + process.PSS_INTERVAL_S, time.monotonic())


class Looks:
    """What was seen of a tracer, if there is one, around and during the target's run."""

    def __init__(self, tracer: CommandProcess | None) -> None:
        self.tracer = tracer
        self.cpu_s: list[tuple[float, float] | None] = []
        """User and system CPU time, each time it was taken; None where it had ended, and has no group."""
        self._pss: list[int] = []

    @property
    def pss_peak_bytes(self) -> int | None:
        """The most seen."""
        return max(self._pss, default=None)

    def take(self, groups: ControlGroups) -> None:
        """Read CPU time and memory."""
        if self.tracer is None:
            return
        own = process.sample(self.tracer.pid, with_pss=False)
        used: GroupSample | ProcessSample | None = groups.sample("tracer") or own
        self.cpu_s.append((used.user_s, used.system_s) if used else None)
        self.take_memory()

    def take_memory(self) -> None:
        """Read the memory."""
        own = process.sample(self.tracer.pid, with_pss=True) if self.tracer else None
        if own and own.pss_bytes is not None:
            self._pss.append(own.pss_bytes)

    def during(self) -> tuple[float | None, float | None]:
        """Return the CPU time between the first time that it was taken, and the last."""
        first, last = self.cpu_s[0], self.cpu_s[-1]
        return (last[0] - first[0], last[1] - first[1]) if first and last else (None, None)


def _run_both(
    spec: OverheadSpec, found: SoFar, groups: ControlGroups, target: HeldTarget, tracer: CommandProcess
) -> Grip:
    """Run the target under the tracer, stop that, and return what it had attached when it was ready, and later."""
    startup_s = tracer.wait_ready(spec.deadlines.ready_s)
    looked = Looks(tracer)
    held, bpf = _bpf(tracer, found)
    _run_target(spec, found, groups, target, looked)
    stopping_s = time.monotonic()
    tracer.require_no_late_grip()
    if tracer.alive():
        held, bpf = _bpf(tracer, found)
        stopping_s = time.monotonic()
    tracer.stop(spec.deadlines.stop_s)
    stop_s = time.monotonic() - stopping_s
    user_s, system_s = looked.during()
    usage = groups.usage("tracer")
    found.tracer = TracerRun(
        ready_by=tracer.ready_by,
        startup_s=startup_s,
        startup_cpu_s=sum(looked.cpu_s[0]) if looked.cpu_s[0] else None,
        user_s=user_s,
        system_s=system_s,
        pss_peak_bytes=looked.pss_peak_bytes,
        memory_peak_bytes=usage.memory_peak_bytes if usage else None,
        stop_s=stop_s,
        bpf=bpf,
    )
    return held


def _bpf(tracer: CommandProcess, found: SoFar) -> tuple[Grip, BpfUse | None]:
    held = tracer.grip()
    try:
        return held, grip.bpf_use(held, grip.family(tracer.pid))
    except OSError as error:
        found.absent["BPF programs and maps"] = f"bpf(2): {error.strerror}"
        return held, None


def _take_metrics(spec: OverheadSpec, found: SoFar, target: HeldTarget) -> None:
    if found.target is not None:
        values = read_metrics(spec.target.metrics, target.said())
        found.target = replace(found.target, values={**found.target.values, **values})


def _left_running() -> tuple[str, ...]:
    def still() -> list[int]:
        return [pid for pid in tasks.descendants(os.getpid()) if tasks.living(pid)]

    left = leftovers.settled(still, LEFT_S)
    return tuple(f"{text_if_any(Path(f'/proc/{pid}/comm')) or '?'} (process {pid})" for pid in left)


def _end_all() -> None:
    """End all that descends from this process, and reap it."""
    until_s = time.monotonic() + LEFT_S
    while (pids := list(tasks.descendants(os.getpid()))) and time.monotonic() < until_s:
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.002)
