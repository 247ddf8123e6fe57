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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bpfbench.inside.conformance import fork
from bpfbench.inside.conformance.fork import LIBC
from bpfbench.inside.conformance.program import DEVICE_MINOR_BITS

READ_BYTES = 512
NO_DESCRIPTOR = 999
MOVED_EVERY = 50  # reads
M_ARENA_MAX = -8  # malloc.h


def reads(comm: str, work: Path, times: int, processes: int = 1, *, pause_s: float = 0.0, moving: bool = False) -> None:
    """Read so many times in each of so many processes of that name, which all begin at once.

    Several are bound to a CPU each, in turn. Each pauses so long after each read, if at all. With `moving` there is one
    more, which goes from CPU to CPU as `cpu_of` has it. It reads at 0, 1, 2 and so on, where the others read at 0.
    """
    path = work / "data"
    path.write_bytes(os.urandom(READ_BYTES))
    outlet, inlet = os.pipe()

    cpus = sorted(os.sched_getaffinity(0))

    def begin_together(mine: int) -> None:
        moves = mine == processes
        if processes > 1:
            os.sched_setaffinity(0, {cpus[mine % len(cpus)]})
        os.close(inlet)
        start = select.poll()
        start.register(outlet, 0)  # its end is always told
        start.poll()
        fd = os.open(path, os.O_RDONLY)
        for number in range(times):
            if moves and number % MOVED_EVERY == 0:
                os.sched_setaffinity(0, {cpu_of(number, cpus)})
            os.pread(fd, READ_BYTES, number if moves else 0)
            if pause_s:
                time.sleep(pause_s)

    everyone = range(processes + moving)
    children = [fork.started(comm, functools.partial(begin_together, mine)) for mine in everyone]
    os.close(inlet)
    os.close(outlet)
    fork.wait_for(*children)


def cpu_of(number: int, cpus: Sequence[int]) -> int:
    """Return on which of the CPUs who moves makes the read of that number."""
    return cpus[number // MOVED_EVERY % len(cpus)]


@dataclass(frozen=True, slots=True)
class Use:
    """What was done with a file in one way."""

    count: int
    bytes: int
    name: str


def uses(comm: str, work: Path, files: int) -> dict[tuple[int, int, int], Use]:
    """Write and read so many files, each in its own way, some calls in vain; return it by dev, inode and op (0 read).

    With dev and inode 0 there are the calls without a file, which tracepoints alone see.
    """
    paths = [work / f"file {number}" for number in range(files)]
    for path in paths:
        path.touch()

    def use_all() -> None:
        for number, path in enumerate(paths):
            fd = os.open(path, os.O_RDWR)
            for _ in range(number % 5 + 1):
                os.write(fd, bytes(number % 11 + 1))
            for _ in range(number % 3):
                os.pwrite(fd, b"x", 0)
            for _ in range(number % 4):
                os.pread(fd, 1, 0)
            os.read(fd, 100)  # at its end
            os.close(fd)
        with contextlib.suppress(OSError):
            os.read(NO_DESCRIPTOR, 1)

    fork.wait_for(fork.started(comm, use_all))
    done = {(0, 0, 0): Use(1, 0, "")}
    for number, path in enumerate(paths):
        status = path.stat()
        dev = os.major(status.st_dev) << DEVICE_MINOR_BITS | os.minor(status.st_dev)
        done[dev, status.st_ino, 0] = Use(number % 4 + 1, number % 4, path.name)
        written = (number % 5 + 1) * (number % 11 + 1) + number % 3
        done[dev, status.st_ino, 1] = Use(number % 5 + 1 + number % 3, written, path.name)
    return done


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

    process = fork.started(comm, wait_together, before)
    os.close(waited_for)
    try:
        _wait_until_waiting(kind, process, threads)
    finally:
        os.close(released_by)
        fork.wait_for(process)


def _wait_until_waiting(kind: str, process: int, threads: int, timeout_s: float = 300.0) -> None:
    """Wait until so many threads of a process wait in a system call of this kind."""
    until_s = time.monotonic() + timeout_s
    tasks = Path(f"/proc/{process}/task")
    while time.monotonic() < until_s:
        if sum(fork.is_waiting_in(kind, int(task.name), process) for task in tasks.iterdir()) == threads:
            return
        time.sleep(0.2)
    raise RuntimeError(f"{threads} threads did not come to wait in {timeout_s:g} s")


def many_syscalls(comm: str, numbers: range) -> None:
    """Make each of these system calls once."""

    def call_all() -> None:
        for number in numbers:
            LIBC.syscall(number)

    fork.wait_for(fork.started(comm, call_all))


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

        fork.wait_for(*[fork.started(comm, functools.partial(call_all, mine)) for mine in range(2)])
