# SPDX-License-Identifier: Apache-2.0
"""A target of trials that is declared, not fio: how it is laid out, started and driven, and what it says of itself.

Nothing here knows which program it is. Its numbers are data, each a `TargetMetric`; those of well-known names
(WELL_KNOWN) are what every target has in common, fio included. docs/targets.md says how one is written.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

OPERATIONS = "operations"
"""How many operations were driven, by the driver's own count."""

PERCENTILES = {"50": "latency_p50_us", "99": "latency_p99_us", "99.9": "latency_p999_us"}
"""Percentile -> the well-known name of its latency."""

WELL_KNOWN = (OPERATIONS, "latency_mean_us", *PERCENTILES.values())
"""The names of numbers that feed the metrics all targets share."""

LEAST_BEHIND = 10
"""How many operations have to stand behind any percentile."""

RATE = "{rate}"
"""In the command `drive_at`: how many operations a second are offered."""

PLACEHOLDERS = ("{files}", "{packages}", "{data}", "{run}", "{out}", RATE)
"""What is replaced in a target's commands: its own files, the root of its packages, its data, a folder that is gone
with the trial (sockets, temporary files), a file there that numbers are read from, and the rate."""

RATE_TOLERANCE = 0.05
"""By which share of the rate offered a driver may be off: it starts and ends in that time, too."""


def enough(percent: str, operations: float | None) -> bool:
    """Tell whether so many operations say anything of a percentile: one of them at least lies beyond it."""
    return operations is not None and operations >= max(LEAST_BEHIND, round(100 / (100 - float(percent))))


class Better(StrEnum):
    """Which way a number is better."""

    LESS = "less"
    MORE = "more"


@dataclass(frozen=True, slots=True)
class TargetMetric:
    """A number of a target, one a trial; compared by ratios, so it has to be positive."""

    name: str
    unit: str = ""
    better: Better = Better.MORE
    pattern: str | None = None
    """A regular expression whose one group is the number, in what the target prints; of several matches the last
    counts. None: `pointer` says where it is, or it is measured from outside."""
    pointer: str | None = None
    """Where the number is in a JSON document that the target leaves, as RFC 6901 writes it: /jobs/0/latency."""
    scale: float = 1.0
    """What the number found is multiplied by, to be in its unit."""


