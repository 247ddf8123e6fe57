# SPDX-License-Identifier: Apache-2.0
"""What the kernel says of a process's epolls, by /proc/PID/fdinfo."""

from __future__ import annotations

import contextlib
import re
import select
from pathlib import Path

_AWAITED = re.compile(r"^tfd:\s*(\d+) events:\s*([0-9a-f]+)", re.MULTILINE)
"""A line of an epoll: a descriptor, as it was called when it was added, and what is waited for."""


def edge_triggered(pid: int) -> frozenset[int]:
    """Return the descriptors that a process waits for by edges, in whichever of its epolls."""
    found = set()
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since
            awaited = _AWAITED.findall(path.read_text())
            found |= {int(fd) for fd, events in awaited if int(events, 16) & select.EPOLLET}
    return frozenset(found)
