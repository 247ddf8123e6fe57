# SPDX-License-Identifier: Apache-2.0
"""CPU and memory of the whole machine, as dstat shows them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bpfbench.inside.kernel.files import numbers
from bpfbench.inside.monitors import series
from bpfbench.model import SystemLoad

STAT_BYTES = 512
"""The first line of /proc/stat, which is of all CPUs together, fits in."""
MEMINFO_BYTES = 8192
"""All of /proc/meminfo fits in."""


@dataclass(frozen=True, slots=True)
class SystemSample:
    """The machine at one moment."""

    monotonic_s: float
    busy_ticks: int
    """user + nice + system + irq + softirq: what dstat adds up as usr and sys (its `dstat_cpu` plugin)."""
    total_ticks: int
    """The above + idle + iowait + steal. Guest time is part of user in /proc/stat and not added again."""
    memory_bytes: int
    """used + buffers."""


class SystemReader:
    """Takes samples at the least cost: files stay open, and their text is made sense of when it is asked for.

    Use as a context manager.
    """

    def __init__(self) -> None:
        self._stat, self._meminfo = (os.open(path, os.O_RDONLY) for path in ("/proc/stat", "/proc/meminfo"))
        self._taken: list[tuple[float, bytes, bytes]] = []
        """What no sense was made of yet."""
        self._samples: list[SystemSample] = []

    def __enter__(self) -> SystemReader:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._stat)
        os.close(self._meminfo)

    def take(self) -> float:
        """Read the machine's counters now; return when that is, by CLOCK_MONOTONIC in seconds."""
        now_s = time.monotonic()
        self._taken.append((now_s, os.pread(self._stat, STAT_BYTES, 0), os.pread(self._meminfo, MEMINFO_BYTES, 0)))
        return now_s

    def samples(self) -> tuple[SystemSample, ...]:
        """Return all that was taken."""
        self._samples += [
            SystemSample(when_s, *parse_stat(stat.decode()), parse_meminfo(meminfo.decode()))
            for when_s, stat, meminfo in self._taken
        ]
        self._taken.clear()
        return tuple(self._samples)


def cpu_ticks(text: str) -> tuple[int, ...]:
    """Return the ticks of all CPUs together from /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal.

    See proc_stat(5).
    """
    return tuple(map(int, text.split("\n", 1)[0].split()[1:9]))


def parse_stat(text: str) -> tuple[int, int]:
    """Return (busy, total) ticks of all CPUs from /proc/stat."""
    user, nice, system, idle, iowait, irq, softirq, steal = cpu_ticks(text)
    busy = user + nice + system + irq + softirq
    return busy, busy + idle + iowait + steal


def parse_meminfo(text: str) -> int:
    """Return used + buffers in bytes from /proc/meminfo.

    used = MemTotal - MemFree - Buffers - Cached - SReclaimable + Shmem, as dstat and older free(1) have it; the page
    cache is in neither, so that it tells what programs and the kernel hold, not what was read.
    """
    kib = numbers(text)
    without = kib["MemFree"] + kib["Cached"] + kib["SReclaimable"] - kib["Shmem"]
    return (kib["MemTotal"] - without) * 1024


def load(samples: Sequence[SystemSample], begin_s: float, end_s: float) -> SystemLoad | None:
    """Sum up the span from `begin_s` to `end_s` (CLOCK_MONOTONIC), between samples by interpolation.

    Returns:
        None where no sample lies within the span, or no tick of the clock.
    """
    within = [sample for sample in samples if begin_s <= sample.monotonic_s <= end_s]
    if not within:
        return None
    busy = series.increase(samples, (begin_s, end_s), lambda sample: sample.busy_ticks)
    total = series.increase(samples, (begin_s, end_s), lambda sample: sample.total_ticks)
    if total <= 0:
        return None
    return SystemLoad(
        seconds=end_s - begin_s,
        cpu_percent=100 * busy / total,
        memory_bytes=sum(sample.memory_bytes for sample in within) / len(within),
        samples=len(within),
    )
