# SPDX-License-Identifier: Apache-2.0
"""Processes and their tasks, in /proc/PID and its folder for each thread, /proc/PID/task/TID."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bpfbench.errors import StepError
from bpfbench.inside.kernel.files import numbers

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class TaskIo:
    """The kernel's account of what a process, and the children it has reaped, called and wrote since it was forked.

    A process that has ended keeps its account until it is reaped itself, and no thread or child of it can add to it any
    more: read then, it is complete. Source: proc_pid_io(5); the kernel's fs/proc/base.c, do_io_accounting().
    """

    read_calls: int
    """`syscr`: read, pread64, readv and their kin that reached a file, failed ones included."""
    write_calls: int
    """`syscw`: likewise."""
    written_bytes: int
    """`wchar`: what was passed to them and taken, wherever it went, also to /dev/null."""


def io(pid: int) -> TaskIo:
    """Read the account of a process, running or ended and not yet reaped.

    Raises:
        OSError: there is no such process, or the kernel keeps no accounts (CONFIG_TASK_IO_ACCOUNTING).
    """
    return parse_io(Path(f"/proc/{pid}/io").read_text())


def parse_io(text: str) -> TaskIo:
    """Read the text of /proc/PID/io."""
    values = numbers(text)
    return TaskIo(values["syscr"], values["syscw"], values["wchar"])


def state(task: Path) -> str:
    """Return the state of a task, a letter: the third field of stat, after the name; see proc_pid_stat(5).

    Raises:
        OSError: it has ended.
    """
    return (task / "stat").read_text().rpartition(")")[2].split()[0]


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """CPU time of a process, and of its children that have ended and been waited for, in seconds."""

    user_s: float
    system_s: float
    children_user_s: float
    children_system_s: float


def cpu_times(pid: int) -> CpuTimes:
    """Read the 14th to 17th field of stat.

    Raises:
        OSError: there is no such process.
    """
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
    return CpuTimes(*(int(count) / TICKS_PER_S for count in ticks))


def tracer_of(pid: int) -> int:
    """Return the process that a process is traced by (ptrace); 0: none.

    Raises:
        OSError: there is no such process.
    """
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("TracerPid:")), 0)


def comm(task: int) -> str | None:
    """Return what the kernel calls a process, or a thread, as in arguments; None: it is gone.

    It may end within a character. `shown` makes a text of it.
    """
    try:
        return os.fsdecode(Path(f"/proc/{task}/comm").read_bytes().removesuffix(b"\n"))
    except OSError:
        return None


def shown(comm: str) -> str:
    """Return what a process is called as text: what is none in it is replaced."""
    return os.fsencode(comm).decode(errors="replace")


def living(pid: int) -> bool:
    """Tell whether there is such a process, and it has not ended."""
    try:
        return state(Path(f"/proc/{pid}")) != "Z"
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Scheduled:
    """How long a task has run, and has waited for a CPU, since it began."""

    ran_ns: int
    delayed_ns: int


def scheduled(task: Path) -> Scheduled:
    """Read the schedstat of a task: ns on a CPU, ns waited for one, times on one.

    Raises:
        OSError: it has ended, or the kernel does not tell (CONFIG_SCHED_INFO).
    """
    ran, delayed, _ = (task / "schedstat").read_text().split()
    return Scheduled(int(ran), int(delayed))


def scheduled_threads(pid: int) -> dict[int, Scheduled]:
    """Return the same of each thread that a process has, by its id; of none where the kernel does not tell."""
    found = {}
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            found[int(task.name)] = scheduled(task)
    return found


def descendants(pid: int) -> Iterator[int]:
    """Yield the children of a process and theirs, those that have ended and were not waited for included."""
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
