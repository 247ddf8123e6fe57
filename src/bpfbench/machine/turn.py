# SPDX-License-Identifier: Apache-2.0
"""The turn to measure: one bpfbench at a time has a machine, be it to remove what is measured with.

It is a lock on the kernel's own time namespace, which users, sandboxes and containers of a machine share, whatever
their caches, file systems and privileges are. There is no file to be made, owned, linked, or cleaned away; the kernel
unlocks it when its holder dies, and tells who that is. Only what has a time namespace of its own is not kept out.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from bpfbench.errors import MachineError
from bpfbench.inside.kernel.files import text_if_any
from bpfbench.units import duration

OnWait = Callable[[str], None] | None
"""Told of another bpfbench that has the machine, which is then waited for; None: it is not."""

MACHINE = ("/proc/self/ns/time", "/proc/self/ns/uts")
"""What is locked: the first that there is. A kernel can be built without time namespaces."""
STAND_IN = "BPFBENCH_TURN"
"""Names a file that is locked instead, where tests play several machines on one."""


@contextlib.contextmanager
def locked(path: Path, on_held: Callable[[IO[str]], None]) -> Iterator[IO[str]]:
    """Hold a lock, a file that the kernel unlocks when its holder dies; `on_held` is told where another has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        _lock(file, lambda: on_held(file))
        yield file


@contextlib.contextmanager
def alone(on_wait: OnWait = None) -> Iterator[None]:
    """Keep everything else of bpfbench that measures, or removes what is measured with, out of the machine meanwhile.

    Raises:
        MachineError: another one has the machine; says which.
    """
    with _machine().open() as machine:

        def held() -> None:
            message = f"another bpfbench is measuring on this machine{_holder(machine)}"
            if on_wait is None:
                raise MachineError(message, "wait for it, as --wait does, or stop it") from None
            on_wait(message)

        _lock(machine, held)
        yield


def _lock(file: IO[str], on_held: Callable[[], None]) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        on_held()
        fcntl.flock(file, fcntl.LOCK_EX)


def _machine() -> Path:
    """Return what stands for the machine."""
    if given := os.environ.get(STAND_IN):
        Path(given).touch()
        return Path(given)
    return next((path for path in map(Path, MACHINE) if path.exists()), Path(MACHINE[0]))


def _holder(file: IO[str]) -> str:
    """Return who has a lock, as the kernel tells, which does not show a container what is outside."""
    of = os.fstat(file.fileno())
    inode = f"{os.major(of.st_dev):02x}:{os.minor(of.st_dev):02x}:{of.st_ino}"
    for line in (text_if_any(Path("/proc/locks")) or "").splitlines():
        words = line.split()  # 1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE 0 EOF; of who waits, with -> in it
        if words[1] == "FLOCK" and words[5] == inode:
            return f": process {words[4]}{_described(int(words[4]))}"
    return ", and cannot be seen from here"


def _described(pid: int) -> str:
    """Return the command of a process, and since when it runs; nothing of one that has ended."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").removesuffix("\0").split("\0")
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()  # state first
    except OSError:
        return ""
    for_s = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() - for_s))
    ours = next((at for at, word in enumerate(words) if Path(word).name == "bpfbench"), None)
    command = shlex.join(words if ours is None else ("bpfbench", *words[ours + 1 :]))
    shown = "".join(letter if letter.isprintable() else "?" for letter in command)
    return f", {shown[:300]}, since {since} (for {duration(max(0.0, for_s))})"
