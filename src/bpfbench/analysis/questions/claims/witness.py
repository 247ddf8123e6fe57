# SPDX-License-Identifier: Apache-2.0
"""What claims are judged on: measures, the contestants they are known of, and the witnesses who know them.

What is known is an interval: of a run, the 95 % confidence interval; of the paper, the number where it prints one, and
a bound where it prints an extreme only. Comparisons with an interval have three answers: surely true, surely false,
cannot be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from bpfbench.analysis import metrics
from bpfbench.analysis.inference import Interval
from bpfbench.analysis.metrics import Metric
from bpfbench.model import VANILLA

PAPER_SETUPS = ("bpftrace", "bcc", "libbpf", "ebpf-go", "aya-sync", "aya-async")
"""The paper's."""


def at_least(wanted: int, answers: Sequence[bool | None]) -> bool | None:
    """Tell whether so many of the answers are true, whatever those that are unknown turn out to be."""
    true, unknown = answers.count(True), answers.count(None)
    if true >= wanted:
        return True
    return None if true + unknown >= wanted else False


class Scale(StrEnum):
    """How two values of a measure are compared."""

    RATIO = "ratio"
    DIFFERENCE = "difference"
    """For shares of a whole, which may be 0."""
    SPREAD = "spread"
    """By the difference of how far repetitions lie from their median, in per cent, after vanilla's drift is off."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What a claim speaks of."""

    name: str
    metric: Metric
    scale: Scale = Scale.RATIO
    hooked: bool = False
    """Of the rw tools, what it comes to over vanilla is the cost of the hook as much as of the library."""
    lacking: str = "trials that recorded it"
    """What it would take where no trial has it."""

    @property
    def key(self) -> str:
        """Its name in claims.toml and paper.toml."""
        return f"{self.metric.key}_spread" if self.scale is Scale.SPREAD else self.metric.key

    @property
    def neutral(self) -> float:
        """What comparing two equal values gives."""
        return 1.0 if self.scale is Scale.RATIO else 0.0


_ALL = (
    RUNTIME := Measure("runtime", metrics.RUNTIME, hooked=True),
    THROUGHPUT := Measure("throughput", metrics.THROUGHPUT, hooked=True),
    LATENCY := Measure("latency", metrics.LATENCY, hooked=True),
    CPU := Measure("CPU", metrics.CPU, hooked=True),
    MEMORY := Measure("memory", metrics.MEMORY),
    IDLE_MEMORY := Measure("memory before the workload", metrics.IDLE_MEMORY),
    POWER := Measure("power", metrics.POWER, hooked=True, lacking="RAPL counters"),
    SAVED := Measure("saved", metrics.SAVED_PERCENT, Scale.DIFFERENCE),
    RUNTIME_SPREAD := Measure("spread of the runtime", metrics.RUNTIME, Scale.SPREAD),
)
MEASURES = {measure.key: measure for measure in _ALL}


class Task(NamedTuple):
    """What setups are compared at: a workload, and the tool that observes it."""

    workload: str
    tool: str | None = None
    """None: under any tool, for vanilla, which has none."""


class Contestant(NamedTuple):
    """A setup at a task."""

    workload: str
    tool: str | None
    setup: str

    @property
    def task(self) -> Task:
        """What it is at."""
        return Task(self.workload, self.tool)

    @property
    def vanilla(self) -> Contestant:
        """What it is compared with."""
        return self._replace(setup=VANILLA)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a measure."""

    interval: Interval
    estimate: float | None
    """Within the interval; None where only bounds are known."""
    n: int | None
    """Blocks behind it; None: printed in the paper."""
    swamped: bool = False
    """Vanilla against vanilla of one block comes to as much, over as many blocks: noise alone is enough for it."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Why nothing is known of it: what is missing."""

    what: str


class Witness(Protocol):
    """Who knows what measures come to: a run, or the paper."""

    @property
    def kprobes(self) -> bool:
        """Whether the hooks are the paper's."""

    def level(self, measure: Measure, contestant: Contestant) -> Known | Missing:
        """Return a measure of a contestant, in its metric's unit."""

    def contrast(self, measure: Measure, one: Contestant, other: Contestant, *, over_vanilla: bool) -> Known | Missing:
        """Compare two contestants on the measure's scale; one with its vanilla gives what it is over vanilla.

        `over_vanilla`: compare what they are over their own vanilla. Within one task it makes no difference.
        """

    def stricter(self, statements: int) -> Witness:
        """Return the same with intervals so wide that all of so many together have the confidence that one has now."""
