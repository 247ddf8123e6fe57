# SPDX-License-Identifier: Apache-2.0
"""The deterministic I/O program: does a known mixture of calls and notes what each must be reported as.

Two processes named COMM do it, one of them with two threads. All the while others, whose names only resemble it, read
and write; so does a thread of the first that is named otherwise.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import itertools
import os
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from bpfbench.codec import from_json, to_json
from bpfbench.inside.conformance import fork
from bpfbench.inside.conformance.fork import LIBC
from bpfbench.model import Attach

COMM = f"conf-{secrets.token_hex(5)}"
"""15 bytes, the most the kernel keeps; nobody else's on this machine."""

RESEMBLING = (COMM[:-1], f"{COMM[:-1]}-", COMM[:8], COMM.capitalize(), COMM[1:])

CALLS = (1074, 601, 393)
"""How many each thread makes. All the reads and all the writes are prime in number: no batch size divides them."""

SIZES = (0, 1, 511, 4096, 5000)
HUGE_BYTES = 2**20
FILE_BYTES = 3 * 4096 + 1234
FAR_OFFSET = 2**33 + 5  # beyond 32 bits; the file is sparse
FAR, BEYOND_TABLE = 200, 1_000_000  # descriptors: of the table, but unused; and beyond its end
LONG_NAME = "a-name-of-70-characters-" + "0123456789" * 4 + "abcdef"
ODD_NAME = r"50% \x41 'ö" + '"'
DEVICE_MINOR_BITS = 20
UNUSED_SYSCALL = 1023
"""A number that is no system call on any architecture; it is counted all the same."""

_SIZE, _SSIZE, _OFFSET = ctypes.c_size_t, ctypes.c_ssize_t, ctypes.c_int64
# Each call, whether it writes, and its arguments.
_FUNCTIONS = {
    "read": (LIBC.read, False, (ctypes.c_int, ctypes.c_void_p, _SIZE)),
    "pread64": (LIBC.pread64, False, (ctypes.c_int, ctypes.c_void_p, _SIZE, _OFFSET)),
    "write": (LIBC.write, True, (ctypes.c_int, ctypes.c_void_p, _SIZE)),
    "pwrite64": (LIBC.pwrite64, True, (ctypes.c_int, ctypes.c_void_p, _SIZE, _OFFSET)),
}
for _function, _, _arguments in _FUNCTIONS.values():
    _function.restype, _function.argtypes = _SSIZE, _arguments

KINDS = tuple(_FUNCTIONS)


class PlannedCall(NamedTuple):
    """A call to make."""

    kind: str
    fd: int
    size: int
    at: int | None = None
    """Where in the file, by pread64 and pwrite64."""
    address: int | None = None
    """Of memory that is not there; None: the thread's own buffer."""
    vfs: bool = True
    """Whether it comes to vfs_read() or vfs_write(), or is refused before."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was made, and what it is to be reported as; the names are those of the columns."""

    before_ns: int
    after_ns: int
    """CLOCK_MONOTONIC around it, the clock of the events."""
    not_before_ns: int
    """When, at the earliest, it can have returned."""
    kind: str
    offset: int
    count: int
    ret: int
    inode: int
    dev: int
    op: int
    flags: int
    uid: int
    comm: str
    name: str
    payload_len: int
    payload: str
    vfs: bool
    """Whether it comes to vfs_read() or vfs_write(), or is refused before."""


@dataclass(frozen=True, slots=True)
class Thread:
    """One thread of the program, and all its calls in order."""

    process: int
    """From 0; threads of one process have the same."""
    is_main: bool
    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Did:
    """What the program did."""

    threads: tuple[Thread, ...]
    unused_syscalls: int
    """How often it made the system call that does not exist."""

    def of_kind(self, *kinds: str) -> int:
        """Return the number of calls of these kinds."""
        return sum(call.kind in kinds for thread in self.threads for call in thread.calls)

    def seen_by(self, attach: Attach) -> Did:
        """Return what hooks of this flavour see of it."""
        if attach is Attach.TRACEPOINT:
            return self
        seen = (replace(thread, calls=tuple(call for call in thread.calls if call.vfs)) for thread in self.threads)
        return replace(self, threads=tuple(seen))

    def __add__(self, other: Did) -> Did:
        """Return what both did; the processes of the other are others."""
        processes = 1 + max(thread.process for thread in self.threads)
        others = (replace(thread, process=thread.process + processes) for thread in other.threads)
        return Did((*self.threads, *others), self.unused_syscalls + other.unused_syscalls)


