# SPDX-License-Identifier: Apache-2.0
"""One burst: a stopped tracer's ring is full; it is let go on, watched until the ring is empty, and stopped."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import time
from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path

from bpfbench.errors import StepError
from bpfbench.inside.kernel.ring import Ring
from bpfbench.inside.kernel.tasks import stop

READ_BYTES = 4096

PAUSE_SHARE = 100
PAUSE_MAX_NS = 20_000
"""Between two looks at a ring that is being emptied passes a hundredth of the time since that began: each look takes
the cache line with the position away from the tracer."""

SLACK_MAX = 0.05
SLACK_MAX_NS = 2000
"""A burst counts if its length is known so well, by one or the other. To leave out all that are known less well than
5 % would be to leave out the fastest."""

_CHECK_NS = 100_000_000
_PR_SET_NAME = 15
_CPUCLOCK_SCHED = 2


class Producer:
    """A process with the target's comm, which reads from a cached file when told. Use as a context manager.

    It is told through a socket, as tracers watch read(2). The file is made here.
    """

    def __init__(self, comm: str, file: Path, cpus: Set[int]) -> None:
        file.write_bytes(os.urandom(READ_BYTES))
        self.reads = 0
        """How many it has done."""
        self._socket, others = socket.socketpair()
        self._pid = os.fork()
        if self._pid == 0:
            self._socket.close()
            _produce(others, comm, file, cpus)
        others.close()

    def __enter__(self) -> Producer:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def read(self, times: int, timeout_s: float = 120.0) -> None:
        """Have it read so often, and wait until it has.

        Raises:
            StepError: it has not.
        """
        self._socket.settimeout(timeout_s)
        self._socket.send(times.to_bytes(8, "little"))
        try:
            done = self._socket.recv(1)
        except TimeoutError:
            done = b""
        if not done:
            raise StepError(f"the producer has not done {times} reads in {timeout_s:g} s")
        self.reads += times


def _produce(told: socket.socket, comm: str, file: Path, cpus: Set[int]) -> None:
    """Be the producer; never returns."""
    try:
        os.sched_setaffinity(0, cpus)
        fd, pread = os.open(file, os.O_RDONLY), os.pread
        pread(fd, READ_BYTES, 0)
        ctypes.CDLL(None).prctl(_PR_SET_NAME, comm.encode(), 0, 0, 0)
        while command := told.recv(8):
            for _ in range(int.from_bytes(command, "little")):
                pread(fd, READ_BYTES, 0)
            told.send(b".")
    finally:
        os._exit(0)


@dataclass(frozen=True, slots=True)
class Glance:
    """A look at which the tracer's position had changed; it did at some time after the look before."""

    position: int
    before_ns: int
    """When the look before was."""
    at_ns: int


@dataclass(frozen=True, slots=True)
class Burst:
    """How long draining `events` took."""

    events: int
    ns: float
    coarse: bool
    counts: bool
    cpu_events: int
    """All that were in the ring."""
    cpu_ns: int
    """CPU time for all of them, from being let go on to being stopped."""

    @property
    def events_per_s(self) -> float:
        """The rate."""
        return 1e9 * self.events / self.ns


def measure(slot_bytes: int, let_go: Glance, first: Glance, last: Glance, cpu_ns: int) -> Burst:
    """Work out a burst.

    It lasts from the first change of position to the last, so that waking up is not in it, and the events are those
    between the two. Where there is one change only, all events are counted from when the tracer was let go on.
    """
    coarse = first.position == last.position
    begin = let_go if coarse else first
    ns = (last.before_ns + last.at_ns - begin.before_ns - begin.at_ns) / 2
    slack_ns = (last.at_ns - last.before_ns + begin.at_ns - begin.before_ns) / 2
    seen, whole = (last.position - look.position for look in (begin, let_go))
    return Burst(
        events=seen // slot_bytes,
        ns=ns,
        coarse=coarse,
        counts=slack_ns <= max(SLACK_MAX_NS, SLACK_MAX * ns) and 2 * seen >= whole,
        cpu_events=whole // slot_bytes,
        cpu_ns=cpu_ns,
    )


def watch(ring: Ring, pid: int, slot_bytes: int, timeout_s: float, alive: Callable[[], bool]) -> Burst:
    """Let a stopped tracer with a full ring go on, watch it until the ring is empty, and stop it.

    Raises:
        StepError: it died, or takes too long.
    """
    begin, end, cpu_before_ns = ring.consumed, ring.produced, _cpu_ns(pid)
    let_go_ns = time.perf_counter_ns()
    os.kill(pid, signal.SIGCONT)
    let_go = Glance(begin, let_go_ns, let_go_ns)
    first, last = _looks(ring, let_go, end, timeout_s, alive)
    stop(pid)
    return measure(slot_bytes, let_go, first, last, _cpu_ns(pid) - cpu_before_ns)


def _looks(ring: Ring, let_go: Glance, end: int, timeout_s: float, alive: Callable[[], bool]) -> tuple[Glance, Glance]:
    """Return the first look at another position than the first, and the first at `end`. Does not sleep."""
    now = time.perf_counter_ns
    first: Glance | None = None
    before_ns = let_go.at_ns
    deadline_ns, check_ns = before_ns + int(timeout_s * 1e9), before_ns + _CHECK_NS
    while True:
        at_ns, position = now(), ring.consumed
        if position == end:
            last = Glance(end, before_ns, at_ns)
            return first or last, last
        if first is None and position != let_go.position:
            # Where it moves on before it was looked at, it is known where it is now, which will do.
            first = Glance(position, at_ns if before_ns == let_go.at_ns else before_ns, at_ns)
        if at_ns > check_ns:
            check_ns = at_ns + _CHECK_NS
            if not alive():
                raise StepError("the tracer died while it drained")
            if at_ns > deadline_ns:
                raise StepError(f"a full ring was not drained after {timeout_s:g} s")
        before_ns = at_ns
        if first:
            until_ns = at_ns + min((at_ns - first.at_ns) // PAUSE_SHARE, PAUSE_MAX_NS)
            while now() < until_ns:
                pass


def _cpu_ns(pid: int) -> int:
    """Return the CPU time of all threads of a stopped process; that of a running one is up to a tick old."""
    return time.clock_gettime_ns(~pid << 3 | _CPUCLOCK_SCHED)
