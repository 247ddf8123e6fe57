# SPDX-License-Identifier: Apache-2.0
"""The state of the machine at one moment of a trial: what an earlier trial, or a neighbour, could have left to it."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from bpfbench.inside.kernel import tasks
from bpfbench.inside.kernel.files import numbers, text_if_any
from bpfbench.inside.monitors.system import cpu_ticks
from bpfbench.model import Conditions, DiskCounters

SECTOR_BYTES = 512
"""The unit of the kernel's block statistics, whatever the device's own."""


def now(data_dir: Path, root: Path = Path("/")) -> Conditions:
    """Read the state of the machine, and of the disk that a directory is on; a few small files below `root`."""
    kib = numbers((root / "proc/meminfo").read_text())
    return Conditions(
        monotonic_s=time.monotonic(),
        dirty_bytes=kib["Dirty"] * 1024,
        writeback_bytes=kib["Writeback"] * 1024,
        cached_bytes=kib["Cached"] * 1024,
        free_bytes=kib["MemFree"] * 1024,
        steal_s=cpu_ticks((root / "proc/stat").read_text())[-1] / tasks.TICKS_PER_S,
        pressure_s=dict(_pressure(root / "proc/pressure")),
        cpu_mhz=_cpu_mhz(root / "sys/devices/system/cpu"),
        disk=_disk(root / "sys/dev/block", data_dir.stat().st_dev),
    )


def _pressure(directory: Path) -> Iterator[tuple[str, float]]:
    """Yield the total of each line of each resource; nothing where the kernel keeps none, or was told not to."""
    for resource in ("cpu", "io", "memory"):
        with contextlib.suppress(OSError):
            for line in (directory / resource).read_text().splitlines():
                kind, *values = line.split()
                yield f"{resource} {kind}", int(dict(value.split("=") for value in values)["total"]) / 1e6


def _cpu_mhz(cpus: Path) -> float | None:
    khz = [int(path.read_text()) for path in cpus.glob("cpu[0-9]*/cpufreq/scaling_cur_freq")]
    return statistics.fmean(khz) / 1000 if khz else None


def _disk(devices: Path, number: int) -> DiskCounters | None:
    """Read the statistics of a block device; None where it is none, as of a file system in memory or over a network."""
    stat = text_if_any(devices / f"{os.major(number)}:{os.minor(number)}" / "stat")
    if stat is None:
        return None
    values = [int(word) for word in stat.split()]
    return DiskCounters(
        read_ios=values[0],
        read_bytes=values[2] * SECTOR_BYTES,
        write_ios=values[4],
        write_bytes=values[6] * SECTOR_BYTES,
        in_flight=values[8],
        busy_s=values[9] / 1000,
    )
