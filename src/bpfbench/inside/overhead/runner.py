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
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bpfbench.errors import StepError
from bpfbench.inside import leftovers
from bpfbench.inside.child import Child, Launch, dies_with_us, exit_text
from bpfbench.inside.command import SETTLE_S
from bpfbench.inside.kernel import bpf
from bpfbench.inside.monitors import cgroup, process
from bpfbench.inside.monitors.cgroup import ControlGroups
from bpfbench.inside.overhead.scene import Scene, SoFar
from bpfbench.inside.overhead.server import Answering, RunningServer, StartedServer
from bpfbench.inside.overhead.target import HeldTarget
from bpfbench.inside.overhead.traced import TracerAtWork, role_of
from bpfbench.inside.printed import read_metrics
from bpfbench.model import Status
from bpfbench.model.target import (
    CPU,
    SERVER_CPU,
    SERVER_SYSTEM,
    SERVER_USER,
    TIME,
    OverheadResult,
    OverheadSpec,
    TargetRun,
)

RUNS_S = 60.0
"""So long, at least, may several runs of a short target take together."""


def run(spec: OverheadSpec) -> OverheadResult:
    """Run one trial, also to its failure. Nothing that it started runs on, whatever happens, SIGTERM included."""
    leftovers.reap()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    cgroup.sweep(cgroup.hierarchy())
    found, folder, reason = SoFar(), Path(spec.folder), None
    folder.mkdir(parents=True)
    roles = ("workload", "server", *map(role_of, range(len(spec.tracers))))
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


def _measure(scene: Scene) -> None:
    spec, found = scene.spec, scene.found
    if spec.target.prepare:
        _prepare(scene.launch("prepare", spec.target.prepare), spec.deadlines.target_s)
    with scene.groups as groups:
        if groups.reason:
            found.absent["control groups"] = groups.reason
        with _served(scene) as server:
            held = HeldTarget(spec.target, scene.launch("workload"), scene.folder / "gate", spec.runs)
            with scene.printed("target", held) as target:
                ran, loaded = _run_traced(scene, target, server)
                each = [read_metrics(spec.target.metrics, printed) for printed in target.printed()]
                values = {name: statistics.fmean(own[name] for own in each) for name in each[0]}
                found.target = replace(ran, values={**ran.values, **values})
            if isinstance(server, StartedServer):
                server.stop(spec.deadlines.stop_s)
        leftovers.require_none_running("target or tracer")  # before the groups are gone with whoever is in them
    leftovers.require_unloaded(loaded)
    leftovers.require_none_running("target or tracer")


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
        with scene.printed("server", StartedServer(server, scene.launch("server"))) as started:
            started.wait_ready(scene.spec.deadlines.ready_s)
            yield started


def _run_traced(scene: Scene, target: HeldTarget, server: Answering | None) -> tuple[TargetRun, frozenset[int]]:
    """Run the target under the tracers, stop them, and return what it did, and which BPF programs they had loaded."""
    numbers = [number for number, tracer in enumerate(scene.spec.tracers) if tracer.command]
    with contextlib.ExitStack() as running:
        tracers = []
        for number in numbers:
            tracers.append(running.enter_context(TracerAtWork.started(scene, number, target.pid, server)))
        if not tracers:
            time.sleep(SETTLE_S)  # as long as the target of a tracer waits
        with _counted(scene):
            ran = _run_target(scene, target, server, tracers)
        loaded = [tracer.stop() for tracer in reversed(tracers)]
        scene.found.tracers.reverse()
    return ran, frozenset().union(*loaded)


@contextlib.contextmanager
def _counted(scene: Scene) -> Iterator[None]:
    """Have the kernel count the run time of BPF programs meanwhile, where that is wanted."""
    with contextlib.ExitStack() as counting:
        if scene.spec.counted:
            try:
                counting.enter_context(bpf.run_time_counted())
            except OSError as error:
                scene.found.absent["run time of BPF programs"] = f"bpf(2): {error.strerror}"
        yield


def _deadline_s(spec: OverheadSpec) -> float:
    """Return how long the target may take: several runs, of half a second without a tracer, no longer than one may."""
    return spec.deadlines.target_s if spec.runs == 1 else max(spec.deadlines.target_s, RUNS_S)


def _run_target(
    scene: Scene, target: HeldTarget, server: Answering | None, tracers: Sequence[TracerAtWork]
) -> TargetRun:
    """Run the target to its end, and take its time.

    Raises:
        StepError: it failed, or took too long; or a tracer, or the server, ended meanwhile.
    """
    groups, runs = scene.groups, scene.spec.runs
    for tracer in tracers:
        tracer.take()
    held, served = groups.sample("workload"), _server_cpu(groups, server)
    begin_s = target.let_go()
    end_s = _wait_for_end(target, tracers, _deadline_s(scene.spec))
    ended, served_end = groups.sample("workload"), _server_cpu(groups, server)
    for tracer in tracers:
        tracer.take()
    target.result()
    user_s, system_s, accounting = target.user_s, target.system_s, "rusage"
    if held and ended:
        user_s, system_s, accounting = ended.user_s - held.user_s, ended.system_s - held.system_s, "cgroup-v2"
    values = {TIME.name: (end_s - begin_s) / runs, CPU.name: (user_s + system_s) / runs}
    if server and served and served_end:
        server.require_alive("while the target ran")
        user, system = (
            100 * (after - before) / (end_s - begin_s) for before, after in zip(served[1], served_end[1], strict=True)
        )
        values |= {SERVER_CPU.name: user + system, SERVER_USER.name: user, SERVER_SYSTEM.name: system}
    return TargetRun(values, user_s / runs, system_s / runs, accounting, served[0] if served else None, runs)


def _server_cpu(groups: ControlGroups, server: Answering | None) -> tuple[str, tuple[float, float]] | None:
    """Return the server's user and system CPU time so far, and where it is from."""
    if server is None:
        return None
    if used := groups.sample("server"):
        return "cgroup-v2", (used.user_s, used.system_s)
    return "proc", server.cpu_s()


def _wait_for_end(target: HeldTarget, tracers: Sequence[TracerAtWork], timeout_s: float) -> float:
    """Wait for the target's end, looking at the tracers now and then; return when it was."""
    pids = [target.pid, *(tracer.pid for tracer in tracers if tracer.pid is not None)]
    with contextlib.ExitStack() as opened:
        fds = []
        for pid in pids:
            fds.append(os.pidfd_open(pid))
            opened.callback(os.close, fds[-1])
        now_s = time.monotonic()
        next_s, until_s = now_s + process.PSS_INTERVAL_S, now_s + timeout_s
        while True:
            ended = select.select(fds, [], [], max(0.0, min(next_s, until_s) - now_s))[0]
            now_s = time.monotonic()
            if fds[0] in ended:
                return now_s
            for tracer in tracers:
                tracer.require_alive()
            if now_s >= until_s:
                raise StepError(f"the target was still running after {timeout_s:g} s")
            if now_s >= next_s:
                for tracer in tracers:
                    tracer.take_memory()
                next_s = max(next_s + process.PSS_INTERVAL_S, time.monotonic())
