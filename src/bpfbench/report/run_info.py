# SPDX-License-Identifier: Apache-2.0
"""What a report says about the run itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunInfo:
    """Where the numbers come from. What is not known is None and is not shown."""

    study: str
    run_id: str
    trials_done: int
    """Trials with a record, however they ended."""
    trials_planned: int
    host: str | None = None
    kernel: str | None = None
    """Release of the kernel that was measured on."""
    image: str | None = None
    seed: int | None = None
    started_at: str | None = None
    """UTC, ISO 8601."""
    emulated: bool = False
    """The CPU was emulated: counts are valid, timings are not comparable."""
    superseded: int = 0
    """Records of failed or invalid trials that were set aside, so that their trials are run again."""
