# SPDX-License-Identifier: Apache-2.0
"""The turn to measure: one bpfbench at a time has a machine, be it to remove what is measured with."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from bpfbench.errors import MachineError


@contextlib.contextmanager
def alone(cache: Path, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Keep everything else of bpfbench that measures, or removes what is measured with, out of the machine meanwhile.

    Args:
        cache: bpfbench's cache directory, which holds the lock; the kernel drops it when its holder dies.
        on_wait: if another one has the machine, told so, and then that is waited for; None: it is not.

    Raises:
        MachineError: another one has the machine; says which.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "measuring.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"another bpfbench is measuring on this machine{_named(file)}"
            if on_wait is None:
                raise MachineError(message, "wait for it, as --wait does, or stop it") from None
            on_wait(message)
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)  # one that was killed has left its name
        file.write(f"process {os.getpid()}, {shlex.join(('bpfbench', *sys.argv[1:]))}")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _named(file: IO[str]) -> str:
    """Return what the holder of the lock has written; nothing, where it has not come to that yet."""
    file.seek(0)
    name = file.read()
    return f": {name}" if name else ""
