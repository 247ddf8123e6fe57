# SPDX-License-Identifier: Apache-2.0
"""A tracer of a trial: started, ready, looked at around and during the target's run, stopped."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bpfbench.codec import from_json
from bpfbench.inside import grip
from bpfbench.inside.child import filled
from bpfbench.inside.command import CommandProcess
from bpfbench.inside.kernel import tasks
from bpfbench.inside.monitors import process
from bpfbench.inside.monitors.cgroup import GroupSample
from bpfbench.inside.monitors.process import ProcessSample
from bpfbench.inside.overhead.scene import Scene
from bpfbench.inside.overhead.server import Answering
from bpfbench.inside.printed import count
from bpfbench.model import TracerSummary, comm_of
from bpfbench.model.command import COMM, OUT, SUMMARY, BpfUse, CommandTracer, Tally
from bpfbench.model.target import TracerRun


def role_of(number: int) -> str:
    """Return what the control group and the files of a tracer are called by."""
    return f"tracer-{number}"


class TracerAtWork:
    """A tracer that is ready. What is not known of it is None."""

    def __init__(self, scene: Scene, number: int, running: CommandProcess, startup_s: float) -> None:
        self._scene, self._number, self._running, self._startup_s = scene, number, running, startup_s
        self._held = running.grip()
        self._cpu_s: list[tuple[float, float] | None] = []
        """User and system CPU time, each time it was taken; None where it had ended, and has no group."""
        self._pss: list[int] = []

    @classmethod
    @contextlib.contextmanager
    def started(cls, scene: Scene, number: int, target: int, server: Answering | None) -> Iterator[TracerAtWork]:
        """Have a tracer run meanwhile.

        Raises:
            StepError: it could not be started, or did not get ready.
        """
        tracer, before = _filled(scene, number, server), grip.programs_now()
        launch = scene.launch(role_of(number))
        running = CommandProcess(tracer, launch, target, before, server.pid if server else None)
        with scene.printed(scene.lines_of(number), running):
            with scene.blaming(number):
                startup_s = running.wait_ready(scene.spec.deadlines.ready_s, may_end=True)
                ready = cls(scene, number, running, startup_s)
            yield ready

    @property
    def pid(self) -> int | None:
        """Its process; None where it has ended."""
        return self._running.pid if self._running.alive() else None

    def take(self) -> None:
        """Read CPU time and memory."""
        own = process.sample(self._running.pid, with_pss=False)
        used: GroupSample | ProcessSample | None = self._scene.groups.sample(role_of(self._number)) or own
        self._cpu_s.append((used.user_s, used.system_s) if used else None)
        self.take_memory()

    def take_memory(self) -> None:
        """Read the memory."""
        own = process.sample(self._running.pid, with_pss=True)
        if own and own.pss_bytes is not None:
            self._pss.append(own.pss_bytes)

    def require_alive(self) -> None:
        """Make sure that it runs, while the target does.

        Raises:
            StepError: it has ended.
        """
        with self._scene.blaming(self._number):
            self._running.require_alive("while the target ran")

    def stop(self) -> frozenset[int]:
        """Stop it, note what it used, and return which BPF programs it had loaded, when it was ready, and later.

        Raises:
            StepError: it has attached something that nobody knew of, does not end, or not well.
        """
        scene, tracer = self._scene, self._running
        with scene.blaming(self._number):
            tracer.require_no_late_grip()
            held, use = self._held_now()
            begin_s = time.monotonic()
            tracer.stop(scene.spec.deadlines.stop_s)
            stop_s = time.monotonic() - begin_s
            received, lost = self._account()
        usage = scene.groups.usage(role_of(self._number))
        first, last = self._cpu_s[0], self._cpu_s[-1]
        scene.found.tracers.append(
            TracerRun(
                ready_by=tracer.ready_by,
                startup_s=self._startup_s,
                startup_cpu_s=sum(first) if first else None,
                user_s=last[0] - first[0] if first and last else None,
                system_s=last[1] - first[1] if first and last else None,
                pss_peak_bytes=max(self._pss, default=None),
                memory_peak_bytes=usage.memory_peak_bytes if usage else None,
                stop_s=stop_s,
                bpf=use,
                received=received,
                lost=lost,
            )
        )
        return held | self._held.programs

    def _held_now(self) -> tuple[frozenset[int], BpfUse | None]:
        """Return which programs it has loaded, and what they are; of several tracers it is not told whose is what."""
        if len(self._scene.spec.tracers) > 1 or not self._running.alive():
            return frozenset(), None
        held = self._running.grip()
        try:
            return held.programs, grip.bpf_use(held, grip.family(self._running.pid))
        except OSError as error:
            self._scene.found.absent["BPF programs and maps"] = f"bpf(2): {error.strerror}"
            return held.programs, None

    def _account(self) -> tuple[int | None, int | None]:
        """Return what it says that it has received and lost: in its account, or by patterns of what it printed."""
        asked, launch = self._scene.spec.tracers[self._number], self._scene.launch(role_of(self._number))
        with contextlib.suppress(OSError, ValueError):
            found = from_json(TracerSummary, Path(f"{_out(self._scene, self._number)}{SUMMARY}").read_text())
            return found.saved, found.lost_total

        def tallied(tally: Tally | None) -> int | None:
            with launch.stderr.open(errors="replace") as lines:
                return None if tally is None else count(tally, lines)

        return tallied(asked.received), tallied(asked.lost)


def _filled(scene: Scene, number: int, server: Answering | None) -> CommandTracer:
    """Return a tracer with the name of what is traced, and its file, filled in."""
    tracer, target = scene.spec.tracers[number], scene.spec.target.command[0].rpartition("/")[2]
    comm = tasks.comm(server.pid) if server else comm_of(target)
    return replace(tracer, command=filled(tracer.command, {COMM: comm or target, OUT: _out(scene, number)}))


def _out(scene: Scene, number: int) -> str:
    return str((scene.folder / f"{role_of(number)}.data").absolute())
