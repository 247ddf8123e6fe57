# SPDX-License-Identifier: Apache-2.0
"""The workload of a trial: data files laid out, fio run, and what is to be sampled meanwhile."""

from __future__ import annotations

import ctypes
import functools
import os
import time
from collections.abc import Callable
from pathlib import Path

from bpfbench.errors import StepError
from bpfbench.inside.child import Child, Launch
from bpfbench.inside.kernel import tasks
from bpfbench.inside.trial import fio
from bpfbench.model import CallAccount, Workload

LAYOUT_MARK = "complete"
"""Present in a data directory whose files were all written: sizes cannot tell written blocks from reserved ones."""


_PTRACE_TRACEME, _PTRACE_DETACH = 0, 17
"""Of ptrace(2)."""

YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")
NO_PTRACE = "3"
"""What Yama says where nobody may trace anything; the kernel's Documentation/admin-guide/LSM/Yama.rst."""

_libc = ctypes.CDLL(None, use_errno=True)


class FioProcess(Child):
    """A running fio. Use as a context manager: on leaving, it is gone (jobs it leaves end with the PID namespace).

    It is traced (ptrace) until it is executed and no longer, so that the kernel's account of its calls can be read
    just then: what was called until that moment was not fio's, and had another name.

    Raises:
        StepError: it could not be started.
    """

    def __init__(self, launch: Launch) -> None:
        self.calls: CallAccount | None = None
        """What the kernel counted of all its processes; None while it runs, and where the kernel does not count."""
        self._at_exec: tasks.TaskIo | None = None
        stops = not (YAMA.exists() and YAMA.read_text().strip() == NO_PTRACE)
        try:
            super().__init__("fio", launch, functools.partial(_confine, stops=stops))
        except StepError:
            if not stops:
                raise
            stops = False  # somebody else traces, or forbids it; whatever else is wrong, is so again
            super().__init__("fio", launch, functools.partial(_confine, stops=False))
        if stops:
            os.waitpid(self.pid, os.WUNTRACED)  # it is executed, and has not run yet
            self._at_exec = self.io()
            _libc.ptrace(_PTRACE_DETACH, self.pid, None, None)
        self.started_s = time.monotonic()

    def wait(self, timeout_s: float, interval_s: float, tick: Callable[[], None]) -> None:
        """Wait for the end, calling `tick` every `interval_s`.

        Raises:
            StepError: fio failed or took too long; or what `tick` raises.
        """
        until_s = time.monotonic() + timeout_s
        next_s = time.monotonic() + interval_s
        while not self.ended_within(max(0.0, next_s - time.monotonic())):
            tick()
            # Skip the ticks that a slow one swallowed, rather than catch up in a burst.
            next_s = max(next_s + interval_s, time.monotonic())
            if time.monotonic() > until_s:
                raise StepError(f"fio was still running after {timeout_s:g} s")
        if (begin := self._at_exec) and (end := self.io()):
            self.calls = CallAccount(end.read_calls - begin.read_calls, end.write_calls - begin.write_calls)
        if status := self._process.wait():
            raise StepError(f"fio ended with status {status}: {self.last_message()}")


def _confine(*, stops: bool) -> None:
    """Set what fio and its processes inherit, and whether it stops once executed; runs in the child, before exec.

    Raises:
        OSError: it is to stop and cannot be traced.
    """
    # fio spins for what is shorter than a sleep can be, and a default sleep takes 50 us longer than asked: a process
    # with a limited rate would burn its CPU between two I/Os.
    Path("/proc/self/timerslack_ns").write_text("1")
    if stops and _libc.ptrace(_PTRACE_TRACEME, 0, None, None):
        raise OSError(ctypes.get_errno(), "ptrace")


def lay_out(
    job_file: str, workload: Workload, directory: Path, timeout_s: float, report: Callable[[int], None]
) -> None:
    """Write the data files of a workload into `directory`; a directory that is complete is left as it is.

    Reported now and then is how many bytes are written so far.

    Raises:
        StepError: fio failed, e.g. because the disk is full.
    """
    files = [directory / name for name in fio.data_files(workload)]
    if is_laid_out(workload, directory):
        return
    (directory / LAYOUT_MARK).unlink(missing_ok=True)
    command, env = fio.call(workload, job_file, str(directory / "layout.json"), str(directory))
    with FioProcess(Launch(command, os.sched_getaffinity(0), directory / "layout.log", env=env)) as process:
        process.wait(timeout_s, 0.5, lambda: report(sum(_allocated(path) for path in files)))
    for name in ("layout.json", "layout.log"):
        (directory / name).unlink()
    (directory / LAYOUT_MARK).touch()


def is_laid_out(workload: Workload, directory: Path) -> bool:
    """Tell whether all data files are there, whole."""
    paths = [directory / name for name in fio.data_files(workload)]
    return (directory / LAYOUT_MARK).exists() and all(
        path.is_file() and path.stat().st_size == workload.bytes_per_process <= _allocated(path) for path in paths
    )


def _allocated(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return 0