@dataclass(frozen=True, slots=True)
class DrivenTarget:
    """A target. It does the same work in every trial, and ends by itself, or is stopped when its driver has ended.

    Commands have placeholders (PLACEHOLDERS). All of them run without privileges, unless `user` is root.
    """

    name: str
    comm: str
    """What the processes are called whose events are traced, as the kernel has it: 15 bytes at most."""
    drive: tuple[str, ...]
    """Does the work, which is the same in every trial: how long it takes is the runtime. Without `start` it is itself
    what is traced."""
    drive_at: tuple[str, ...] = ()
    """Does the work at a fixed rate, the operations a second that RATE stands for, however long each of them takes;
    latencies are then from when each was due. Empty: the driver cannot."""
    from_sending: bool = False
    """Whether latencies at a rate are from when an operation was sent instead: what waited until then is in none."""
    description: str = ""
    lay_out: tuple[str, ...] = ()
    """Makes the data, once; every trial gets a copy of what it made. Empty: there is none but what a trial makes."""
    start: tuple[str, ...] = ()
    """A server, which is what is traced; empty: `drive` alone is."""
    ready: tuple[str, ...] = ()
    """Asked again and again until it ends with 0: then the server can be driven."""
    report: tuple[str, ...] = ()
    """Run when all is over, and not measured: prints numbers that are worked out of what the driver left in {run}."""
    stop_signal: str = "SIGTERM"
    """Ends the server."""
    ready_s: float = 60.0
    """How long the server may take until it is ready, and to stop."""
    user: str = "nobody"
    """Who its commands run as: nobody, or root."""
    keep_cache: bool = False
    """Whether the page cache of its data is left as it is, instead of dropped before each trial."""
    seconds: float | None = None
    """About how long `drive` takes by itself; None: nobody has said. For estimates only."""
    operations_at: int | None = None
    """How many operations `drive_at` does, whatever the rate; None: nobody has said. For estimates only."""
    data_bytes: int = 2**30
    """The most disk space that its data take, in bytes, with the copy of a trial."""
    unhooked_percent: dict[str, float] = field(default_factory=dict)
    """How much of its reads and writes is at most of kinds that no tracer hooks (readv, preadv, sendfile, …), in per
    cent of what the kernel counts. What is not said is none."""
    metrics: tuple[TargetMetric, ...] = ()
    """Those of well-known names, and its own."""
    versions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What is worth keeping in the record -> the command whose first line says it."""
    files: str | None = None
    """The folder of its own files; None: it has none."""
    shares_files: bool = False
    """Whether others lie in that folder, too, as it is the study's: of it only what commands name is the target's."""
    shipped: bool = False

    @property
    def own_metrics(self) -> tuple[TargetMetric, ...]:
        """Its metrics that no other target need have."""
        return tuple(metric for metric in self.metrics if metric.name not in WELL_KNOWN)

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """All of its commands."""
        own = (self.lay_out, self.start, self.ready, self.drive, self.drive_at, self.report)
        return (*own, *self.versions.values())

    @property
    def named_files(self) -> tuple[Path, ...]:
        """What its commands name of its own files, {files}/…, each once."""
        if self.files is None:
            return ()
        named = re.findall(r"\{files\}/([^\s'\"]+)", " ".join(word for command in self.commands for word in command))
        return tuple(Path(self.files, name) for name in dict.fromkeys(named))

    def uses(self, placeholder: str) -> bool:
        """Tell whether a placeholder is in one of its commands."""
        return any(placeholder in word for command in self.commands for word in command)


@dataclass(frozen=True, slots=True)
class CpuTime:
    """CPU time of processes over a span, those that have ended meanwhile included, in seconds."""

    user_s: float
    system_s: float

    def since(self, before: CpuTime | None) -> CpuTime:
        """Return what was used since then; None was before there were any."""
        return CpuTime(self.user_s - before.user_s, self.system_s - before.system_s) if before else self

    @property
    def total_s(self) -> float:
        """Both."""
        return self.user_s + self.system_s


@dataclass(frozen=True, slots=True)
class DrivenResult:
    """What came of a target that was driven: by the clock, and by its own word."""

    started_at_s: float
    """When the driver began, seconds since the epoch."""
    runtime_s: float
    """From the driver's execution to its end."""
    values: dict[str, float]
    """Its metrics by name, the well-known and its own."""
    versions: dict[str, str] = field(default_factory=dict)
    rate_per_s: int | None = None
    """How many operations a second were offered; None: as many as it could do."""
    from_sending: bool = False
    """Whether latencies at that rate are from when operations were sent, and not from when they were due."""
    cpu: dict[str, CpuTime] = field(default_factory=dict)
    """While it was driven, by role: workload is what is traced, driver what drives a server; without those whose CPU
    time could not be told."""

    @property
    def achieved_per_s(self) -> float | None:
        """How many operations a second were done; None where the driver does not count them."""
        return self.operations / self.runtime_s if self.operations else None

    @property
    def rate_tolerance(self) -> float:
        """By which share of the rate offered what was done may be off: also by chance, of operations due at random.

        Three standard deviations of a Poisson process.
        """
        return max(RATE_TOLERANCE, 3 / math.sqrt(self.operations or 1))

    @property
    def kept_rate(self) -> bool:
        """Whether as much was done as was offered; True where none was.

        Where it was not, operations waited longer and longer: latencies say how long the trial was, and nothing else.
        """
        if self.rate_per_s is None or self.achieved_per_s is None:
            return True
        return self.achieved_per_s >= self.rate_per_s * (1 - self.rate_tolerance)

    @property
    def operations(self) -> float | None:
        """How many operations were driven; None where the driver does not say."""
        return self.values.get(OPERATIONS)

    @property
    def latency_mean_us(self) -> float | None:
        """The mean latency of an operation, by the driver; None where it did not keep its rate."""
        return self.values.get("latency_mean_us") if self.kept_rate else None

    def percentile_us(self, percent: str) -> float | None:
        """Return a percentile ("99.9") of the latency, by the driver; None where too little stands behind it.

        None, too, where it did not keep its rate.
        """
        name = PERCENTILES.get(percent, "")
        if name not in self.values or not self.kept_rate:
            return None
        return self.values[name] if enough(percent, self.operations) else None
