# SPDX-License-Identifier: Apache-2.0
"""A tracer of which nothing is known but its command: how it is run, and what the kernel says it has loaded."""

from __future__ import annotations

from dataclasses import dataclass

PID = "{pid}"
"""What stands for the target's process id in a tracer's command."""
SERVER = "{server}"
"""What stands for the process id of the server that the target asks."""

ENDED_AT_ONCE = "it ended at once, by itself, with nothing attached"
"""How one was known to be ready that never was a tracer."""


@dataclass(frozen=True, slots=True)
class CommandTracer:
    """A tracer that is a command, of which nothing else is known."""

    called: str
    """As the user wrote it."""
    command: tuple[str, ...]
    """PID in it is replaced. Empty: no tracer at all, which measures what nothing costs."""
    ready_line: str | None = None
    """It is ready when it has printed a line that this regular expression is found in."""
    ready_file: str | None = None
    """It is ready when it has made or changed this file. Without either, what it has attached tells."""
    stop_signal: str = "SIGINT"


@dataclass(frozen=True, slots=True)
class BpfObject:
    """A BPF program or map."""

    kind: str
    """Its type, as the kernel's enum names it, in lower case."""
    name: str
    memory_bytes: int | None
    """What the kernel charges for it; None where it does not say."""
    runs: int | None = None
    """How often a program ran; None where the kernel did not count that, or it never did."""
    run_ns: int | None = None
    """For how long, in all."""


@dataclass(frozen=True, slots=True)
class BpfUse:
    """What a tracer has loaded."""

    programs: tuple[BpfObject, ...]
    maps: tuple[BpfObject, ...]