class _Load:
    """What one thread does, with files of its own."""

    def __init__(self, work: Path, payload_bytes: int) -> None:
        work.mkdir()
        self.work = work
        self.payload_bytes = payload_bytes
        self.buffer = ctypes.create_string_buffer(HUGE_BYTES)
        self.address = ctypes.addressof(self.buffer)
        self.data = os.urandom(HUGE_BYTES)
        self.calls: list[Call] = []
        self.unused_syscalls = 0
        self.names: dict[int, str] = {}
        self.file = self.create(LONG_NAME, os.O_RDWR)
        self.log = self.create(ODD_NAME, os.O_WRONLY | os.O_APPEND)
        self.input = self.create("input", os.O_RDONLY)
        self.sparse = self.create("sparse", os.O_RDWR)
        os.truncate(self.sparse, FAR_OFFSET + FILE_BYTES)
        self.null = self.open(Path("/dev/null"), os.O_RDWR)
        self.zero = self.open(Path("/dev/zero"), os.O_RDONLY)
        self.folder = self.open(work, os.O_RDONLY | os.O_DIRECTORY)
        self.outlet, self.inlet = os.pipe()
        self.closed = fcntl.fcntl(self.file, fcntl.F_DUPFD, FAR)  # so far up that nobody gets it again
        os.close(self.closed)

    def create(self, name: str, flags: int) -> int:
        """Make a file with something in it and open it."""
        path = self.work / name
        path.write_bytes(os.urandom(FILE_BYTES))
        return self.open(path, flags)

    def open(self, path: Path, flags: int) -> int:
        """Open what is there."""
        fd = os.open(path, flags)
        self.names[fd] = path.name
        return fd

    def close(self) -> None:
        """Close everything."""
        for fd in (*self.names, self.outlet, self.inlet):
            os.close(fd)

    def known(self, fd: int) -> dict[str, Any]:
        """What must be reported of the file behind a descriptor."""
        try:
            status = os.fstat(fd)
        except OSError:
            return {"offset": 0, "inode": 0, "dev": 0, "flags": 0, "name": ""}
        position = 0
        with contextlib.suppress(OSError):  # a pipe has none
            position = os.lseek(fd, 0, os.SEEK_CUR)
        return {
            "offset": position,
            "inode": status.st_ino,
            "dev": os.major(status.st_dev) << DEVICE_MINOR_BITS | os.minor(status.st_dev),
            "flags": fcntl.fcntl(fd, fcntl.F_GETFL),
            # 63 bytes and a NUL, as in the event
            "name": os.fsencode(self.names.get(fd, ""))[:63].decode("latin-1"),
        }

    def call(self, step: PlannedCall) -> None:
        """Make a call and note what it is to be reported as."""
        kind, fd, count, at, address, vfs = step
        function, writes, _ = _FUNCTIONS[kind]
        if address is None:
            address = self.address
            start = len(self.calls) % 4096
            ctypes.memmove(address, self.data[start : start + min(count, 8192)], min(count, 8192))
        known = self.known(fd)
        if at is not None:
            known["offset"] = at % 2**64
        before_ns = time.monotonic_ns()
        moved = function(fd, address, count, *(() if at is None else (at,)))
        after_ns = time.monotonic_ns()
        ret = moved if moved >= 0 else -ctypes.get_errno()
        payload = ctypes.string_at(address, min(ret, self.payload_bytes)) if ret > 0 else b""
        self.calls.append(
            Call(
                before_ns=before_ns,
                after_ns=after_ns,
                not_before_ns=before_ns,
                kind=kind,
                count=count,
                ret=ret,
                op=int(writes),
                uid=os.getuid(),
                comm=COMM,
                payload_len=len(payload),
                payload=payload.hex(" "),
                vfs=vfs,
                **known,
            )
        )

    def blocked_read(self) -> None:
        """Read from a pipe into which a thread of another name writes only once the read waits for it."""
        reader, wrote_ns = threading.get_native_id(), 0

        def write_late() -> None:
            nonlocal wrote_ns
            fork.rename("late-writer")
            until_s = time.monotonic() + 60
            while not fork.is_waiting_in("read", reader) and time.monotonic() < until_s:
                time.sleep(0.001)
            wrote_ns = time.monotonic_ns()
            os.write(self.inlet, b"late")

        writer = threading.Thread(target=write_late)
        writer.start()
        self.call(PlannedCall("read", self.outlet, 4096))
        writer.join()
        self.calls[-1] = replace(self.calls[-1], not_before_ns=wrote_ns)

    def vectored(self) -> None:
        """Make calls that resemble the traced ones, and are not."""
        os.preadv(self.input, [bytearray(100), bytearray(100)], 0)
        os.writev(self.null, [b"not", b"traced"])

    def unused_syscall(self) -> None:
        """Make a system call that does not exist."""
        self.unused_syscalls += 1
        LIBC.syscall(UNUSED_SYSCALL)

    def steps(self) -> list[PlannedCall | Callable[[], object]]:
        """The mixture: calls, and what is to be done besides."""
        sized: list[PlannedCall] = []
        for size in SIZES:
            sized += [
                PlannedCall("pread64", self.file, size, size * 2 + 1),
                PlannedCall("pwrite64", self.file, size, size),
                PlannedCall("read", self.file, size),
                PlannedCall("write", self.log, size),
            ]
        return [
            *sized,
            PlannedCall("pread64", self.input, 4096, FILE_BYTES - 100),  # short at the end of the file
            PlannedCall("pread64", self.input, 4096, FILE_BYTES),
            PlannedCall("read", self.input, 5000),  # short, then nothing, after a few rounds
            PlannedCall("read", self.zero, HUGE_BYTES),
            PlannedCall("write", self.null, HUGE_BYTES),
            PlannedCall("pwrite64", self.sparse, 3, FAR_OFFSET),
            PlannedCall("pread64", self.sparse, 4096, FAR_OFFSET - 5),
            PlannedCall("write", self.inlet, 511),
            PlannedCall("read", self.outlet, 4096),
            PlannedCall("read", self.closed, 4096, vfs=False),  # EBADF
            PlannedCall("pwrite64", self.closed, 4096, 8192, vfs=False),
            PlannedCall("write", BEYOND_TABLE, 1, vfs=False),
            PlannedCall("pread64", -1, 1, 2**40, vfs=False),
            PlannedCall("pread64", self.outlet, 4096, 5, vfs=False),  # ESPIPE
            PlannedCall("write", self.input, 511),  # EBADF, with a file
            PlannedCall("read", self.folder, 4096),  # EISDIR
            PlannedCall("pread64", self.input, 4096, 0, address=8),  # EFAULT
            PlannedCall("write", self.log, 4096, address=8),
            PlannedCall("pread64", self.input, 1, -1, vfs=False),  # EINVAL
            PlannedCall("read", self.input, 2**64 - 1),
            PlannedCall("read", self.null, 511),
            # Of memory that is there: bpftrace cannot tell that a copy of the payload has failed, and would print the
            # length asked for, and zeros, where the others (and the contract) have 0 and nothing.
            PlannedCall("write", self.null, 4096),
            self.vectored,
            self.unused_syscall,
            lambda: os.lseek(self.file, 0, os.SEEK_SET),
        ]

    def run(self, calls: int) -> None:
        """Make so many calls, the first of them one that waits."""
        self.blocked_read()
        for step in itertools.cycle(self.steps()):
            if len(self.calls) == calls:
                return
            if isinstance(step, PlannedCall):
                self.call(step)
            else:
                step()


