# SPDX-License-Identifier: Apache-2.0
"""The page cache of the data files: dropped, and proved to be gone.

Only the data files are dropped (posix_fadvise), not every cache of the machine (drop_caches): the latter would make
tracers load their libraries from disk in every trial, and slow down whatever else the machine does.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bpfbench.errors import StepError


def drop(files: Sequence[Path]) -> None:
    """Drop the cached pages of `files`, which are written back.

    Raises:
        StepError: a file cannot be opened.
    """
    for path in files:
        try:
            with path.open("rb", buffering=0) as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            raise StepError(f"data file {path.name}: {error.strerror}") from error


def cached_bytes(files: Sequence[Path]) -> int:
    """Return how much of `files` the page cache holds, as fincore(1) tells.

    Raises:
        StepError: fincore cannot tell.
    """
    argv = ["fincore", "--bytes", "--noheadings", "--raw", "--output", "RES", *map(str, files)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StepError(f"fincore: {done.stderr.strip()}")
    return sum(map(int, done.stdout.split()))
