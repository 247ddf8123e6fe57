# SPDX-License-Identifier: Apache-2.0
"""A child process, such as fio and the tracer: confined before it is executed, and not left behind."""

from __future__ import annotations

import ctypes
import os
import platform
import select
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from bpfbench.errors import StepError
from bpfbench.inside.kernel import tasks

SAID_LINES = 5
"""Of what was printed last, that a reason ends with, and that is kept."""

LINES_BYTES = 2**16
"""More than the last lines of anything take."""

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def filled(words: Iterable[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """Return the words of a command with placeholders replaced: {data} by its value, say."""
    found = tuple(words)
    for placeholder, value in values.items():
        found = tuple(word.replace(placeholder, value) for word in found)
    return found


@dataclass(frozen=True, slots=True)
class Launch:
    """What is started, and how."""

    command: tuple[str, ...]
    cpus: Set[int]
    """Those it may run on."""
    stderr: Path
    """The file its messages go to, and what it prints, unless that is read."""
    join: Callable[[], None] = lambda: None
    """What the child does first: join its control group."""
    env: Mapping[str, str] = field(default_factory=dict)
    """What it has in its environment besides ours."""


class Child:
    """A running program, in a session of its own. Use as a context manager: on leaving, it is gone.

    Args:
        name: what it is called where it is spoken of.
        launch: what is started, and how.
        confine: what the child does last, before it is executed.
        piped: whether what it prints is read.

    Raises:
        StepError: it could not be started.
    """

    def __init__(self, name: str, launch: Launch, confine: Callable[[], None], *, piped: bool = False) -> None:
        def first() -> None:
            launch.join()
            os.sched_setaffinity(0, launch.cpus)
            confine()

        self._stderr = launch.stderr
        try:
            with launch.stderr.open("wb") as errors:
                self._process = subprocess.Popen(
                    launch.command,
                    env={**os.environ, **launch.env},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE if piped else errors,
                    stderr=errors,
                    start_new_session=True,
                    preexec_fn=first,
                )
        except (OSError, subprocess.SubprocessError) as error:
            raise StepError(f"{name} cannot be started: {getattr(error, 'strerror', None) or error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.alive():
            os.killpg(self.pid, signal.SIGKILL)
        with self._process:  # waits, and closes its pipe
            pass

    @property
    def pid(self) -> int:
        """Id of the process that was started."""
        return self._process.pid

    @property
    def stdout(self) -> int:
        """Descriptor of what it prints, where that is piped."""
        if self._process.stdout is None:
            raise AssertionError("it is not piped")
        return self._process.stdout.fileno()

    def alive(self) -> bool:
        """Tell whether it still runs."""
        return self._process.poll() is None

    def status(self) -> int:
        """Wait for its end, and return its exit status; negative: the signal that ended it."""
        return self._process.wait()

    def ended_within(self, timeout_s: float) -> bool:
        """Wait for its end, without reaping it; tell whether it came in time."""
        pidfd = os.pidfd_open(self.pid)
        try:
            return bool(select.select([pidfd], [], [], timeout_s)[0])
        finally:
            os.close(pidfd)

    def io(self) -> tasks.TaskIo | None:
        """Return the kernel's account of it, if it keeps any; to be called before it is reaped."""
        try:
            return tasks.io(self.pid)
        except OSError:
            return None

    def last_message(self) -> str:
        """Return the last line it wrote to stderr."""
        return next(iter(self.last_lines(1)), "no message")

    def last_lines(self, most: int) -> tuple[str, ...]:
        """Return the last lines it wrote to stderr, and printed, unless that is read."""
        with self._stderr.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LINES_BYTES))
            return tuple(file.read().decode(errors="replace").strip().splitlines()[-most:])

    def said(self) -> str:
        """Return all that it wrote to stderr, and printed, unless that is read."""
        return self._stderr.read_text(errors="replace")


def unpacked(root: str) -> dict[str, str]:
    """Return what is in the environment of a program that packages are unpacked for below `root`; empty: none are."""
    if not root:
        return {}
    usr = f"{root}/usr"
    libraries = f"{usr}/lib/{platform.machine()}-linux-gnu:{usr}/lib"
    return {"PATH": f"{usr}/bin:{usr}/sbin:{os.environ['PATH']}", "LD_LIBRARY_PATH": libraries}


def dies_with_us() -> None:
    """Have the kernel end this process when the one that started it is gone; runs in the child, before exec."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's children in the background find it ignored
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def obeyed(status: int, number: signal.Signals) -> bool:
    """Tell whether a process that was sent a signal ended as it should: well, by it, or as shells say that."""
    return status in (0, -number, 128 + number)


def exit_text(status: int | None) -> str:
    """Say how a process has ended, by what waiting for it returned."""
    if status is None:
        return "still running"
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
