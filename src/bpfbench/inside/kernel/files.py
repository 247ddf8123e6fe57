# SPDX-License-Identifier: Apache-2.0
"""Small files of /proc and /sys, which the kernel makes up as they are read."""

from __future__ import annotations

from pathlib import Path


def text(path: Path) -> str:
    """Return what a file says, stripped, to be shown: what is no text in it is replaced.

    Raises:
        OSError: it cannot be read.
    """
    return path.read_text(errors="replace").strip()


def text_if_any(path: Path) -> str | None:
    """Return what a file says, stripped; None where it cannot be read."""
    try:
        return text(path)
    except OSError:
        return None


def numbers(lines: str) -> dict[str, int]:
    """Read lines of a name, a number and perhaps its unit: /proc/meminfo, /proc/PID/io, a control group's cpu.stat."""
    return {name.removesuffix(":"): int(value) for name, value, *_ in map(str.split, lines.splitlines())}
