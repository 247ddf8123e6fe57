# SPDX-License-Identifier: Apache-2.0
"""The hooks and rings, or perf buffers, of a running tracer, as the kernel tells of them, whatever the tracer says."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from bpfbench.inside.kernel import bpf, perf_buffer
from bpfbench.inside.kernel.hooks import BTF, function_names
from bpfbench.inside.kernel.ring import Ring
from bpfbench.inside.leftovers import RING_BUFFERS, TRACING_PROGRAMS, Inventory
from bpfbench.model import Hook, RingAccount

FUNCTIONS = ("vfs_read", "vfs_write")
"""What tracers attach to by fentry and fexit."""


def hooks(before: Inventory, *pids: int) -> tuple[Hook, ...]:
    """Return where the programs are attached that were loaded since, of the tracing processes; in order of kind."""
    programs = frozenset(n for n in bpf.tracing_programs() if str(n) not in before[TRACING_PROGRAMS])
    found = frozenset(own for pid in pids for own in bpf.attachments(programs, pid))
    numbers = {int(own.target) for own in found if own.target.isdecimal()}
    names = {str(number): name for number, name in function_names(BTF.read_bytes(), numbers).items()} if numbers else {}
    told = {Hook(own.kind, names.get(own.target, own.target), bpf.program_name(own.program)) for own in found}
    return tuple(sorted(told, key=lambda hook: (hook.kind, hook.target, hook.program)))


@contextlib.contextmanager
def rings(before: Inventory) -> Iterator[Callable[[], tuple[RingAccount, ...]]]:
    """Keep the ring buffers that were made since from vanishing; yield what tells what has gone through each so far.

    Raises:
        StepError: one cannot be mapped.
    """
    new = {n: size for n, size in bpf.ring_buffers().items() if str(n) not in before[RING_BUFFERS]}
    with contextlib.ExitStack() as opened:
        watched = [(size, opened.enter_context(Ring(number))) for number, size in sorted(new.items())]
        yield lambda: tuple(RingAccount(size, ring.produced, ring.consumed) for size, ring in watched)


@contextlib.contextmanager
def perf_buffers(pid: int) -> Iterator[Callable[[], tuple[RingAccount, ...]]]:
    """Keep the perf buffers of a tracing process from vanishing; yield what tells what has gone through each so far.

    Raises:
        StepError: one cannot be mapped.
    """
    with contextlib.ExitStack() as opened:
        watched = [opened.enter_context(buffer) for buffer in perf_buffer.buffers_of(pid)]
        yield lambda: tuple(RingAccount(own.bytes, own.produced, own.consumed) for own in watched)
