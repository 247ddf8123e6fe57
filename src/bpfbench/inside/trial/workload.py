# SPDX-License-Identifier: Apache-2.0
"""The workload of a trial of fio: data files laid out, fio run, and what is to be sampled meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from bpfbench.inside.child import Launch
from bpfbench.inside.trial import fio
from bpfbench.inside.trial.counted import CountedProcess
from bpfbench.model import Workload

LAYOUT_MARK = "complete"
"""Present in a data directory whose files were all written: sizes cannot tell written blocks from reserved ones."""


class FioProcess(CountedProcess):
    """A running fio. Use as a context manager: on leaving, it is gone.

    Raises:
        StepError: it could not be started.
    """

    def __init__(self, launch: Launch, *, held: bool = False) -> None:
        super().__init__("fio", launch, _sleep_exactly, held=held)


def _sleep_exactly() -> None:
    """Have sleeps take as long as asked; runs in the child, before exec.

    fio spins for what is shorter than a sleep can be, and a default sleep takes 50 us longer than asked: a process with
    a limited rate would burn its CPU between two I/Os.
    """
    Path("/proc/self/timerslack_ns").write_text("1")


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
