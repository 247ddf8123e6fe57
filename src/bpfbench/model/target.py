# SPDX-License-Identifier: Apache-2.0
"""A target and a tracer that are commands of the user's own, and what one trial of them leaves.

Nothing here knows which program it is: a target's numbers are data, each a `TargetMetric` (driven.py), and a trial's
values go by their names. What overhead is measured by, crosses into the trial's runner as `OverheadSpec` and comes back
as `OverheadResult`; docs/overhead.md says how it is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

from bpfbench.model.command import BpfUse, CommandTracer
from bpfbench.model.driven import Better, TargetMetric
from bpfbench.model.record import Status

OVERHEAD_FORMAT = 2
"""Version of what is stored of an overhead. History: 1 (first); 2 (a server; trials of several tracers at once)."""


TIME = TargetMetric("time", "s", Better.LESS)
"""From the target being let go on until its process has ended; of several runs of it, per run."""
CPU = TargetMetric("CPU", "s", Better.LESS)
"""User and system CPU time of the target with all its processes, per run."""
SERVER_CPU = TargetMetric("server CPU", "% of one", Better.LESS)
"""User and system CPU time of the server while the target runs, of one CPU: per cent, as a driver may keep a rate."""
SERVER_USER = TargetMetric("server user", "% of one", Better.LESS)
SERVER_SYSTEM = TargetMetric("server system", "% of one", Better.LESS)


BARE = "bare"
"""What the target without a tracer is called."""

Subject = tuple[int, ...]
"""Which tracers are run at once: their positions in the study, in order. None: the bare target."""


@dataclass(frozen=True, slots=True)
class Server:
    """What answers the target, and is traced with it or in its place."""

    called: str
    """As the user wrote it; of one that runs already its process id, or its comm."""
    command: tuple[str, ...] = ()
    """It is started by for each trial; empty: it runs already."""


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
    server: Server | None = None

    @property
    def compared(self) -> tuple[TargetMetric, ...]:
        """All that is compared; what was asked for first."""
        of_server = (SERVER_CPU, SERVER_USER, SERVER_SYSTEM) if self.server else ()
        return (*self.metrics, *of_server, TIME, CPU)

    @property
    def decisive(self) -> tuple[TargetMetric, ...]:
        """Those that it is measured for: what was asked for, else the time."""
        return (*self.metrics, *((SERVER_CPU,) if self.server else ())) or (TIME,)


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
    tracers: tuple[CommandTracer, ...] = ()
    """Started in this order; none: the bare target."""
    runs: int = 1
    """How often the target is run, one after the other, while all else goes on."""
    deadlines: OverheadDeadlines = OverheadDeadlines()
    counted: bool = False
    """Whether the kernel counts the run time of BPF programs meanwhile, which takes time itself."""


@dataclass(frozen=True, slots=True)
class TargetRun:
    """What was measured of a target."""

    values: dict[str, float]
    """By the names of its metrics, in the mean of its runs."""
    user_s: float
    """Per run, as is the next."""
    system_s: float
    accounting: str
    """Where CPU times are from: `cgroup-v2`, or `rusage`, which lacks processes nobody has waited for."""
    server_accounting: str | None = None
    """Where those of the server are from: `cgroup-v2`, or `proc`, in ticks of the clock; None: there is none."""
    runs: int = 1
    """How often it was run."""

    @property
    def seconds(self) -> float:
        """What all its runs took."""
        return self.values[TIME.name] * self.runs


@dataclass(frozen=True, slots=True)
class TracerRun:
    """What was measured of a tracer. What is not known is None."""

    ready_by: str
    """How it was known to be ready."""
    startup_s: float
    """Until then."""
    startup_cpu_s: float | None
    user_s: float | None
    """While the target ran, in all its runs."""
    system_s: float | None
    pss_peak_bytes: int | None
    """The most it was seen with from being ready on."""
    memory_peak_bytes: int | None
    """Of its control group: anonymous memory, page cache and kernel memory charged to it."""
    stop_s: float | None
    """From the signal, or the target's end where the tracer ends with that, until it has ended."""
    bpf: BpfUse | None
    """None where the kernel does not show it; of several tracers at once, it is not looked at."""
    received: int | None = None
    """Events, by its own word; None where nobody knows what it says."""
    lost: int | None = None


@dataclass(frozen=True, slots=True)
class OverheadResult:
    """What came of one trial."""

    status: Status
    reason: str | None
    target: TargetRun | None
    tracers: tuple[TracerRun, ...] = ()
    """In the order in which they were started."""
    printed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The last lines of the target, the server, and each tracer, by what they are called there."""
    absent: dict[str, str] = field(default_factory=dict)
    """Why something could not be measured."""


@dataclass(frozen=True, slots=True)
class OverheadRecord:
    """One trial and what came of it."""

    round: int
    """From 1; 0: the warm-up, and trials with run time counted, which are compared with nothing."""
    place: int
    """In its round, from 1."""
    tracers: tuple[int, ...]
    """Their positions in the study, from 0, in the order in which they were started; none: the bare target."""
    started_at: str
    """UTC, ISO 8601."""
    seconds: float
    """What the whole trial took."""
    result: OverheadResult
    counted: bool = False
    """Whether run time of BPF programs was counted: then it is compared with nothing."""

    @property
    def subject(self) -> Subject:
        """Which tracers there were, in whatever order."""
        return tuple(sorted(self.tracers))


@dataclass(frozen=True, slots=True)
class OverheadStudy:
    """What is to be measured."""

    target: CommandTarget
    tracers: tuple[CommandTracer, ...]
    seconds: float = 60.0
    """It takes so long in all, unless everything is decided before, or three rounds take longer,"""
    seconds_at_most: float = 180.0
    """or up to so long, as long as that can decide everything."""
    rounds: int | None = None
    """Exactly so many, in place of that."""
    margin_percent: float = 5.0
    """Up to which a change does not matter."""
    seed: int = 1
    """Of the order in a round."""
    deadlines: OverheadDeadlines = OverheadDeadlines()
    together: bool = False
    """Whether two at once are run as well, and all."""

    @property
    def run_once(self) -> str:
        """Why a trial cannot have more than one run of the target, however short; empty: it can."""
        if self.target.prepare:
            return "each run is prepared"
        return "a tracer is told its process id" if any(tracer.wants_target for tracer in self.tracers) else ""

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """Which tracers are run at once in the trials of a round, those without any left out."""
        everybody = range(len(self.tracers))
        sizes = sorted({2, len(everybody)}) if self.together else []
        return tuple(chosen for size in (1, *sizes) for chosen in combinations(everybody, size))

    def called(self, subject: Subject) -> str:
        """Return what tracers that are run at once are called."""
        return " + ".join(self.tracers[tracer].called for tracer in subject) or BARE
