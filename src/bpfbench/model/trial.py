# SPDX-License-Identifier: Apache-2.0
"""A trial: which tracer (or vanilla), configured how, under which workload, and where."""

from __future__ import annotations

from dataclasses import dataclass

from bpfbench.model.choices import LOCAL, tool_called
from bpfbench.model.factors import TracerConfig, Workload


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
    tool: str
    """A member of `Tool`, or what the study calls a tool of commands."""
    workload: Workload
    config: TracerConfig | None
    host: str = LOCAL
    """Which of the study's hosts runs it. All trials that are compared with each other share it."""
    kernel: str | None = None
    """Which of the image's kernels it runs on; None: the one that is running."""
    warm_up: bool = False
    """True for a vanilla trial that only brings the machine into the state that the next one repeats: in no plan, and
    counted nowhere."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "tool", tool_called(self.tool))

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
    tool: str
    workload: Workload
    warm_up: bool
