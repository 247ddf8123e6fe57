# SPDX-License-Identifier: Apache-2.0
"""The tasks of processes: /proc/PID/task/TID, a directory for each thread."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from bpfbench.errors import StepError


def state(task: Path) -> str:
    """Return the state of a task, a letter: the third field of stat, after the name; see proc_pid_stat(5).

    Raises:
        OSError: it has ended.
    """
    return (task / "stat").read_text().rpartition(")")[2].split()[0]


def delayed_ns(task: Path) -> int:
    """Return how long a task has waited for a CPU, by its schedstat: ns on a CPU, ns waited for one, times on one.

    Raises:
        OSError: it has ended, or the kernel does not tell (CONFIG_SCHED_INFO).
    """
    return int((task / "schedstat").read_text().split()[1])


def descendants(pid: int) -> Iterator[int]:
    """Yield the children of a process and theirs. psutil looks for them among all processes, which takes 1 ms."""
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = path.read_text().split()
        except OSError:
            continue  # the thread has ended since
        for child in map(int, children):
            yield child
            yield from descendants(child)


def stop(pid: int, timeout_s: float = 30.0) -> None:
    """Stop a process with all its threads.

    Raises:
        StepError: it does not stop.
    """
    os.kill(pid, signal.SIGSTOP)
    until_s = time.monotonic() + timeout_s
    while not all(state == "T" for state in _states(pid)):
        if time.monotonic() > until_s:
            raise StepError(f"the tracer did not stop within {timeout_s:g} s")
        time.sleep(0.0001)


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Have a process stopped meanwhile.

    Raises:
        StepError: it does not stop.
    """
    stop(pid)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _states(pid: int) -> Iterator[str]:
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            yield state(task)
    except OSError as error:
        raise StepError("the tracer died") from error
