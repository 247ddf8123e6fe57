# SPDX-License-Identifier: Apache-2.0
"""Perf buffers, seen from outside.

What one has taken and given back is in its first page, which anyone with a descriptor of its event may map: as with BPF
ring buffers (ring.py), every library's progress is seen in the same way, and without its help.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from bpfbench.errors import StepError
from bpfbench.inside.kernel import bpf

_SYS_PIDFD_GETFD = 438
"""On every architecture."""
_MAPPED = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) .* anon_inode:\[perf_event\]$", re.MULTILINE)
_IOC_ID = 0x80082407
"""PERF_EVENT_IOC_ID: what tells an event from all others, whatever its descriptors."""
_DATA_HEAD = 128
"""Its word in struct perf_event_mmap_page; data_tail is the next."""

_libc = ctypes.CDLL(None, use_errno=True)


def events_of(pid: int) -> Iterator[int]:
    """Yield descriptors of our own of the perf events that a process holds open, to be closed by who takes them."""
    for fd in tuple(bpf.perf_event_fds(pid)):
        yield _duplicate(pid, fd)


def _duplicate(pid: int, fd: int) -> int:
    """Return a descriptor of our own of what another process has by one of its own."""
    process = os.pidfd_open(pid)
    try:
        own = int(_libc.syscall(_SYS_PIDFD_GETFD, process, fd, 0))
    finally:
        os.close(process)
    if own < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "pidfd_getfd(2)")
    return own


class PerfBuffer:
    """The two positions of a perf buffer, in bytes since it was made. Use as a context manager, which keeps it.

    Args:
        fd: of its event.
        data_bytes: its size, without the first page.

    Raises:
        OSError: it is none of that size.
    """

    def __init__(self, fd: int, data_bytes: int) -> None:
        self.bytes = data_bytes
        self._pages = mmap.mmap(fd, mmap.PAGESIZE + data_bytes, prot=mmap.PROT_READ)
        self._words = memoryview(self._pages).cast("Q")  # read as one word, which is what makes it consistent

    def __enter__(self) -> PerfBuffer:
        return self

    def __exit__(self, *_: object) -> None:
        self._words.release()
        self._pages.close()

    @property
    def consumed(self) -> int:
        """Up to where user space has given space back."""
        return self._words[_DATA_HEAD + 1]

    @property
    def produced(self) -> int:
        """Up to where the kernel side has put records."""
        return self._words[_DATA_HEAD]


def buffers_of(pid: int) -> Iterator[PerfBuffer]:
    """Yield the perf buffers that a process has mapped.

    An event that a program is attached by has none, and would be given one: it is left alone.

    Raises:
        StepError: one cannot be mapped.
    """
    sizes = {int(end, 16) - int(start, 16) for start, end in _MAPPED.findall(Path(f"/proc/{pid}/maps").read_text())}
    if not sizes:
        return
    programs, seen = {fd for fd, _ in bpf.perf_programs(pid)}, set[int]()
    for fd in sorted(set(bpf.perf_event_fds(pid)) - programs):
        try:
            own = _duplicate(pid, fd)
        except OSError as error:
            raise StepError(f"a perf event of process {pid} cannot be had: {error.strerror}") from error
        with os.fdopen(own, "rb", buffering=0) as event:
            number = int.from_bytes(fcntl.ioctl(event, _IOC_ID, bytes(8)), sys.byteorder)
            if number not in seen:
                yield _mapped(event.fileno(), sizes)
            seen.add(number)


def _mapped(fd: int, sizes: set[int]) -> PerfBuffer:
    """Map a buffer that has one of these sizes: the kernel maps it once more in that alone."""
    for size in sorted(sizes):
        with contextlib.suppress(OSError):
            return PerfBuffer(fd, size - mmap.PAGESIZE)
    raise StepError("a perf buffer cannot be watched")
