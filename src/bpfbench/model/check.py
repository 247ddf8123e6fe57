# SPDX-License-Identifier: Apache-2.0
"""What goes into the conformance suite and what comes out, as JSON, across the machine boundary."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from bpfbench.model.choices import Attach, Format, Tool


@dataclass(frozen=True, slots=True)
class Subject:
    """A setup under test, by one hook flavour."""

    setup: str
    command: tuple[str, ...]
    """What starts its tracer inside the image, less the contract's options."""
    attach: Attach
    tools: tuple[Tool, ...]
    formats: tuple[Format, ...]
    options: dict[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """What it can be set to beyond version 1 of the contract, as its setup says."""
    with_perf: dict[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """And with a perf event array, where that is less."""


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """All that the suite is told."""

    subjects: tuple[Subject, ...]
    cases: tuple[str, ...]
    """Names of the cases to run."""


class Ended(StrEnum):
    """How a case ended for one tracer."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    """It does not apply to this tracer, or this machine cannot run it; the detail says why."""


@dataclass(frozen=True, slots=True)
class CaseVerdict:
    """What one case found of one tracer."""

    case: str
    setup: str
    attach: Attach
    variant: str
    """Tool and format, where the case is run with several; else empty."""
    outcome: Ended
    detail: str
    """Why it failed or was skipped; the event where there is one."""
