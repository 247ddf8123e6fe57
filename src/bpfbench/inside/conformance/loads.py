# SPDX-License-Identifier: Apache-2.0
"""Simple loads: many calls of one kind, where their number is all that matters. What waits does so by other calls."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import mmap
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bpfbench.inside.conformance.program import LIBC, dying, is_waiting_in, rename

READ_BYTES = 512
M_ARENA_MAX = -8  # malloc.h


def reads(comm: str, work: Path, times: int) -> None:
    """Read so many times, in one process of that name."""
    with _data(work) as path:
        _wait_for(_start(comm, lambda: _read(path, times)))


def reads_of_many(comm: str, work: Path, processes: int, times: int) -> None:
    """Read so many times in each of so many processes of that name, which all begin at once."""
    with _data(work) as path:
        outlet, inlet = os.pipe()

        def begin_together() -> None:
            os.close(inlet)
            start = select.poll()
            start.register(outlet, 0)  # its end is always told
            start.poll()
            _read(path, times)

        children = [_start(comm, begin_together) for _ in range(processes)]
        os.close(inlet)
        os.close(outlet)
        for child in children:
            _wait_for(child)


def blocked_reads(comm: str, threads: int) -> None:
    """Let so many threads of one process wait in read(2) of an empty pipe at the same time, and then all return."""
    outlet, inlet = os.pipe()
    _block("read", comm, threads, waited_for=outlet, released_by=inlet)


def blocked_writes(comm: str, threads: int) -> None:
    """Let so many threads of one process wait in write(2) to a full pipe at the same time, and then all return."""
    outlet, inlet = os.pipe()
    os.set_blocking(inlet, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(inlet, bytes(65536))
    os.set_blocking(inlet, True)
    _block("write", comm, threads, waited_for=inlet, released_by=outlet)


def _block(kind: str, comm: str, threads: int, *, waited_for: int, released_by: int) -> None:
    """Let threads wait for one end of a pipe until the other is closed; neither is open afterwards."""
    buffer = ctypes.create_string_buffer(1)

    def wait_together() -> None:
        os.close(released_by)
        call = getattr(LIBC, kind)
        waiting = [threading.Thread(target=call, args=(waited_for, buffer, 1)) for _ in range(threads)]
        for thread in waiting:
            thread.start()
        for thread in waiting:
            thread.join()

    def before() -> None:
        threading.stack_size(64 * 1024)
        # Thousands that come back at once would each ask for the interpreter every 5 ms, for a minute of CPU time.
        sys.setswitchinterval(60)
        # With one arena the C library has no need to read, as one of the threads, how many CPUs there are.
        LIBC.mallopt(M_ARENA_MAX, 1)

    child = _start(comm, wait_together, before)
    os.close(waited_for)
    try:
        _wait_until_waiting(kind, child, threads)
    finally:
        os.close(released_by)
        _wait_for(child)


def many_syscalls(comm: str, numbers: range) -> None:
    """Make each of these system calls once."""

    def call_all() -> None:
        for number in numbers:
            LIBC.syscall(number)

    _wait_for(_start(comm, call_all))


def syscalls_at_once(comm: str, numbers: range) -> None:
    """Make each of these system calls once in each of two processes, in both as nearly at the same moment as can be."""
    with mmap.mmap(-1, mmap.PAGESIZE) as steps:

        def call_all(mine: int) -> None:
            for step, number in enumerate(numbers):
                steps[mine] = step % 256
                met = (step % 256, (step + 1) % 256)
                while all(steps[1 - mine] not in met for _ in range(1000)):
                    os.sched_yield()  # the other does not run
                LIBC.syscall(number)
            steps[mine] = len(numbers) % 256

        for child in [_start(comm, functools.partial(call_all, mine)) for mine in range(2)]:
            _wait_for(child)


@contextlib.contextmanager
def _data(work: Path) -> Iterator[Path]:
    path = work / "data"
    path.write_bytes(os.urandom(READ_BYTES))
    yield path
    path.unlink()


def _start(comm: str, work: Callable[[], None], before: Callable[[], None] = lambda: None) -> int:
    """Start a process that does `before`, takes the name, and does `work`."""
    child = os.fork()
    if child:
        return child
    with dying():
        before()
        rename(comm)
        work()
    raise AssertionError("a child ends in dying()")


def _wait_for(child: int) -> None:
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("a process of the load failed")


def _read(path: Path, times: int) -> None:
    fd = os.open(path, os.O_RDONLY)
    for _ in range(times):
        os.pread(fd, READ_BYTES, 0)


def _wait_until_waiting(kind: str, child: int, threads: int, timeout_s: float = 300.0) -> None:
    """Wait until so many threads of a process wait in a system call of this kind."""
    until_s = time.monotonic() + timeout_s
    while time.monotonic() < until_s:
        if sum(is_waiting_in(kind, int(task.name), child) for task in Path(f"/proc/{child}/task").iterdir()) == threads:
            return
        time.sleep(0.2)
    raise RuntimeError(f"{threads} threads did not come to wait in {timeout_s:g} s")
