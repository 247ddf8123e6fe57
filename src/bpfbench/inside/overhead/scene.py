# SPDX-License-Identifier: Apache-2.0
"""The scene of a trial: what all of its steps know, and what they have found so far."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bpfbench.errors import StepError
from bpfbench.inside.child import SAID_LINES, Child, Launch
from bpfbench.inside.monitors.cgroup import ControlGroups
from bpfbench.model.target import OverheadSpec, TargetRun, TracerRun

C = TypeVar("C", bound=Child)


@dataclass
class SoFar:
    """What is known of a trial so far."""

    target: TargetRun | None = None
    tracers: list[TracerRun] = field(default_factory=list)
    printed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a trial takes place."""

    spec: OverheadSpec
    found: SoFar
    groups: ControlGroups
    folder: Path
    cpus: Set[int]

    def launch(self, role: str, command: tuple[str, ...] = ()) -> Launch:
        """Say how what has this role is started: what it prints goes to a file, what it uses to a group."""
        return Launch(command, self.cpus, self.folder / f"{role}.out", self.groups.joiner(role))

    @contextlib.contextmanager
    def printed(self, called: str, child: C) -> Iterator[C]:
        """Have a child run meanwhile, and keep its last lines."""
        with child:
            try:
                yield child
            finally:
                self.found.printed[called] = child.last_lines(SAID_LINES)

    def lines_of(self, number: int) -> str:
        """Return what the last lines of a tracer are called."""
        return "tracer" if len(self.spec.tracers) == 1 else f"tracer {self.spec.tracers[number].called}"

    @contextlib.contextmanager
    def blaming(self, number: int) -> Iterator[None]:
        """Have what goes wrong with one of several tracers say with which."""
        try:
            yield
        except StepError as error:
            if len(self.spec.tracers) == 1:
                raise
            raise StepError(f"{self.spec.tracers[number].called}: {error.message}") from None
