# SPDX-License-Identifier: Apache-2.0
"""The turn to measure: one bpfbench at a time has a machine, be it to remove what is measured with."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from bpfbench.errors import MachineError
from bpfbench.units import duration

OnWait = Callable[[str], None] | None
"""Told of another bpfbench that has the machine, which is then waited for; None: it is not."""


@contextlib.contextmanager
def locked(path: Path, on_held: Callable[[IO[str]], None]) -> Iterator[IO[str]]:
    """Hold a lock, a file that the kernel unlocks when its holder dies; `on_held` is told where another has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_held(file)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file


@contextlib.contextmanager
def alone(cache: Path, on_wait: OnWait = None) -> Iterator[None]:
    """Keep everything else of bpfbench that measures, or removes what is measured with, out of the machine meanwhile.

    Raises:
        MachineError: another one has the machine; says which.
    """

    def held(file: IO[str]) -> None:
        message = f"another bpfbench is measuring on this machine{_named(file)}"
        if on_wait is None:
            raise MachineError(message, "wait for it, as --wait does, or stop it") from None
        on_wait(message)

    with locked(cache / "measuring.lock", held) as file:
        file.truncate(0)  # one that was killed has left its name
        command = shlex.join(("bpfbench", *sys.argv[1:]))
        file.write(f"process {os.getpid()}, {command}, since {time.strftime('%Y-%m-%d %H:%M:%S')}")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _named(file: IO[str]) -> str:
    """Return what the holder of the lock has written; nothing, where it has not come to that yet."""
    file.seek(0)
    name = file.read()
    for_s = time.time() - os.fstat(file.fileno()).st_mtime
    return f": {name} (for {duration(max(0.0, for_s))})" if name else ""
