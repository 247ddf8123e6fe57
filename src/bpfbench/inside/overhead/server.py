# SPDX-License-Identifier: Apache-2.0
"""The server: what answers the target. It runs already, or is started for the trial; its CPU time is taken apart."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from bpfbench.errors import StepError
from bpfbench.inside.child import Child, Launch, dies_with_us, exit_text
from bpfbench.inside.command import LOOK_S, QUIET_CPU_S, QUIET_S, SETTLE_S
from bpfbench.inside.grip import family
from bpfbench.inside.kernel import tasks
from bpfbench.inside.kernel.files import text_if_any
from bpfbench.inside.monitors import process
from bpfbench.model import comm_of
from bpfbench.model.target import Server

LISTENING = "0A"
"""TCP_LISTEN, as /proc/net/tcp has it."""
ACCEPTING = 0x10000
"""__SO_ACCEPTCON, of the flags in /proc/net/unix."""


class Answering(Protocol):
    """A server of either kind."""

    @property
    def pid(self) -> int:
        """Its first process."""

    def cpu_s(self) -> tuple[float, float]:
        """Return user and system CPU time of all its processes so far, by their own accounts, in ticks of the clock."""

    def require_alive(self, when: str) -> None:
        """Make sure that it runs; raises StepError."""


class RunningServer:
    """One that was there before.

    Args:
        server: a process id, or what processes are called.

    Raises:
        StepError: there is none.
    """

    def __init__(self, server: Server) -> None:
        self._called = server.called
        self._pids = sorted(_called(server.called))
        if not self._pids:
            what = "no process has id" if server.called.isdecimal() else "no process is called"
            raise StepError(f"option --server: {what} {server.called}; `ps -e -o pid,comm` has those that run")

    @property
    def pid(self) -> int:
        """The oldest of its processes."""
        return self._pids[0]

    def cpu_s(self) -> tuple[float, float]:
        """Return user and system CPU time of all its processes so far."""
        return cpu_of({member for pid in self._pids for member in family(pid)})

    def require_alive(self, when: str) -> None:
        """Make sure that the oldest of its processes runs.

        Raises:
            StepError: it has ended.
        """
        if not tasks.living(self.pid):
            raise StepError(f"the server {self._called} ended {when}")


class StartedServer(Child):
    """One that is started for the trial. Use as a context manager: on leaving, it is gone.

    Raises:
        StepError: it could not be started.
    """

    def __init__(self, server: Server, launch: Launch) -> None:
        super().__init__("the server", Launch(server.command, launch.cpus, launch.stderr, launch.join), dies_with_us)

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until it listens, and does nothing else any more; or, where it listens nowhere, rests.

        Raises:
            StepError: it ended, or took too long.
        """
        began_s = since_s = time.monotonic()
        last: tuple[frozenset[str], int] | None = None
        while True:
            self.require_alive("before it was ready")
            own, now_s = process.sample(self.pid, with_pss=False), time.monotonic()
            seen = (
                None if own is None else (listening(family(self.pid)), int((own.user_s + own.system_s) / QUIET_CPU_S))
            )
            if seen != last:
                last, since_s = seen, now_s
            needed_s = math.inf if own is None or own.blocked else SETTLE_S if seen and seen[0] else QUIET_S
            if now_s - since_s >= needed_s:
                return
            if now_s - began_s > timeout_s:
                raise StepError(f"the server was not ready after {timeout_s:g} s: {self.last_message()}")
            time.sleep(LOOK_S)

    def cpu_s(self) -> tuple[float, float]:
        """Return user and system CPU time of all its processes so far."""
        return cpu_of(set(family(self.pid)))

    def require_alive(self, when: str) -> None:
        """Make sure that it runs.

        Raises:
            StepError: it has ended.
        """
        if not self.alive():
            raise StepError(f"the server ended {when} ({exit_text(self._process.returncode)}): {self.last_message()}")

    def stop(self, timeout_s: float) -> None:
        """Send SIGTERM to its group, and wait for its end, however that comes.

        Raises:
            StepError: it does not end in time.
        """
        os.killpg(self.pid, signal.SIGTERM)
        if not self.ended_within(timeout_s):
            raise StepError(f"the server was still running {timeout_s:g} s after SIGTERM: {self.last_message()}")


def cpu_of(pids: set[int]) -> tuple[float, float]:
    """Return user and system CPU time of processes, and of all children that they have waited for, in seconds."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):  # it has ended: its parent has its time
            found.append(tasks.cpu_times(pid))
    return (
        sum(own.user_s + own.children_user_s for own in found),
        sum(own.system_s + own.children_system_s for own in found),
    )


def listening(pids: tuple[int, ...]) -> frozenset[str]:
    """Return the sockets, by their inodes, at which processes wait for connections."""
    return frozenset(inode for pid in pids for inode in _sockets(pid)) & frozenset(_accepting(pids[0]))


def _called(called: str) -> set[int]:
    """Return the processes that are meant, none of ours among them."""
    if called.isdecimal():
        return {int(called)} if tasks.living(int(called)) else set()
    running = (int(path.name) for path in Path("/proc").glob("[1-9]*"))
    return {pid for pid in running if tasks.comm(pid) == comm_of(called)} - set(family(os.getpid()))


def _sockets(pid: int) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed since
                name = path.readlink().name
                if name.startswith("socket:["):
                    yield name[8:-1]


def _accepting(pid: int) -> Iterator[str]:
    """Yield the inodes of all sockets of a process's network that accept connections."""
    for protocol in ("tcp", "tcp6"):
        for line in (text_if_any(Path(f"/proc/{pid}/net/{protocol}")) or "").splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING:
                yield fields[9]
    for line in (text_if_any(Path(f"/proc/{pid}/net/unix")) or "").splitlines()[1:]:
        fields = line.split()
        if int(fields[3], 16) & ACCEPTING:
            yield fields[6]