def run(work: Path, payload_bytes: int) -> Did:
    """Run the program to its end.

    Args:
        work: a directory to make.
        payload_bytes: how many bytes of what was read or written the events are to have.

    Raises:
        RuntimeError: one of its processes failed.
    """
    work.mkdir()
    loads = [_Load(work / f"load{i}", payload_bytes) for i in range(len(CALLS))]
    runs = [functools.partial(load.run, calls) for load, calls in zip(loads, CALLS, strict=True)]
    misnamed = functools.partial(_misnamed, work / "other-thread")
    others = [
        fork.started(name, functools.partial(_read_and_write, work / f"other{i}", 1000))
        for i, name in enumerate(RESEMBLING)
    ]
    two_threads = functools.partial(_do, loads[:2], (*runs[:2], misnamed), work / "two threads")
    one_thread = functools.partial(_do, loads[2:], runs[2:], work / "one thread")
    fork.wait_for(fork.started(COMM, two_threads), fork.started(COMM, one_thread), *others)
    for load in loads:
        load.close()
    first, second = (from_json(Did, (work / done).read_text()) for done in ("two threads", "one thread"))
    return first + second


def _do(loads: Sequence[_Load], work: Sequence[Callable[[], None]], done: Path) -> None:
    """Do all the work at once, the first of it in this thread; then write what the loads, a thread each, have done."""
    threads = [threading.Thread(target=in_thread) for in_thread in work[1:]]
    for thread in threads:
        thread.start()
    work[0]()
    for thread in threads:
        thread.join()
    fork.rename("done")
    did = tuple(Thread(0, load is loads[0], tuple(load.calls)) for load in loads)
    done.write_text(to_json(Did(did, sum(load.unused_syscalls for load in loads))))


def _misnamed(path: Path) -> None:
    """Read and write in a thread that is not named as its process is."""
    fork.rename("other-thread")
    _read_and_write(path, 100)


def _read_and_write(path: Path, times: int) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    for _ in range(times):
        os.pwrite(fd, b"x" * 100, 0)
        os.pread(fd, 100, 0)
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, b"y" * 100)
        os.read(fd, 100)
    os.close(fd)
