# SPDX-License-Identifier: Apache-2.0
"""The proportional set size of one process: each page it shares counts by its share."""

from __future__ import annotations

from pathlib import Path


def sample(pid: int) -> int | None:
    """Return the PSS in bytes; None where the process is gone or the kernel has no smaps_rollup."""
    try:
        return parse(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except OSError:
        return None


def parse(text: str) -> int | None:
    """Return the Pss line of smaps_rollup in bytes; None for a process that has no memory any more."""
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return None
