# SPDX-License-Identifier: Apache-2.0
"""The hooks and rings of a running tracer, as the kernel tells of them, whatever the tracer says."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from types import TracebackType

from bpfbench.inside.kernel import bpf
from bpfbench.inside.kernel.hooks import BTF, function_id
from bpfbench.inside.kernel.ring import Ring
from bpfbench.inside.leftovers import RING_BUFFERS, TRACING_PROGRAMS, Inventory
from bpfbench.model import Hook, RingAccount

FUNCTIONS = ("vfs_read", "vfs_write")
"""What tracers attach to by fentry and fexit."""


def hooks(before: Inventory, pid: int) -> tuple[Hook, ...]:
    """Return where the programs are attached that were loaded since `before`, in order of kind and target.

    Args:
        before: what there was before the tracer.
        pid: the tracing process.
    """
    programs = frozenset(n for n in bpf.tracing_programs() if str(n) not in before.items[TRACING_PROGRAMS])
    found = bpf.attachments(programs, pid)
    names = _functions() if any(own.kind in ("fentry", "fexit") for own in found) else {}
    told = {Hook(own.kind, names.get(own.target, own.target), bpf.program_name(own.program)) for own in found}
    return tuple(sorted(told, key=lambda hook: (hook.kind, hook.target, hook.program)))


def _functions() -> Mapping[str, str]:
    """Return the numbers of FUNCTIONS in the kernel's BTF."""
    btf = BTF.read_bytes()
    return {str(function_id(btf, name.encode())): name for name in FUNCTIONS}


class Rings:
    """The ring buffers that were made since some moment. Use as a context manager, which keeps them from vanishing.

    Args:
        before: what there was at that moment.

    Raises:
        StepError: one cannot be mapped.
    """

    def __init__(self, before: Inventory) -> None:
        new = {n: size for n, size in bpf.ring_buffers().items() if str(n) not in before.items[RING_BUFFERS]}
        self._open = contextlib.ExitStack()
        with contextlib.ExitStack() as opening:
            self._rings = tuple((size, opening.enter_context(Ring(number))) for number, size in sorted(new.items()))
            self._open = opening.pop_all()

    def __enter__(self) -> Rings:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def account(self) -> tuple[RingAccount, ...]:
        """Return what has gone through each so far."""
        return tuple(RingAccount(size, ring.produced, ring.consumed) for size, ring in self._rings)
