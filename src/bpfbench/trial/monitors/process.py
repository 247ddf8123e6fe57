# SPDX-License-Identifier: Apache-2.0
"""CPU time and memory of one process and its children."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bpfbench.trial.monitors import pss


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """A process and its children at one moment."""

    monotonic_s: float
    user_s: float
    system_s: float
    delayed_s: float
    """How long its threads have waited for a CPU, by their schedstat; 0 where the kernel does not tell."""
    blocked: bool
    """Whether a thread of it waits for its disk (state D)."""
    pss_bytes: int | None
    """Proportional set size; None where it was not asked for, or the kernel has no smaps_rollup."""


def sample(pid: int, *, with_pss: bool) -> ProcessSample | None:
    """Read the counters of `pid` and its children now; None once it is gone.

    PSS, not RSS: ring buffer pages are mapped twice, and RSS counts them twice. Reading it walks the page tables of the
    process and takes milliseconds for one that has LLVM loaded.
    """
    try:
        process = psutil.Process(pid)
        children = [psutil.Process(child) for child in _descendants(pid)]
        own = process.cpu_times()
    except psutil.NoSuchProcess:
        return None
    tasks = tuple(Path(f"/proc/{pid}/task").glob("*"))
    times = [own, *(found for child in children if (found := _cpu_times(child)))]
    shares = [pss.sample(member.pid) for member in (process, *children)] if with_pss else [None]
    return ProcessSample(
        monotonic_s=time.monotonic(),
        user_s=sum(t.user for t in times) + own.children_user,
        system_s=sum(t.system for t in times) + own.children_system,
        delayed_s=sum(_delayed_ns(task) for task in tasks) / 1e9,
        blocked=any(_state(task) == "D" for task in tasks),
        pss_bytes=None if None in shares else sum(n for n in shares if n is not None),
    )


def _descendants(pid: int) -> Iterator[int]:
    """Yield the children of a process and theirs. psutil looks for them among all processes, which takes 1 ms."""
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = path.read_text().split()
        except OSError:
            continue  # the thread has ended since
        for child in map(int, children):
            yield child
            yield from _descendants(child)


def _delayed_ns(task: Path) -> int:
    """Read schedstat: ns on a CPU, ns waited for one, times on one; the kernel's Documentation/scheduler."""
    try:
        return int((task / "schedstat").read_text().split()[1])
    except (OSError, IndexError):
        return 0


def _state(task: Path) -> str:
    """Read the third field of stat, after the name in parentheses; see proc_pid_stat(5)."""
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def _cpu_times(child: psutil.Process) -> Any:
    """Return the times of a child; None where it has ended since it was listed."""
    try:
        return child.cpu_times()
    except psutil.NoSuchProcess:
        return None
