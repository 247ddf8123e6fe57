# SPDX-License-Identifier: Apache-2.0
"""The machine's processes, for tests that ask what runs and what is left."""

from __future__ import annotations

import os
from pathlib import Path


def command_lines() -> dict[int, tuple[str, ...]]:
    """Return the words of the command of each process by its id; processes may end while they are read."""
    found = {}
    for path in Path("/proc").glob("[1-9]*/cmdline"):
        try:
            words = path.read_bytes().removesuffix(b"\0").split(b"\0")
        except OSError:
            continue
        found[int(path.parent.name)] = tuple(os.fsdecode(word) for word in words)
    return found
