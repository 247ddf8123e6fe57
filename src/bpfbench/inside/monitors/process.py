# SPDX-License-Identifier: Apache-2.0
"""CPU time and memory of one process and its children."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bpfbench.inside.kernel import tasks
from bpfbench.inside.kernel.files import text_if_any

PSS_INTERVAL_S = 1.0
"""PSS is sampled less often than the rest, because reading it costs milliseconds."""


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
    children = list(tasks.descendants(pid))
    try:
        own = tasks.cpu_times(pid)
    except OSError:
        return None
    delayed_s, blocked = _waits(pid)
    times = [own]
    for child in children:
        with contextlib.suppress(OSError):  # it has ended since
            times.append(tasks.cpu_times(child))
    shares = [pss_bytes(member) for member in (pid, *children)] if with_pss else [None]
    return ProcessSample(
        monotonic_s=time.monotonic(),
        user_s=sum(t.user_s for t in times) + own.children_user_s,
        system_s=sum(t.system_s for t in times) + own.children_system_s,
        delayed_s=delayed_s,
        blocked=blocked,
        pss_bytes=None if None in shares else sum(n for n in shares if n is not None),
    )


def pss_bytes(pid: int) -> int | None:
    """Return the proportional set size of one process; None where it is gone or the kernel has no smaps_rollup."""
    return parse_pss(text_if_any(Path(f"/proc/{pid}/smaps_rollup")) or "")


def parse_pss(rollup: str) -> int | None:
    """Return the Pss line of smaps_rollup in bytes; None for a process that has no memory any more."""
    found = (line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:"))
    return next((int(kib) * 1024 for kib in found), None)


def code_bytes(pid: int) -> int | None:
    """Return the size of the files that a process and its children run: executables and shared libraries, each once.

    None where a process has ended, or a file of it cannot be found any more.
    """
    try:
        maps = [Path(f"/proc/{member}/maps").read_text() for member in (pid, *tasks.descendants(pid))]
        return sum(Path(name).stat().st_size for name in {name for own in maps for name in parse_executable(own)})
    except OSError:
        return None


def parse_executable(maps: str) -> Iterator[str]:
    """Yield the files that are mapped to be executed, by the text of /proc/PID/maps."""
    for line in maps.splitlines():
        _, access, _, _, _, *name = line.split(maxsplit=5)
        if "x" in access and name and name[0].startswith("/"):
            yield name[0]


def _waits(pid: int) -> tuple[float, bool]:
    """Return how long the threads of a process have waited for a CPU, and whether one waits for its disk."""
    delayed_ns, blocked = 0, False
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            blocked |= tasks.state(task) == "D"
            delayed_ns += tasks.scheduled(task).delayed_ns
    return delayed_ns / 1e9, blocked
