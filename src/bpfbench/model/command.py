# SPDX-License-Identifier: Apache-2.0
"""A tracer of which nothing is known but its command: how it is run, and what the kernel and itself say of it.

`overhead` runs one on the user's own system; a study brings them as setups, which are run in the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bpfbench.model.choices import Attach

PID = "{pid}"
"""What stands for the target's process id in a tracer's command."""
SERVER = "{server}"
"""What stands for the process id of the server that the target asks."""
COMM = "{comm}"
"""What stands for the name of the server's process, or else of the target's, as the kernel keeps it: 15 bytes."""
OUT = "{out}"
"""What stands for a file of the tracer's own, gone after the trial."""
SUMMARY = ".summary"
"""What is appended to OUT for the account of a tracer that comes with bpfbench."""

ENDED_AT_ONCE = "it ended at once, by itself, with nothing attached"
"""How one was known to be ready that never was a tracer."""
PLACEHOLDERS = (PID, COMM, "{files}", OUT)
"""What is replaced in a command of a study's: besides that what its processes are called, the folder of the study, and
a file that the tracer may write, in which its counts are looked for, too."""

COMMAND = "command"
"""The tool of a command that names none."""


class Calls(StrEnum):
    """What a tracer's count can be of, that the kernel counts, too."""

    READS = "reads"
    WRITES = "writes"
    BOTH = "reads+writes"

    def among(self, reads: int, writes: int) -> int:
        """Return how many there are of them among so many."""
        return {Calls.READS: reads, Calls.WRITES: writes, Calls.BOTH: reads + writes}[self]


@dataclass(frozen=True, slots=True)
class Tally:
    """A count that a tracer prints, by its own word."""

    pattern: str
    """A regular expression, looked for in each line. Without a group, the lines are counted in which it is found; with
    one, that is a number, and numbers are added up."""
    last: bool = False
    """Whether the last number is the count, because each stands for all before it."""
    unit: str = "events"
    meaning: str = ""
    """What is counted, for people."""
    calls: Calls | None = None
    """The calls of the target that it counts, all of them and no other; None: it cannot be checked."""


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
    needs: tuple[Attach, ...] = ()
    """The hooks without which it does not work."""
    received: Tally | None = None
    lost: Tally | None = None

    @property
    def wants_target(self) -> bool:
        """Whether the target has to be there before it is started."""
        return any(PID in word for word in self.command)


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
    size: int | None = None
    """Of a program the bytes of its translated code; of a map the entries it has room for, of a ring its bytes."""


@dataclass(frozen=True, slots=True)
class BpfUse:
    """What a tracer has loaded."""

    programs: tuple[BpfObject, ...]
    maps: tuple[BpfObject, ...]


@dataclass(frozen=True, slots=True)
class CommandAccount:
    """What a trial knows of a tracer that is a command, in the place of a summary by the contract."""

    command: tuple[str, ...]
    """As it was run."""
    ready_by: str
    """How it was known to be ready."""
    bpf: BpfUse | None
    """What it had loaded when it was stopped; None where the kernel does not show it."""
    printed_bytes: int
    """How much it printed, and wrote to {out}."""
    received: int | None = None
    """By its own word; None where it does not say, or nobody has told how."""
    lost: int | None = None
    calls: Calls | None = None
    """What `received` and `lost` are counts of, where the kernel counts them, too."""
