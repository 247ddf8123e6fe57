# SPDX-License-Identifier: Apache-2.0
"""A forked process of the suite, which does something under a name of its own, and what the kernel says of it."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Callable
from pathlib import Path

from bpfbench.inside.kernel import files

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_NAME = 15

NUMBERS = {
    "x86_64": {"read": 0, "write": 1, "pread64": 17, "pwrite64": 18},
    "aarch64": {"read": 63, "write": 64, "pread64": 67, "pwrite64": 68},
}[platform.machine()]
"""Of the system calls, by machine: asm/unistd.h."""


def started(comm: str, work: Callable[[], object], before: Callable[[], object] = lambda: None) -> int:
    """Start a process that does `before`, takes the name, does `work`, and ends, whatever happens in it."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        before()
        rename(comm)
        work()
        status = 0
    finally:
        os._exit(status)


def wait_for(*children: int) -> None:
    """Wait until all have ended.

    Raises:
        RuntimeError: one of them failed.
    """
    statuses = [os.waitpid(child, 0)[1] for child in children]
    if any(statuses):
        raise RuntimeError("a process of the load failed")


def rename(comm: str) -> None:
    """Give the calling thread a name."""
    LIBC.prctl(PR_SET_NAME, comm.encode(), 0, 0, 0)


def is_waiting_in(kind: str, thread_id: int, process_id: int | None = None) -> bool:
    """Tell whether a thread waits in a system call of this kind."""
    call = files.text_if_any(Path(f"/proc/{process_id or 'self'}/task/{thread_id}/syscall")) or ""  # it has ended
    return call.split()[:1] == [str(NUMBERS[kind])]
