# SPDX-License-Identifier: Apache-2.0
"""A process whose calls the kernel's account is read of, from the moment it is executed until it has ended."""

from __future__ import annotations

import ctypes
import functools
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from bpfbench.errors import StepError
from bpfbench.inside.child import Child, Launch
from bpfbench.inside.kernel import tasks
from bpfbench.model import CallAccount

_PTRACE_TRACEME, _PTRACE_DETACH = 0, 17
"""Of ptrace(2)."""

YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")
NO_PTRACE = "3"
"""What Yama says where nobody may trace anything; the kernel's Documentation/admin-guide/LSM/Yama.rst."""

_libc = ctypes.CDLL(None, use_errno=True)


class CountedProcess(Child):
    """A running target. Use as a context manager: on leaving, it is gone (jobs it leaves end with the PID namespace).

    It is traced (ptrace) until it is executed and no longer, so that the kernel's account of its calls can be read
    just then: what was called until that moment was not the target's, and had another name.

    Args:
        name: what it is called where it is spoken of.
        launch: what is started, and how.
        confine: what the child does last, before it is executed.
        held: whether it is stopped once executed, so that a tracer can be told its id, until it is let go.

    Raises:
        StepError: it could not be started, or not be held.
    """

    def __init__(self, name: str, launch: Launch, confine: Callable[[], None], *, held: bool = False) -> None:
        self.calls: CallAccount | None = None
        """What the kernel counted of all its processes; None while it runs, and where the kernel does not count."""
        self._name = name
        self._at_exec: tasks.TaskIo | None = None
        stops = not (YAMA.exists() and YAMA.read_text().strip() == NO_PTRACE)
        try:
            super().__init__(name, launch, functools.partial(_confine, confine, stops=stops))
        except StepError:
            if not stops:
                raise
            stops = False  # somebody else traces, or forbids it; whatever else is wrong, is so again
            super().__init__(name, launch, functools.partial(_confine, confine, stops=False))
        if stops:
            os.waitpid(self.pid, os.WUNTRACED)  # it is executed, and has not run yet
            self._at_exec = self.io()
        self.comm = tasks.comm(self.pid)
        """What the kernel calls it once it is executed."""
        self.started_s = time.monotonic()
        """When it was executed, or let go."""
        if stops:
            _libc.ptrace(_PTRACE_DETACH, self.pid, None, signal.SIGSTOP.value if held else None)
        elif held:
            self.__exit__()
            raise StepError(
                f"{name} cannot be held until the tracer is ready: nobody may trace processes here (ptrace)"
            )

    def let_go(self) -> None:
        """Have it begin, if it was held."""
        self.started_s = time.monotonic()
        os.kill(self.pid, signal.SIGCONT)

    def wait(self, timeout_s: float, interval_s: float, tick: Callable[[], None]) -> None:
        """Wait for the end, calling `tick` every `interval_s`.

        Raises:
            StepError: it failed or took too long; or what `tick` raises.
        """
        self.wait_ended(timeout_s, interval_s, tick)
        self.count()
        if status := self._process.wait():
            raise StepError(f"{self._name} ended with status {status}: {self.last_message()}")

    def wait_ended(self, timeout_s: float, interval_s: float, tick: Callable[[], None]) -> float:
        """Wait for the end as `wait`, but leave it to be reaped; return when it came, by CLOCK_MONOTONIC in seconds.

        Raises:
            StepError: it took too long; or what `tick` raises.
        """
        until_s = time.monotonic() + timeout_s
        next_s = time.monotonic() + interval_s
        while not self.ended_within(max(0.0, next_s - time.monotonic())):
            tick()
            # Skip the ticks that a slow one swallowed, rather than catch up in a burst.
            next_s = max(next_s + interval_s, time.monotonic())
            if time.monotonic() > until_s:
                raise StepError(f"{self._name} was still running after {timeout_s:g} s")
        return time.monotonic()

    def count(self) -> None:
        """Take the kernel's count, once it has ended and before it is reaped."""
        if (begin := self._at_exec) and (end := self.io()):
            self.calls = CallAccount(end.read_calls - begin.read_calls, end.write_calls - begin.write_calls)


def _confine(confine: Callable[[], None], *, stops: bool) -> None:
    """Set what it and its processes inherit, and whether it stops once executed; runs in the child, before exec.

    Raises:
        OSError: it is to stop and cannot be traced.
    """
    confine()
    if stops and _libc.ptrace(_PTRACE_TRACEME, 0, None, None):
        raise OSError(ctypes.get_errno(), "ptrace")
