# SPDX-License-Identifier: Apache-2.0
"""The deterministic I/O program: does a known mixture of calls and notes what each must be reported as.

Two processes named COMM do it, one of them with two threads; a prime number of reads and a prime number of writes. All
the while others, whose names only resemble it, read and write; so does a thread of the first that is named otherwise.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import itertools
import json
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bpfbench.codec import decode
from bpfbench.model import Attach

COMM = f"conf-{secrets.token_hex(5)}"
"""15 bytes, the most the kernel keeps; nobody else's on this machine."""

RESEMBLING = (COMM[:-1], f"{COMM[:-1]}-", COMM[:8], COMM.capitalize(), COMM[1:])

CALLS = (1009, 601, 393)
"""The least number of calls of each thread."""

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

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_NAME = 15

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

NUMBERS = {
    "x86_64": {"read": 0, "write": 1, "pread64": 17, "pwrite64": 18},
    "aarch64": {"read": 63, "write": 64, "pread64": 67, "pwrite64": 68},
}[platform.machine()]
"""Of the system calls, by machine: asm/unistd.h."""


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

    def is_seen_by(self, attach: Attach) -> bool:
        """Tell whether a hook of this flavour sees it."""
        return self.vfs or attach is Attach.TRACEPOINT


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
        threads = (
            replace(thread, calls=tuple(call for call in thread.calls if call.is_seen_by(attach)))
            for thread in self.threads
        )
        return replace(self, threads=tuple(threads))


def rename(comm: str) -> None:
    """Give the calling thread a name."""
    LIBC.prctl(PR_SET_NAME, comm.encode(), 0, 0, 0)


def is_waiting_in(kind: str, thread_id: int, process_id: int | None = None) -> bool:
    """Tell whether a thread waits in a system call of this kind."""
    try:
        call = Path(f"/proc/{process_id or 'self'}/task/{thread_id}/syscall").read_text()
    except OSError:  # it has ended
        return False
    return call.split()[0] == str(NUMBERS[kind])


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
        self.file = self.open(LONG_NAME, os.O_RDWR)
        self.log = self.open(ODD_NAME, os.O_WRONLY | os.O_APPEND)
        self.input = self.open("input", os.O_RDONLY)
        self.sparse = self.open("sparse", os.O_RDWR)
        os.truncate(self.sparse, FAR_OFFSET + FILE_BYTES)
        self.null = os.open("/dev/null", os.O_RDWR)
        self.names[self.null] = "null"
        self.zero = os.open("/dev/zero", os.O_RDONLY)
        self.names[self.zero] = "zero"
        self.folder = os.open(work, os.O_RDONLY | os.O_DIRECTORY)
        self.names[self.folder] = work.name
        self.outlet, self.inlet = os.pipe()
        self.closed = fcntl.fcntl(self.file, fcntl.F_DUPFD, FAR)  # so far up that nobody gets it again
        os.close(self.closed)

    def open(self, name: str, flags: int) -> int:
        """Open a file with something in it."""
        path = self.work / name
        path.write_bytes(os.urandom(FILE_BYTES))
        fd = os.open(path, flags)
        self.names[fd] = name
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

    def call(
        self, kind: str, fd: int, count: int, at: int | None = None, address: int | None = None, *, vfs: bool = True
    ) -> None:
        """Make a call and note what it is to be reported as."""
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
            rename("late-writer")
            until_s = time.monotonic() + 60
            while not is_waiting_in("read", reader) and time.monotonic() < until_s:
                time.sleep(0.001)
            wrote_ns = time.monotonic_ns()
            os.write(self.inlet, b"late")

        writer = threading.Thread(target=write_late)
        writer.start()
        self.call("read", self.outlet, 4096)
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

    def steps(self) -> list[tuple[str, Callable[[], object]]]:
        """The mixture: each step with the kind of call it makes, or none."""
        call = self.call
        sized: list[tuple[str, Callable[[], object]]] = []
        for size in SIZES:
            sized += [
                ("pread64", lambda size=size: call("pread64", self.file, size, size * 2 + 1)),  # type: ignore[misc]
                ("pwrite64", lambda size=size: call("pwrite64", self.file, size, size)),  # type: ignore[misc]
                ("read", lambda size=size: call("read", self.file, size)),  # type: ignore[misc]
                ("write", lambda size=size: call("write", self.log, size)),  # type: ignore[misc]
            ]
        return [
            *sized,
            ("pread64", lambda: call("pread64", self.input, 4096, FILE_BYTES - 100)),  # short at the end of the file
            ("pread64", lambda: call("pread64", self.input, 4096, FILE_BYTES)),
            ("read", lambda: call("read", self.input, 5000)),  # short, then nothing, after a few rounds
            ("read", lambda: call("read", self.zero, HUGE_BYTES)),
            ("write", lambda: call("write", self.null, HUGE_BYTES)),
            ("pwrite64", lambda: call("pwrite64", self.sparse, 3, FAR_OFFSET)),
            ("pread64", lambda: call("pread64", self.sparse, 4096, FAR_OFFSET - 5)),
            ("write", lambda: call("write", self.inlet, 511)),
            ("read", lambda: call("read", self.outlet, 4096)),
            ("read", lambda: call("read", self.closed, 4096, vfs=False)),  # EBADF
            ("pwrite64", lambda: call("pwrite64", self.closed, 4096, 8192, vfs=False)),
            ("write", lambda: call("write", BEYOND_TABLE, 1, vfs=False)),
            ("pread64", lambda: call("pread64", -1, 1, 2**40, vfs=False)),
            ("pread64", lambda: call("pread64", self.outlet, 4096, 5, vfs=False)),  # ESPIPE
            ("write", lambda: call("write", self.input, 511)),  # EBADF, with a file
            ("read", lambda: call("read", self.folder, 4096)),  # EISDIR
            ("pread64", lambda: call("pread64", self.input, 4096, 0, address=8)),  # EFAULT
            ("write", lambda: call("write", self.log, 4096, address=8)),
            ("pread64", lambda: call("pread64", self.input, 1, -1, vfs=False)),  # EINVAL
            ("read", lambda: call("read", self.input, 2**64 - 1)),
            ("read", lambda: call("read", self.null, 511)),
            # Of memory that is there: bpftrace cannot tell that a copy of the payload has failed, and would print the
            # length asked for, and zeros, where the others (and the contract) have 0 and nothing.
            ("write", lambda: call("write", self.null, 4096)),
            ("", self.vectored),
            ("", self.unused_syscall),
            ("", lambda: os.lseek(self.file, 0, os.SEEK_SET)),
        ]

    def run(self, calls: int) -> None:
        """Make so many calls, the first of them one that waits."""
        self.blocked_read()
        for _, step in itertools.cycle(self.steps()):
            if len(self.calls) == calls:
                return
            step()


