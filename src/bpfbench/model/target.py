# SPDX-License-Identifier: Apache-2.0
"""A target and a tracer that are commands of the user's own, and what one trial of them leaves.

Nothing here knows which program it is: a target's numbers are data, each a `TargetMetric` (driven.py), and a trial's
values go by their names. What overhead is measured by, crosses into the trial's runner as `OverheadSpec` and comes back
as `OverheadResult`; docs/overhead.md says how it is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bpfbench.model.command import BpfUse, CommandTracer
from bpfbench.model.driven import Better, TargetMetric
from bpfbench.model.record import Status

OVERHEAD_FORMAT = 1
"""Version of what is stored of an overhead. History: 1 (first)."""


TIME = TargetMetric("time", "s", Better.LESS)
"""From the target being let go on until its process has ended."""
CPU = TargetMetric("CPU", "s", Better.LESS)
"""User and system CPU time of the target with all its processes."""


@dataclass(frozen=True, slots=True)
class CommandTarget:
    """What is traced: it does the same work in every trial, and ends by itself."""

    called: str
    """As the user wrote it."""
    command: tuple[str, ...]
    prepare: tuple[str, ...] = ()
    """Run before each trial, and not measured; empty: nothing is."""
    metrics: tuple[TargetMetric, ...] = ()
    """Those that it prints itself."""

    @property
    def compared(self) -> tuple[TargetMetric, ...]:
        """All that is compared; its own first."""
        return (*self.metrics, TIME, CPU)

    @property
    def decisive(self) -> tuple[TargetMetric, ...]:
        """Those that it is measured for."""
        return self.metrics or (TIME,)


@dataclass(frozen=True, slots=True)
class OverheadDeadlines:
    """How long a step may take, in seconds, before the trial is given up as failed."""

    ready_s: float = 90.0
    target_s: float = 3600.0
    stop_s: float = 30.0


@dataclass(frozen=True, slots=True)
class OverheadSpec:
    """All that the runner of one trial is told."""

    name: str
    """What control groups of the trial are called by."""
    folder: str
    """For what target and tracer print; made by the runner, and gone when it ends."""
    target: CommandTarget
    tracer: CommandTracer | None
    """None: the bare target."""
    deadlines: OverheadDeadlines = OverheadDeadlines()


@dataclass(frozen=True, slots=True)
class TargetRun:
    """What was measured of a target."""

    values: dict[str, float]
    """By the names of its metrics."""
    user_s: float
    system_s: float
    accounting: str
    """Where CPU times are from: `cgroup-v2`, or `rusage`, which lacks processes nobody has waited for."""


@dataclass(frozen=True, slots=True)
class TracerRun:
    """What was measured of a tracer. What is not known is None."""

    ready_by: str
    """How it was known to be ready."""
    startup_s: float
    """Until then."""
    startup_cpu_s: float | None
    user_s: float | None
    """While the target ran."""
    system_s: float | None
    pss_peak_bytes: int | None
    """The most it was seen with from being ready on."""
    memory_peak_bytes: int | None
    """Of its control group: anonymous memory, page cache and kernel memory charged to it."""
    stop_s: float | None
    """From the signal, or the target's end where the tracer ends with that, until it has ended."""
    bpf: BpfUse | None
    """None where the kernel does not show it."""


@dataclass(frozen=True, slots=True)
class OverheadResult:
    """What came of one trial."""

    status: Status
    reason: str | None
    target: TargetRun | None
    tracer: TracerRun | None
    printed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The last lines of target and tracer."""
    absent: dict[str, str] = field(default_factory=dict)
    """Why something could not be measured."""


@dataclass(frozen=True, slots=True)
class OverheadRecord:
    """One trial and what came of it."""

    round: int
    """From 1; 0: the warm-up, which counts nowhere."""
    place: int
    """In its round, from 1."""
    tracer: int | None
    """Its position among the tracers, from 0; None: the bare target."""
    started_at: str
    """UTC, ISO 8601."""
    seconds: float
    """What the whole trial took."""
    result: OverheadResult


@dataclass(frozen=True, slots=True)
class OverheadStudy:
    """What is to be measured."""

    target: CommandTarget
    tracers: tuple[CommandTracer, ...]
    seconds: float = 60.0
    """Rounds are run for so long, unless everything is decided before."""
    rounds: int | None = None
    """Exactly so many, in place of that."""
    margin_percent: float = 5.0
    """Up to which a change does not matter."""
    seed: int = 1
    """Of the order in a round."""
    deadlines: OverheadDeadlines = OverheadDeadlines()
