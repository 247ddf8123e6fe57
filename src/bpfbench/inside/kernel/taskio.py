# SPDX-License-Identifier: Apache-2.0
"""The kernel's account of what a process and the children it has reaped called and wrote: /proc/PID/io.

A process that has ended keeps its account until it is reaped itself, and no thread or child of it can add to it any
more: read then, it is complete. Source: proc_pid_io(5); the kernel's fs/proc/base.c, do_io_accounting().
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bpfbench.inside.kernel.files import numbers


@dataclass(frozen=True, slots=True)
class TaskIo:
    """Since the process was forked."""

    read_calls: int
    """`syscr`: read, pread64, readv and their kin that reached a file, failed ones included."""
    write_calls: int
    """`syscw`: likewise."""
    written_bytes: int
    """`wchar`: what was passed to them and taken, wherever it went, also to /dev/null."""


def read(pid: int) -> TaskIo:
    """Read the account of a process, running or ended and not yet reaped.

    Raises:
        OSError: there is no such process, or the kernel keeps no accounts (CONFIG_TASK_IO_ACCOUNTING).
    """
    return parse(Path(f"/proc/{pid}/io").read_text())


def parse(text: str) -> TaskIo:
    """Read the file's text."""
    values = numbers(text)
    return TaskIo(values["syscr"], values["syscw"], values["wchar"])
