# SPDX-License-Identifier: Apache-2.0
"""A tracer of which nothing is known but its command: start, readiness, stop."""

from __future__ import annotations

import functools
import math
import os
import re
import resource
import signal
import time
from dataclasses import replace
from pathlib import Path

from bpfbench.errors import StepError
from bpfbench.inside import grip
from bpfbench.inside.child import Child, Launch, dies_with_us, exit_text, filled, obeyed
from bpfbench.inside.grip import Grip
from bpfbench.inside.monitors import process
from bpfbench.model.command import ENDED_AT_ONCE, PID, SERVER, CommandTracer

SETTLE_S = 0.5
"""What is attached must have been the same for so long. Tools attach one thing after another, within milliseconds."""

BUSY_SHARE = 0.5
"""One that takes more of a CPU meanwhile may be about to attach more: BCC's biosnoop, which reads all of the kernel's
symbols in between. It may also be at work already, so it is waited for,"""
BUSY_OF_TIMEOUT = 0.05
"""for this part of what it is given to get ready."""

QUIET_S = 1.0
"""A tracer that attaches nothing to be seen is ready when it has neither worked nor waited for a disk for so long."""
QUIET_CPU_S = 0.01
"""Less CPU time is no work: a tick of the clock that CPU time is counted by."""

QUIET = "nothing attached that can be seen, and no work"

LOOK_S = 0.05

Sign = tuple[object, str, float]
"""What is seen of a tracer, how that tells that it is ready, and for how long, in seconds, it must be the same."""


class CommandProcess(Child):
    """A running tracer. Use as a context manager: on leaving, it is gone.

    Args:
        tracer: what is run.
        launch: how it is started; its command is of no account.
        target: the process that stands for PID; None where there is none yet.
        before: the BPF programs there were; None where that is not known.
        server: the process that stands for SERVER, if there is one.
        limit_bytes: the most it may write to a file; more ends it.

    Raises:
        StepError: it could not be started.
    """

    def __init__(
        self,
        tracer: CommandTracer,
        launch: Launch,
        target: int | None,
        before: frozenset[int] | None,
        server: int | None = None,
        limit_bytes: int | None = None,
    ) -> None:
        self._tracer, self._before = tracer, before
        self._targets = tuple(pid for pid in (target, server) if pid is not None)
        self._file_before = _version(tracer.ready_file)
        self.ready_by = ""
        """How it was known to be ready; empty as long as it is not."""
        self.started_s = time.monotonic()
        self.command = filled(tracer.command, {PID: str(target), SERVER: str(server)})
        super().__init__("the tracer", replace(launch, command=self.command), functools.partial(_confine, limit_bytes))

    @property
    def pid_tracing(self) -> int:
        """The process that does the tracing, with all that it has started."""
        return self.pid

    def programs(self) -> frozenset[int]:
        """Return the ids of its BPF programs."""
        return self.grip().programs

    def grip(self) -> Grip:
        """Look at what it has attached."""
        return grip.take(grip.family(self.pid), self._targets, self._before)

    def wait_ready(self, timeout_s: float, *, may_end: bool = False) -> float:
        """Wait until it is ready, and SETTLE_S more; return how long it took since it was started, in seconds.

        Args:
            timeout_s: how long that may take.
            may_end: whether one may have ended by then, well, and with nothing attached: that is no tracer any more.

        Raises:
            StepError: it ended, or took too long.
        """
        told = self._tracer.ready_line or self._tracer.ready_file
        look = self._told if told else self._seen
        last, since_s, since_cpu_s = None, self.started_s, 0.0
        while True:
            if may_end and not told and not self.alive() and not self._process.returncode and not self.grip().attached:
                self.ready_by = ENDED_AT_ONCE
                took_s = time.monotonic() - self.started_s
                time.sleep(SETTLE_S)
                return took_s
            self.require_alive("before it was ready")
            now_s = time.monotonic()
            seen, how, needed_s = look()
            cpu_s = self._cpu_s() if isinstance(seen, Grip) else 0.0  # what is quiet is not busy
            if seen != last:
                last, since_s, since_cpu_s = seen, now_s, cpu_s
            same_s = now_s - since_s
            busy = cpu_s - since_cpu_s > BUSY_SHARE * same_s
            if same_s >= (max(needed_s, BUSY_OF_TIMEOUT * timeout_s) if busy else needed_s):
                self.ready_by = how
                return since_s - self.started_s
            if now_s - self.started_s > timeout_s:
                raise StepError(f"the tracer was not ready after {timeout_s:g} s: {self.last_message()}")
            time.sleep(LOOK_S)

    def require_alive(self, when: str) -> None:
        """Make sure that it runs.

        Raises:
            StepError: it has ended.
        """
        if not self.alive() and self.ready_by != ENDED_AT_ONCE:
            status = exit_text(self._process.returncode)
            raise StepError(f"the tracer ended {when} ({status}): {self.last_message()}")

    def require_no_late_grip(self) -> None:
        """Make sure that a tracer which was taken to be ready as it did nothing was so.

        Raises:
            StepError: it has attached something since.
        """
        if self.ready_by == QUIET and (found := self.grip()).attached:
            raise StepError(f"the tracer attached something ({found}) after it seemed ready; say when it is (--ready)")

    def stop(self, timeout_s: float) -> None:
        """Send its signal to its group, as a terminal does, and wait for the end; it may have ended by itself.

        One that has not ended after half of the time is sent it again, as by somebody who presses Ctrl-C twice: in
        Python, a SIGINT that arrives in a callback of C code ends that callback alone, as it may in BCC's tools.

        Raises:
            StepError: it does not end in time, or with an error.
        """
        number = signal.Signals[self._tracer.stop_signal]
        for _ in range(2):
            if self.alive():
                os.killpg(self.pid, number)
                self.ended_within(timeout_s / 2)
        if self.alive():
            raise StepError(
                f"the tracer was still running {timeout_s:g} s after {number.name}, sent twice: {self.last_message()}"
            )
        status = self._process.wait()
        if not obeyed(status, number):
            raise StepError(f"the tracer ended with {exit_text(status)}: {self.last_message()}")

    def _told(self) -> Sign:
        line, path = self._tracer.ready_line, self._tracer.ready_file
        if line is not None:
            there, how = re.search(line, self.said(), re.MULTILINE) is not None, "a line that it printed"
        else:
            there, how = _version(path) not in (None, self._file_before), "its file"
        return there, how, SETTLE_S if there else math.inf

    def _cpu_s(self) -> float:
        """Return the CPU time that it has used, with its children."""
        own = process.sample(self.pid, with_pss=False)
        return own.user_s + own.system_s if own else 0.0

    def _seen(self) -> Sign:
        found = self.grip()
        if found.attached:
            return found, str(found), SETTLE_S
        own = process.sample(self.pid, with_pss=False)
        if own is None or own.blocked:
            return None, "", math.inf
        return (found, int((own.user_s + own.system_s) / QUIET_CPU_S)), QUIET, QUIET_S


def _confine(limit_bytes: int | None) -> None:
    """Set what a tracer inherits; runs in the child, before exec."""
    dies_with_us()
    if limit_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))


def _version(path: str | None) -> tuple[int, int] | None:
    """Return what changes when a file is written anew; None where there is none."""
    try:
        found = Path(path).stat() if path else None
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns) if found else None
