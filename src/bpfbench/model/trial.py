# SPDX-License-Identifier: Apache-2.0
"""A trial: which tracer (or vanilla), configured how, under which workload, and where."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from bpfbench.model.choices import LOCAL, Attach, Format, Tool, Variant


@dataclass(frozen=True, slots=True)
class TracerConfig:
    """The factors a tracer is run with. One that its tool does not use is None, so that equal trials compare equal."""

    attach: Attach
    format: Format
    ringbuf_bytes: int | None = None
    poll_ms: int | None = None
    payload_bytes: int | None = None
    variant: Variant = field(default=Variant.FULL, repr=False)
    """Not in repr(), which decides the order of a plan, so that orders stay what they were."""


@dataclass(frozen=True, slots=True)
class Workload:
    """An fio job file plus scale."""

    name: str
    processes: int
    bytes_per_process: int
    rate_iops: int | None = field(default=None, repr=False)
    """The most I/Os per second that each process does, reads and writes together (2 or more); None: as many as it can.

    Not in repr(), as TracerConfig's variant."""

    @property
    def total_bytes(self) -> int:
        """Bytes read and written by all processes together."""
        return self.processes * self.bytes_per_process

    @property
    def extent(self) -> tuple[int, int, float]:
        """What workloads of one name are sorted by: processes, size, and rate, the unlimited last."""
        return self.processes, self.bytes_per_process, self.rate_iops or math.inf


@dataclass(frozen=True, slots=True)
class Trial:
    """One tracer (or vanilla) x one workload x one repetition.

    `tool` names the tool of the trial's block, also for vanilla, whose trial has no `config`.
    """

    id: str
    index: int
    """Position in the plan, from 0."""
    block: int
    """Trials of one block run one after the other and are compared with each other only."""
    repetition: int
    """From 1."""
    setup: str
    tool: Tool
    workload: Workload
    config: TracerConfig | None
    host: str = LOCAL
    """Which of the study's hosts runs it. All trials that are compared with each other share it."""
    kernel: str | None = None
    """Which of the image's kernels it runs on; None: the one that is running."""
    warm_up: bool = False
    """True for a vanilla trial that only brings the machine into the state that the next one repeats: in no plan, and
    counted nowhere."""

    @property
    def is_vanilla(self) -> bool:
        """True where no tracer runs."""
        return self.config is None


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The trial that ran on the same machine right before, whatever it left behind."""

    trial: str
    """Its id."""
    setup: str
    tool: Tool
    workload: Workload
    warm_up: bool