def _kinds(calls: int, steps: list[str]) -> Iterator[str]:
    """The kinds of the first calls of a load."""
    return itertools.chain(["read"], itertools.islice((kind for kind in itertools.cycle(steps) if kind), calls - 1))


def _is_prime(n: int) -> bool:
    return n > 1 and all(n % divisor for divisor in range(2, int(n**0.5) + 1))


def _plan(steps: list[str]) -> list[int]:
    """Return how many calls each thread makes, so that reads and writes are both prime: no batch size divides them."""
    for more in itertools.count():
        calls = [CALLS[0] + more, *CALLS[1:]]
        kinds = [kind for n in calls for kind in _kinds(n, steps)]
        writes = sum("write" in kind for kind in kinds)
        if _is_prime(writes) and _is_prime(len(kinds) - writes):
            return calls
    raise AssertionError("there are infinitely many primes")


def run(work: Path, payload_bytes: int) -> Did:
    """Run the program to its end.

    Args:
        work: an empty directory.
        payload_bytes: how many bytes of what was read or written the events are to have.

    Raises:
        RuntimeError: one of its processes failed.
    """
    loads = [_Load(work / f"load{i}", payload_bytes) for i in range(len(CALLS))]
    plan = _plan([kind for kind, _ in loads[0].steps()])
    busy = list(zip(loads, plan, strict=True))
    others = [_resembling(name, work / f"other{i}") for i, name in enumerate(RESEMBLING)]
    children = [_process(busy[:2], work / "other-thread"), _process(busy[2:], None)]
    failed = [child for child in (*children, *others) if os.waitpid(child, 0)[1]]
    for load in loads:
        load.close()
    if failed:
        raise RuntimeError("a process of the I/O program failed")
    done = [json.loads((load.work / "done").read_text()) for load in loads]
    threads = [
        Thread(process, is_main, decode(tuple[Call, ...], did["calls"], "calls"))
        for did, process, is_main in zip(done, (0, 0, 1), (True, False, True), strict=True)
    ]
    return Did(tuple(threads), sum(did["unused"] for did in done))


def _process(loads: list[tuple[_Load, int]], other_thread: Path | None) -> int:
    """Start a process named COMM that does all the loads at once, each in its thread, and then writes what it did."""
    child = os.fork()
    if child:
        return child
    with dying():
        rename(COMM)
        threads = [threading.Thread(target=load.run, args=(calls,)) for load, calls in loads[1:]]
        if other_thread:
            threads.append(threading.Thread(target=_misnamed, args=(other_thread,)))
        for thread in threads:
            thread.start()
        loads[0][0].run(loads[0][1])
        for thread in threads:
            thread.join()
        rename("done")
        for load, _ in loads:
            done = {"calls": [asdict(call) for call in load.calls], "unused": load.unused_syscalls}
            (load.work / "done").write_text(json.dumps(done))
    raise AssertionError("a child ends in dying()")


def _misnamed(path: Path) -> None:
    """Read and write in a thread that is not named as its process is."""
    rename("other-thread")
    _read_and_write(path, 100)


def _resembling(name: str, path: Path) -> int:
    """Start a process that reads and writes under another name."""
    child = os.fork()
    if child:
        return child
    with dying():
        rename(name)
        _read_and_write(path, 1000)
    raise AssertionError("a child ends in dying()")


def _read_and_write(path: Path, times: int) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    for _ in range(times):
        os.pwrite(fd, b"x" * 100, 0)
        os.pread(fd, 100, 0)
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, b"y" * 100)
        os.read(fd, 100)
    os.close(fd)


@contextlib.contextmanager
def dying() -> Iterator[None]:
    """End a forked child with what it did, whatever happens in it."""
    status = 1
    try:
        yield
        status = 0
    finally:
        os._exit(status)
