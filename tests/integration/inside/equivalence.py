# SPDX-License-Identifier: Apache-2.0
"""Runs inside the image: lets several tracers watch the same calls at once and prints, as JSON, what each has written.

    python3 equivalence.py TOOL PAYLOAD_BYTES SETUP:FORMAT...

Two processes of ours named `ioload`, one of them with two threads, do a known mixture of reads and writes. What each
call is to be reported as is noted down as it is made: an event, but for the times and ids that cannot be known here.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contract import COMM, LIBC, PR_SET_NAME, Tracer  # type: ignore[import-not-found]

CALLS = (1009, 601, 393)  # by each of the three threads; together 2003, a prime
SIZES = (0, 1, 511, 4096, 5000)
FILE_BYTES = 3 * 4096 + 1234
BUFFER_BYTES = max(SIZES)
FAR, BEYOND_TABLE = 200, 1_000_000  # descriptors: of the table, but unused; and beyond its end
LONG_NAME = "a-name-of-70-characters-" + "0123456789" * 4 + "abcdef"
ODD_NAME = r"50% \x41 'ö" + '"'
DEVICE_MINOR_BITS = 20

SIZE, SSIZE, OFFSET = ctypes.c_size_t, ctypes.c_ssize_t, ctypes.c_int64
# Each call, whether it writes, and its arguments.
FUNCTIONS = {
    "read": (LIBC.read, False, (ctypes.c_int, ctypes.c_void_p, SIZE)),
    "pread64": (LIBC.pread64, False, (ctypes.c_int, ctypes.c_void_p, SIZE, OFFSET)),
    "write": (LIBC.write, True, (ctypes.c_int, ctypes.c_void_p, SIZE)),
    "pwrite64": (LIBC.pwrite64, True, (ctypes.c_int, ctypes.c_void_p, SIZE, OFFSET)),
}
for function, _, arguments in FUNCTIONS.values():
    function.restype, function.argtypes = SSIZE, arguments


class Load:
    """What one thread does, with files of its own."""

    def __init__(self, work: Path, payload_bytes: int) -> None:
        work.mkdir()
        self.work = work
        self.payload_bytes = payload_bytes
        self.buffer = ctypes.create_string_buffer(BUFFER_BYTES)
        self.address = ctypes.addressof(self.buffer)
        self.events: list[dict[str, Any]] = []
        self.calls = dict.fromkeys(FUNCTIONS, 0)
        self.names: dict[int, str] = {}
        self.file = self.open(LONG_NAME, os.O_RDWR)
        self.log = self.open(ODD_NAME, os.O_WRONLY | os.O_APPEND)
        self.input = self.open("input", os.O_RDONLY)
        self.null = os.open("/dev/null", os.O_RDWR)
        self.names[self.null] = "null"
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

    def known(self, fd: int) -> tuple[int, int, int, int, str]:
        """Position, inode, device, flags and name of the file behind a descriptor."""
        try:
            status = os.fstat(fd)
        except OSError:
            return 0, 0, 0, 0, ""
        try:
            position = os.lseek(fd, 0, os.SEEK_CUR)
        except OSError:  # a pipe
            position = 0
        device = os.major(status.st_dev) << DEVICE_MINOR_BITS | os.minor(status.st_dev)
        # 63 bytes and a NUL, as in the event; a test compares bytes, by latin-1.
        name = os.fsencode(self.names.get(fd, ""))[:63].decode("latin-1")
        return position, status.st_ino, device, fcntl.fcntl(fd, fcntl.F_GETFL), name

    def call(self, name: str, fd: int, count: int, at: int | None = None, address: int | None = None) -> None:
        """Make a call and note what it is to be reported as."""
        function, writes, _ = FUNCTIONS[name]
        if address is None:
            address = self.address
            ctypes.memmove(address, os.urandom(BUFFER_BYTES), BUFFER_BYTES)
        position, inode, device, flags, file_name = self.known(fd)
        moved = function(fd, address, count, *(() if at is None else (at,)))
        ret = moved if moved >= 0 else -ctypes.get_errno()
        payload = ctypes.string_at(address, min(ret, self.payload_bytes)) if ret > 0 else b""
        self.calls[name] += 1
        self.events.append(
            {
                "offset": (position if at is None else at) % 2**64,
                "count": count,
                "ret": ret,
                "inode": inode,
                "dev": device,
                "op": int(writes),
                "flags": flags,
                "uid": os.getuid(),
                "comm": COMM,
                "name": file_name,
                "payload_len": len(payload),
                "payload": payload.hex(" "),
            }
        )

    def steps(self) -> list[Callable[[], object]]:
        """The mixture, one call each."""
        call = self.call
        sizes: list[Callable[[], object]] = []
        for size in SIZES:
            sizes += [
                lambda size=size: call("pread64", self.file, size, size * 2 + 1),  # type: ignore[misc]
                lambda size=size: call("pwrite64", self.file, size, size),  # type: ignore[misc]
                lambda size=size: call("read", self.file, size),  # type: ignore[misc]
                lambda size=size: call("write", self.log, size),  # type: ignore[misc]
            ]
        return [
            *sizes,
            lambda: call("pread64", self.input, 4096, FILE_BYTES - 100),  # short at the end of the file
            lambda: call("pread64", self.input, 4096, FILE_BYTES),
            lambda: call("read", self.input, 5000),  # short, then nothing, after a few rounds
            lambda: call("write", self.inlet, 511),
            lambda: call("read", self.outlet, 4096),
            lambda: call("read", self.closed, 4096),  # EBADF
            lambda: call("pwrite64", self.closed, 4096, 8192),
            lambda: call("write", BEYOND_TABLE, 1),
            lambda: call("pread64", -1, 1, 2**40),
            lambda: call("write", self.input, 511),  # EBADF, with a file
            lambda: call("read", self.folder, 4096),  # EISDIR
            lambda: call("pread64", self.input, 4096, 0, address=8),  # EFAULT
            lambda: call("write", self.log, 4096, address=8),
            lambda: call("pread64", self.input, 1, -1),  # EINVAL
            lambda: call("read", self.input, 2**64 - 1),
            lambda: call("read", self.null, 511),
            # Of memory that is there: bpftrace cannot tell that a copy of the payload has failed, and would print the
            # length asked for, and zeros, where the others (and the contract) have 0 and nothing.
            lambda: call("write", self.null, 4096),
            lambda: os.lseek(self.file, 0, os.SEEK_SET),
        ]

    def run(self, calls: int) -> None:
        """Make so many calls."""
        steps = self.steps()
        step = 0
        while len(self.events) < calls:
            steps[step % len(steps)]()
            step += 1


def named(loads: list[tuple[Load, int]]) -> int:
    """Start a process named COMM that does all the loads at once, each in its thread, and then writes what it did."""
    child = os.fork()
    if child:
        return child
    LIBC.prctl(PR_SET_NAME, COMM.encode(), 0, 0, 0)
    threads = [threading.Thread(target=load.run, args=(calls,)) for load, calls in loads[1:]]
    for thread in threads:
        thread.start()
    loads[0][0].run(loads[0][1])
    for thread in threads:
        thread.join()
    LIBC.prctl(PR_SET_NAME, b"done", 0, 0, 0)
    for load, _ in loads:
        (load.work / "done").write_text(json.dumps({"events": load.events, "calls": load.calls}))
    os._exit(0)


def main() -> None:
    """Trace with all, and tell."""
    tool, payload_bytes, *variants = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        loads = [(Load(work / f"load{i}", int(payload_bytes)), calls) for i, calls in enumerate(CALLS)]
        tracers = {}
        for variant in variants:
            setup, output_format = variant.split(":")
            place = work / variant
            place.mkdir()
            tracers[variant] = Tracer(setup, place, tool=tool, payload_bytes=payload_bytes, format=output_format)
        ready = [tracer.wait_ready().partition(" ")[0] for tracer in tracers.values()]
        if ready == ["READY"] * len(tracers):
            for child in (named(loads[:2]), named(loads[2:])):
                assert os.waitpid(child, 0)[1] == 0
        for tracer in tracers.values():
            tracer.send(signal.SIGINT)
        results = {variant: tracer.finish() for variant, tracer in tracers.items()}
        for variant, result in results.items():
            result["output"] = (work / variant / "output").read_bytes().decode("latin-1")
        did = [json.loads((load.work / "done").read_text()) for load, _ in loads]
    json.dump({"did": did, "tracers": results}, sys.stdout)


if __name__ == "__main__":
    main()
