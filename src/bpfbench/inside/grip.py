# SPDX-License-Identifier: Apache-2.0
"""What a tracer has attached, by the kernel: BPF programs, perf events, the target itself (ptrace)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bpfbench.inside.kernel import bpf, tasks
from bpfbench.model.command import BpfUse


@dataclass(frozen=True, slots=True)
class Grip:
    """What a tracer holds at a moment."""

    programs: frozenset[int] = frozenset()
    """Ids of BPF programs: those it has open, and new tracing programs that no other process has open."""
    links: int = 0
    """To those programs."""
    perf_events: int = 0
    traces_target: bool = False
    """By ptrace(2), as strace does."""

    @property
    def attached(self) -> bool:
        """Whether anything is attached to anything."""
        return bool(self.links or self.perf_events or self.traces_target)

    def __str__(self) -> str:
        held = {"BPF programs": len(self.programs), "links": self.links, "perf events": self.perf_events}
        parts = [f"{what} {count}" for what, count in held.items() if count]
        return ", ".join([*parts, *(["the target by ptrace"] if self.traces_target else [])])


def family(pid: int) -> tuple[int, ...]:
    """Return a process and its descendants."""
    return (pid, *tasks.descendants(pid))


def programs_now() -> frozenset[int] | None:
    """Return the ids of all tracing programs; None where the kernel does not show them."""
    try:
        return bpf.tracing_programs()
    except OSError:
        return None


def take(pids: Sequence[int], targets: Iterable[int], before: frozenset[int] | None) -> Grip:
    """Look at what processes hold now; `before` are the programs that were there before they began, if known."""
    programs = frozenset(_of_each(pids, bpf.programs_of))
    links = 0
    if before is not None:
        with contextlib.suppress(OSError):
            if new := bpf.tracing_programs() - before - programs:
                programs |= new - frozenset(_of_each(_others(pids), bpf.programs_of))
            links = bpf.links_to(programs)
    return Grip(programs, links, bpf.perf_events_of(*pids), any(_traces(pids, target) for target in targets))


def _traces(pids: Sequence[int], target: int) -> bool:
    try:
        return tasks.tracer_of(target) in pids
    except OSError:
        return False


def bpf_use(grip: Grip, pids: Sequence[int]) -> BpfUse | None:
    """Describe programs and their maps, and further maps that processes hold; None where the kernel does not show them.

    Raises:
        OSError: it shows some only.
    """
    found = list(bpf.described_programs(grip.programs))
    maps = frozenset(_of_each(pids, bpf.maps_of)).union(*(used for _, used in found))
    return BpfUse(tuple(program for program, _ in found), tuple(bpf.described_maps(maps)))


def _others(pids: Sequence[int]) -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[1-9]*") if int(path.name) not in pids]


def _of_each(pids: Sequence[int], held_by: Callable[..., frozenset[int]]) -> Iterator[int]:
    for pid in pids:
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            yield from held_by(pid)
