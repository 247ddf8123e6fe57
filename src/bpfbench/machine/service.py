# SPDX-License-Identifier: Apache-2.0
"""A service: a process that outlives the command that began it, one at a time by a lock, and ended with all of its own.

The lock is a file that the service inherits, held. So the kernel tells whether it is alive, whoever asks, and lets the
lock go when it dies; what the file says of it counts as long as it is held.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shlex
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from bpfbench.codec import from_json
from bpfbench.inside.kernel.files import text_if_any

LOG = logging.getLogger("bpfbench.command")

LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Service:
    """A service that is running."""

    pid: int
    """Of its first process, which leads a session."""
    about: dict[str, str]
    """What it was begun with, for those who ask later."""


def running(lock: Path) -> Service | None:
    """Return the service that holds a lock; None: none does."""
    with contextlib.suppress(FileNotFoundError), lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            with contextlib.suppress(ValueError):  # it is being begun
                return from_json(Service, file.read())
            return Service(0, {})
    return None


def begin(lock: Path, argv: Sequence[str], log: Path, about: Mapping[str, str], env: Mapping[str, str]) -> bool:
    """Begin a service; false, where there is one already.

    Args:
        lock: the file it holds.
        argv: its command.
        log: gets what it writes.
        about: what to remember of it.
        env: its environment.

    Raises:
        FileNotFoundError: there is no such command.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        LOG.debug("%s >> %s &", shlex.join(argv), log)
        os.set_inheritable(held.fileno(), True)
        append = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        files = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        pid = os.posix_spawnp(argv[0], list(argv), env, file_actions=files, setsid=True)
        _write(held, Service(pid, dict(about)))
    return True


def end(lock: Path, grace_s: float = 20.0) -> bool:
    """End the service that holds a lock, and whatever else is of its session; false, where there is none.

    Args:
        lock: the file it holds.
        grace_s: how long it may take to end by SIGTERM, before SIGKILL.
    """
    there = running(lock)
    if there is None:
        return False
    if not there.pid:
        time.sleep(1)
        there = running(lock) or there
    for sign, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, grace_s)):
        for pid in _session(there.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
        until_s = time.monotonic() + patience_s
        while (running(lock) is not None or any(_session(there.pid))) and time.monotonic() < until_s:
            time.sleep(LOOK_S)
    return True


def _write(file: IO[str], service: Service) -> None:
    file.truncate(0)
    file.write(json.dumps(asdict(service)))
    file.flush()


def _session(leader: int) -> Iterator[int]:
    """Yield the living processes of a session."""
    for path in Path("/proc").glob("[0-9]*/stat") if leader else ():
        words = (text_if_any(path) or "").rpartition(")")[2].split()  # state, parent, group, session
        if len(words) > 3 and words[3] == str(leader) and words[0] not in ("Z", "X"):
            yield int(path.parent.name)
