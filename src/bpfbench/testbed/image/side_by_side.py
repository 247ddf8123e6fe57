# SPDX-License-Identifier: Apache-2.0
"""Building side by side: each layer as soon as what it needs is there, as many at a time as CPUs and memory allow."""

from __future__ import annotations

import graphlib
import os
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from bpfbench.machine import facts
from bpfbench.machine.command import Ending
from bpfbench.testbed.image.layers import Progress, Site, aside

BUILD_BYTES = 2 * 2**30
"""Memory that is left for each build: what the largest crates take to compile, with room to spare."""


@dataclass(frozen=True, slots=True)
class Build:
    """How a layer is built, unless it is there."""

    layer: Path
    what: str
    """What people call it."""
    make: Callable[[Site], None]
    needs: Collection[Path] = ()
    """Layers that must be there before."""
    seconds: float = 3.0
    """How long it takes alone on the 2-CPU development machine; for the order and for progress only."""


@dataclass
class _Board:
    """What is being built now, and how much of all is done: told by whichever thread something happens in."""

    progress: Progress
    total_s: float
    done_s: float = 0.0
    running: dict[Path, tuple[Build, str, float]] = field(default_factory=dict)
    """With the words of the step it is at, and which share of it is done."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def at(self, build: Build, step: str, share: float) -> None:
        with self.lock:
            self.running[build.layer] = build, step, share
            names = [f"{own.what} ({said})" if said else own.what for own, said, _ in self.running.values()]
            done_s = self.done_s + sum(own.seconds * part for own, _, part in self.running.values())
            self.progress(f"building {', '.join(names)}", done_s / self.total_s)

    def ended(self, build: Build) -> None:
        with self.lock:
            del self.running[build.layer]
            self.done_s += build.seconds


def build(builds: Sequence[Build], progress: Progress) -> None:
    """Build those layers that are not there.

    Where one fails, or we are interrupted, the others are ended; what is not whole leaves nothing.

    Raises:
        ImageError: of the layer that failed first.
        graphlib.CycleError: they need one another.
    """
    absent = {own.layer: own for own in builds if not own.layer.exists()}
    order = graphlib.TopologicalSorter(
        {layer: [need for need in own.needs if need in absent] for layer, own in absent.items()}
    )
    order.prepare()
    board, ending = _Board(progress, sum(own.seconds for own in absent.values())), Ending()

    def make(own: Build) -> None:
        board.at(own, "", 0.0)
        try:
            with aside(own.layer) as unfinished:
                own.make(Site(unfinished, lambda step, share: board.at(own, step, share), ending))
        finally:
            board.ended(own)

    at_a_time = workers(len(os.sched_getaffinity(0)), facts.memory_available_bytes())
    ready: list[Build] = []
    running: dict[Future[None], Path] = {}
    with ThreadPoolExecutor(at_a_time) as pool:
        try:
            while order.is_active():
                ready += [absent[layer] for layer in order.get_ready()]
                ready.sort(key=lambda own: -_ahead_s(own, absent))  # what all others wait for comes first
                while ready and len(running) < at_a_time:
                    own = ready.pop(0)
                    running[pool.submit(make, own)] = own.layer
                # Python does not see a signal that comes right before it begins to wait, until it has waited.
                for future in wait(running, timeout=1.0, return_when=FIRST_COMPLETED).done:
                    future.result()
                    order.done(running.pop(future))
        except BaseException:
            ending.end()
            raise


def workers(cpus: int, memory_bytes: int) -> int:
    """Return how many layers are built at a time; each compiles on all CPUs it gets."""
    return max(1, min(cpus, memory_bytes // BUILD_BYTES))


def _ahead_s(own: Build, absent: dict[Path, Build]) -> float:
    """Return how long it takes from the beginning of a build to the end of the last that needs it."""
    after = (other for other in absent.values() if own.layer in other.needs)
    return own.seconds + max((_ahead_s(other, absent) for other in after), default=0.0)
